"""What is loaded holds data and no code, what is installed and downloaded is named by its digest."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
#: One entry: name, version, and the digests that belong to it.
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
#: Their files may hold code that runs as it is read.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "os.system", "torch.hub.load", "yaml.load", "yaml.unsafe_load"}
#: What a call must say, and what it must not.
MUST = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}
NEVER = {"trust_remote_code": True, "shell": True, "allow_pickle": True, "weights_only": False}


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unsafe(code: str) -> Iterator[str]:
    """What in a program could run code that comes with data."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom):
            yield from [node.module or ""] * ((node.module or "").split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.Call):
            name = name_of(node.func)
            said = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
            wanted, value = MUST.get(name, (None, None))
            if re.fullmatch(r"AutoModel\w*\.from_pretrained", name):
                wanted, value = "use_safetensors", True
            if name in UNSAFE_CALLS or (wanted and said.get(wanted) is not value):
                yield name
            yield from (f"{name}({word})" for word, bad in NEVER.items() if said.get(word) is bad)


@pytest.mark.parametrize("room", ["app.py", "app", "ccf_core", "store", "tools"])
def test_nothing_is_read_that_could_hold_code(room: str) -> None:
    path = ROOT / room
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files
    assert [f"{file.relative_to(ROOT)}: {what}" for file in files for what in unsafe(file.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from joblib import load", "torch.load(path)", "torch.load(p, weights_only=False)",
        "np.load(path)", "np.load(p, allow_pickle=True)", "eval(text)", "subprocess.run(line, shell=True)",
        "AutoModelForCausalLM.from_pretrained(folder)", "AutoTokenizer.from_pretrained(f, trust_remote_code=True)",
    ],
)  # fmt: skip
def test_what_could_run_code_is_seen(code: str) -> None:
    assert list(unsafe(code))


def test_what_is_safe_is_let_through() -> None:
    safe = "torch.load(p, weights_only=True)\nnp.load(p, allow_pickle=False)\nmodel.eval()\nre.compile('x')"
    assert not list(unsafe(safe))


def locked() -> dict[str, tuple[str, int]]:
    return {
        str(canonicalize_name(name)): (version, digests.count("sha256:"))
        for name, version, digests in ENTRY.findall(LOCK)
    }


def test_every_line_of_the_lock_has_one_version_and_its_digests() -> None:
    lines = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(locked()) == len(lines) > 50
    assert all(digests for _, digests in locked().values())
    assert "://" not in LOCK


def test_the_lock_has_what_the_ranges_ask_for() -> None:
    asked = [Requirement(line) for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line.strip()]
    assert asked
    for requirement in asked:
        version, _ = locked()[str(canonicalize_name(requirement.name))]
        assert requirement.specifier.contains(version.partition("+")[0]), requirement


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    made = subprocess.run([sys.executable, "tools/sbom.py"], cwd=ROOT, capture_output=True, check=True)
    assert made.stdout.decode() == (ROOT / "sbom.json").read_text(encoding="utf-8")
    bom = json.loads(made.stdout)
    libraries = {str(canonicalize_name(c["name"])): c["version"] for c in bom["components"] if c["type"] == "library"}
    assert libraries == {name: version for name, (version, _) in locked().items()}
    base, adapter = (c for c in bom["components"] if c["type"] == "machine-learning-model")
    assert len(base["hashes"][0]["content"]) == 64
    assert {file["name"] for file in adapter["components"]} == {"ccf.json"} | {
        path.name for path in (ROOT / "assets" / "adapter").glob("*.safetensors")
    }
