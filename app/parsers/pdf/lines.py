"""Printed lines with their places, and how parts of them belong together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from app.parsers.normalise import characters
from app.parsers.pdf.joints import UNSPACED
from app.parsers.scripts import raised

_GLYPHS = str.maketrans(
    {
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
        "\uf0b7": "•",
        "\uf0a7": "▪",
    }
)


@dataclass(frozen=True)
class Line:
    """One printed line, or a part of it between wide gaps; places are in points, whichever way the text runs.

    `left`, `right` and `base` are its edges and its base line, `word` the right edge of its first word, `size` the
    height of its first letter. Tabs stand for wide gaps; `gaps` are less wide ones, each with the length of the text
    before it and its edges.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    word: float
    fixed: bool = False
    angle: float = 0.0
    gaps: tuple[tuple[int, float, float], ...] = ()


def joined(parts: Sequence[Line]) -> list[Line]:
    """Join parts that follow each other on one base line, as cells of a row do, or words that were placed singly."""
    rows: list[list[Line]] = []
    for part in _along_the_text(parts):
        if rows and (_beside(rows[-1][-1], part) or _under(rows[-1][-1], part)):
            rows[-1].append(part)
        else:
            rows.append([part])
    return [_joined(row) for row in rows]


def _along_the_text(parts: Sequence[Line]) -> list[Line]:
    """Order parts of turned lines as they are read; PDFium has them as they stand on an upright page."""
    ordered: list[Line] = []
    start = 0
    for end in range(1, len(parts) + 1):
        a = parts[start]
        if end < len(parts) and abs(parts[end].base - a.base) < 0.3 * a.size and _turned_alike(a, parts[end]):
            continue
        ordered += sorted(parts[start:end], key=lambda part: part.left) if end - start > 1 else [a]
        start = end
    return ordered


def _turned_alike(a: Line, b: Line) -> bool:
    return abs(a.angle) > 0.1 and abs(a.angle - b.angle) < 0.01


def _joined(row: Sequence[Line]) -> Line:
    texts = [row[0].text]
    for before, part in pairwise(row):
        gap = 0 if _under(before, part) else part.left - before.right
        off = part.size < 0.8 * before.size and part.base - before.base > 0.15 * before.size and len(part.text) < 20
        text = raised(part.text, before.text[-40:]) if off and gap < 0.1 * before.size else part.text
        texts += ["\t" if gap > 1.2 * part.size else "" if gap < 0.1 * part.size else " ", text]
    return replace(row[0], text="".join(texts), right=row[-1].right)


def estimated(text: str, base: float = 0.0) -> list[Line]:
    """Make lines of text whose places are unknown, as if all letters were five points wide."""
    return [
        Line(line, 0, 5.0 * len(line), base - 14 * i, 10, 5.0 * len(line.split(" ")[0]))
        for i, line in enumerate(clean(text).split("\n"))
        if line
    ]


def clean(text: str) -> str:
    """Write ligatures as letters, dividing hyphens as hyphens and runs of spaces as one."""
    text = re.sub("\u00ad(?=[ \t]*(?:\n|\\Z))", "-", text).replace("\u00ad", "")
    text = re.sub("[ \t]+", lambda run: "\t" if "\t" in run[0] else " ", characters(text.translate(_GLYPHS)))
    return "\n".join(line.strip(" \t") for line in text.split("\n"))


def length(lines: Sequence[Line]) -> int:
    """Count the characters of lines."""
    return sum(len(line.text) for line in lines)


def _beside(before: Line, part: Line) -> bool:
    return (
        abs(before.base - part.base) < 0.3 * max(before.size, part.size)
        and abs(before.angle - part.angle) < 0.01
        and part.left >= before.right - 0.3 * part.size
    )


def _under(before: Line, part: Line) -> bool:
    """Tell whether a letter follows another one in writing from top to bottom."""
    down = before.base - part.base
    return (
        max(len(before.text), len(part.text)) <= 2
        and bool(UNSPACED.match(before.text) and UNSPACED.match(part.text))
        and abs(before.left - part.left) < 0.3 * part.size
        and 0.5 * part.size < down < 1.3 * part.size
    )
