"""Rows of text and questions in files of JSON lines, as training and evaluation read them."""

from __future__ import annotations

import gzip
import json
import lzma
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ccf_core.errors import BadRows

#: Fields of a row of text, and of a row with a question.
TEXT, QUESTION = ("text",), ("context", "question", "answers")

#: What files of plain text and of Markdown end in.
PLAIN = (".txt", ".md", ".markdown")

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


def read_rows(path: str | Path, *kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON lines, plain or packed as .gz or .xz, each with the fields of one of ``kinds``.

    A row that asks several questions of one context ({"context", "qas": […]}) becomes one row a question. ``answers``
    may be a string, a list of strings, or what SQuAD has, {"text": […]} and [{"text": …}]; all become a list of
    strings. Other fields of ``kinds`` are strings; the ``weight`` that a question may have is a number of 0 or more.
    Raises BadRows, which names the file and the line.
    """
    path = Path(path)
    if not path.is_file():
        raise BadRows(f"There is no file {path.name}: give JSON lines, plain or packed as .gz or .xz.")
    for number, line in _lines(path):
        where = f"Line {number} of {path.name}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadRows(f"{where} is not readable as JSON ({error}): give one whole object a line.") from error
        if not isinstance(row, dict):
            raise BadRows(f"{where} is not an object: give rows with {_either(kinds)}.")
        for single in _unfolded(row, where):
            if missing := min((_missing(single, fields) for fields in kinds), key=len, default=[]):
                raise BadRows(f"{where} has no {missing[0]!r} that can be used: give rows with {_either(kinds)}.")
            yield single


def read_folder(folder: str | Path) -> list[dict[str, Any]]:
    """Read the plain text and Markdown files of a folder and of the folders in it, as rows of text.

    Raises BadRows if there is none, or one that is not UTF-8.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PLAIN and path.is_file())
    if not paths:
        raise BadRows(f"There is no text in {folder}: give a folder with files that end in {', '.join(PLAIN)}.")
    rows = []
    for path in paths:
        try:
            rows.append({"source": path.name, "text": path.read_text(encoding="utf-8")})
        except UnicodeDecodeError as error:
            raise BadRows(f"{path} is not text in UTF-8: convert it, or take it away.") from error
    return rows


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines that hold something."""
    try:
        with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (ValueError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise BadRows(f"{path.name} is not readable as JSON lines ({error}): check the file.") from error


def _unfolded(row: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each of ``qas``, or the row itself, with plain ``answers``."""
    shared = {name: value for name, value in row.items() if name != "qas"}
    asked = row.get("qas", [{}])
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise BadRows(f"{where} has 'qas' that are no list of objects: give each a question and its answers.")
    for one in asked:
        single = shared | one
        if "answers" in single:
            single["answers"] = _plain(single["answers"])
        yield single


def _plain(answers: Any) -> list[Any] | None:
    """List the texts of answers of any form that is known; None for another form."""
    if isinstance(answers, dict):
        answers = answers.get("text")
    listed = [answers] if isinstance(answers, str) else answers
    if not isinstance(listed, list):
        return None
    texts = [one.get("text") if isinstance(one, dict) else one for one in listed]
    return texts if all(isinstance(text, str) for text in texts) else None


def _missing(row: dict[str, Any], fields: Sequence[str]) -> list[str]:
    missing = [name for name in fields if not isinstance(row.get(name), list if name == "answers" else str)]
    weight = row.get("weight", 1) if "question" in fields else 1
    fits = isinstance(weight, int | float) and 0 <= weight < math.inf
    return missing if fits else [*missing, "weight"]


def _either(kinds: Sequence[Sequence[str]]) -> str:
    return ", or ".join(" and ".join(map(repr, fields)) for fields in kinds)
