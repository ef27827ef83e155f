"""docs/settings.md tells of every environment variable that the code reads or sets, and of no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).parent.parent
ROWS = [
    (re.findall(r"`(\w+)`", names), re.findall(r"`([^`]+)`", unset), "in a demo" in unset)
    for names, unset in re.findall(
        r"^\| (`[A-Z].*?) \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"), re.MULTILINE
    )
]
NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
OWN = re.compile(r"\bCCF_[A-Z]+(?:_[A-Z]+)*\b")


def looked_up(source: str) -> Iterator[str]:
    """Yield the names that Python code looks up in mappings, where it uses that of the environment."""
    for node in ast.walk(ast.parse(source if "environ" in source else "")):
        asked: ast.AST | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            asked = node.args[0] if node.func.attr in ("get", "setdefault", "pop", "getenv") else None
        elif isinstance(node, ast.Subscript):
            asked = node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            asked = node.left
        if isinstance(asked, ast.Constant) and isinstance(asked.value, str) and NAME.fullmatch(asked.value):
            yield asked.value


def known_to_the_code() -> set[str]:
    """Collect the names that the packages look up, and all of our own wherever they stand, in tests and recipes too."""
    folders = ("app", "ccf_core", "store", "experiments", "tools")
    packages = [ROOT / "app.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    rest = [*(ROOT / "tests").rglob("*.py"), ROOT / "justfile", *(ROOT / ".ci").glob("run")]
    texts = {path: path.read_text(encoding="utf-8") for path in (*packages, *rest)}
    own = {name for text in texts.values() for name in OWN.findall(text)}
    return own | {name for path in packages for name in looked_up(texts[path])}


def test_the_table_and_the_code_know_the_same_variables() -> None:
    told = [name for names, _, _ in ROWS for name in names]
    assert len(told) == len(set(told)) > 30
    assert set(told) == known_to_the_code()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('os.environ.get("ONE")', ["ONE"]),
        ('os.environ["TWO_3"]', ["TWO_3"]),
        ('"FOUR" in os.environ', ["FOUR"]),
        ('os.environ | {"CHILD": "6"}', []),
        ('settings["SEVEN"]', []),
    ],
)
def test_what_is_looked_up_is_seen(code: str, names: list[str]) -> None:
    assert list(looked_up(code)) == names


@pytest.mark.parametrize(
    ("name", "values", "demo"),
    [
        (name, values, demo)
        for names, values, demo in ROWS
        for name in names
        if values and name.startswith("CCF_") and name in (ROOT / "app" / "settings.py").read_text(encoding="utf-8")
    ],
)
def test_what_holds_without_a_variable_is_what_the_table_says(name: str, values: list[str], demo: bool) -> None:
    assert Settings.from_env({name: values[0]}) == Settings.from_env({})
    if demo:
        assert Settings.from_env({"CCF_DEMO": "1", name: values[-1]}) == Settings.from_env({"CCF_DEMO": "1"})
