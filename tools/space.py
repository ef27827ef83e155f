"""Prepare the folder of a Hugging Face Space from this checkout, and check it: ``python tools/space.py FOLDER``.

The folder holds what git has at HEAD and a Space needs, a README.md whose front matter tells the Space how to run it,
and requirements with one version of torch. It is what is pushed to the Space; nothing is sent from here. The checks
alone: ``python tools/space.py --check FOLDER``. Exit code 2 and a sentence for each thing to mend.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: A Space takes larger files only through LFS.
MAX_BYTES = 9_000_000
PYTHON = "3.12"
#: The newest that Spaces offer, on GPUs lent by the call too, where no other version runs.
TORCH = "2.11.0"
HARDWARE = ("cpu-basic", "cpu-upgrade", "t4-small", "l4x1", "zero-a10g")
#: Tests, tools and settings of developers do not go.
NEEDED = ("app.py", "app", "ccf_core", "store", "assets", "docs", "requirements.txt", "LICENSE", "CITATION.cff")
KEYS = (
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license",
    "suggested_hardware", "short_description", "startup_duration_timeout", "tags",
)  # fmt: skip
#: The longest that the platform shows.
MAX_DESCRIPTION = 60


def front_matter(hardware: str, sdk_version: str) -> str:
    """Write the head of a Space's README.md."""
    return f"""---
title: CCF Workbench
emoji: 🗜️
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {sdk_version}
python_version: "{PYTHON}"
app_file: app.py
license: apache-2.0
suggested_hardware: {hardware}
short_description: See and use compressed context
startup_duration_timeout: 30m
pinned: false
tags:
  - context-compression
  - kv-cache
  - long-context
  - mcp-server
---
"""


def prepare(folder: Path, hardware: str, torch: str, sdk_version: str) -> None:
    """Write the Space into a folder that is new or empty."""
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty: name a new folder.")
    archive = subprocess.run(["git", "archive", "HEAD", *NEEDED], cwd=ROOT, capture_output=True, check=True).stdout
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    readme = subprocess.run(["git", "show", "HEAD:README.md"], cwd=ROOT, capture_output=True, check=True).stdout
    (folder / "README.md").write_bytes(front_matter(hardware, sdk_version).encode() + b"\n" + readme)
    requirements = folder / "requirements.txt"
    # The Space brings the sdk itself.
    kept = [line for line in requirements.read_text().splitlines() if not line.startswith(("torch", "gradio"))]
    requirements.write_text("\n".join([f"torch=={torch}", f"gradio[mcp]=={sdk_version}", *kept]) + "\n")


def check(folder: Path) -> list[str]:
    """List what a Space would refuse or fail on; nothing if it is sound."""
    wrong = [f"{name} is missing." for name in (*NEEDED, "README.md") if not (folder / name).exists()]
    if wrong:
        return wrong
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts]
    for path in files:
        if path.stat().st_size > MAX_BYTES:
            wrong.append(f"{path.relative_to(folder)} has more than {MAX_BYTES:,} bytes.")
        if path.open("rb").read(40).startswith(b"version https://git-lfs"):
            wrong.append(f"{path.relative_to(folder)} is a pointer of git LFS, not the file.")
        if path.suffix in (".db", ".gguf", ".whl", ".bin", ".pt", ".pth", ".pkl") or path.name == ".env":
            wrong.append(f"{path.relative_to(folder)} does not belong into a Space.")
    head = re.match(r"---\n(.*?)\n---\n", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    told = dict(re.findall(r"^(\w+): *(.*)$", head[1], re.MULTILINE)) if head else {}
    wrong += [f"README.md: the front matter lacks {key}." for key in KEYS if key not in told]
    if told.get("python_version", "").strip('"') != PYTHON:
        wrong.append(f"README.md: python_version must be {PYTHON}.")
    if told.get("sdk") != "gradio" or not (folder / told.get("app_file", "-")).is_file():
        wrong.append("README.md: sdk must be gradio, and app_file must be there.")
    if len(told.get("short_description", "")) > MAX_DESCRIPTION:
        wrong.append(f"README.md: short_description has more than {MAX_DESCRIPTION} characters.")
    lines = (folder / "requirements.txt").read_text().splitlines()
    if not any(re.fullmatch(r"torch==\d+\.\d+\.\d+", line) for line in lines):
        wrong.append("requirements.txt must name one version of torch.")
    if f"gradio[mcp]=={told.get('sdk_version')}" not in lines:
        wrong.append("requirements.txt must name the version of gradio that README.md does.")
    compiled = subprocess.run(
        [sys.executable, "-c", _COMPILES, *map(str, folder.rglob("*.py"))], capture_output=True, text=True
    )
    return wrong + ([f"Not Python: {compiled.stderr.strip().splitlines()[-1]}"] if compiled.returncode else [])


_COMPILES = "import sys, pathlib\nfor f in sys.argv[1:]: compile(pathlib.Path(f).read_bytes(), f, 'exec')"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="check a folder that was prepared before")
    parser.add_argument("--hardware", choices=HARDWARE, default=HARDWARE[0], help="which the Space suggests")
    parser.add_argument("--torch", default=TORCH, help="version that the Space's hardware runs")
    parser.add_argument("--gradio", default=None, help="version of the sdk; the one installed here if left out")
    args = parser.parse_args()
    if not args.check:
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, check=True, text=True)
        if changed.stdout.strip():
            print("Commit your changes first: a Space is made of what is committed.", file=sys.stderr)
            return 2
        prepare(args.folder, args.hardware, args.torch, args.gradio or version("gradio"))
    wrong = check(args.folder)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{args.folder} is ready: git init, git add, and push it to the Space.")
    return 2 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
