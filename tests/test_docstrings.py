"""A function's docstring begins with what the function does, as far as a first word can tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("app", "ccf_core", "store", "experiments", "tools")
#: Words that begin a description of a thing, or a sentence about it.
NO_VERB = {"A", "All", "An", "As", "Bytes", "Each", "Every", "For", "How", "In", "It", "Of", "Raises", "Share", "The"}
NO_VERB |= {"Those", "Text", "What", "Where", "Whether", "Which", "Who", "With"}


def first_words(source: str) -> Iterator[tuple[str, str]]:
    """Yield (function, first word of its docstring); properties are things, and may be told as such."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            if "property" not in decorators:
                yield node.name, said.split()[0]


def test_docstrings_begin_with_a_verb() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}: {word}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for name, word in first_words(path.read_text(encoding="utf-8"))
        if word in NO_VERB or not word[0].isupper()
    ]
    assert not wrong


def test_a_thing_in_the_place_of_a_verb_is_seen() -> None:
    said = ["def one():", "Whether it rains.", "@property", "def two():", "The rain.", "async def three():", "Rain."]
    source = "\n".join(line if line[-1] in ":y" else f'    """{line}"""' for line in said)
    assert list(first_words(source)) == [("one", "Whether"), ("three", "Rain.")]
