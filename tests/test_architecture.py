"""The house rules that a program can check: which room may know which, and how big the checkout may get."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SQL = {"sqlite3", "sqlite_utils"}

FORBIDDEN = {
    "ccf_core": {"app", "store", "gradio"} | SQL,
    "store": {"app", "ccf_core", "gradio", "torch", "transformers"},
    "app": SQL,
    "app/readers": {"torch", "transformers", "store", "ccf_core"},
    "app/plots.py": {"torch", "transformers", "store"},
    "app/maps.py": {"torch", "transformers", "store", "ccf_core"},
}
#: SQLite as an engine for ranking passages, in memory: docs/decisions.md.
ALLOWED = {"ccf_core/bm25.py imports sqlite3"}


def imports(file: Path) -> Iterator[str]:
    """The top-level names of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = file.relative_to(ROOT).parts[0]
            yield package if node.level else (node.module or "").split(".")[0]


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_knows_only_what_it_may(room: str) -> None:
    path = ROOT / room
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files
    found = {f"{file.relative_to(ROOT)} imports {name}" for file in files for name in imports(file)}
    wrong = {line for line in found if line.split()[-1] in FORBIDDEN[room]}
    assert not wrong - ALLOWED


def test_the_core_opens_no_database_file() -> None:
    source = (ROOT / "ccf_core" / "bm25.py").read_text(encoding="utf-8")
    assert source.count("connect(") == source.count('connect(":memory:")') == 1


def test_gradio_stays_in_the_tabs() -> None:
    pages = [ROOT / "app" / "tabs", ROOT / "app" / "theme.py"]
    elsewhere = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "app").rglob("*.py")
        if "gradio" in imports(file) and not any(file.is_relative_to(page) for page in pages)
    }
    assert not elsewhere


def test_imports_inside_functions_are_seen() -> None:
    assert {"ast", "pytest", "pathlib", "collections"} <= set(imports(Path(__file__)))


def test_app_py_stays_a_doormat() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) < 60


def test_the_checkout_stays_small() -> None:
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_files()}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size > 9_000_000}
    assert sum(sizes.values()) < 40_000_000
