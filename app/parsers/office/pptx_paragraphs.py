"""Read the paragraphs of a shape in a presentation, with the numbers of lists, powers and formulas."""

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from app.parsers.docx import number_formats
from app.parsers.docx.math import linear
from app.parsers.docx.package import M, integer
from app.parsers.scripts import lowered, raised

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_FORM = re.compile(r"(arabic|alphaLc|alphaUc|romanLc|romanUc)(Period|ParenR|ParenBoth|Plain)")
_STYLES = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman"}
_AROUND = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}


def lines(paragraphs: Iterable[etree._Element]) -> Iterator[str]:
    """Yield the paragraphs that hold text, indented by their levels."""
    counts: dict[int, tuple[str, int]] = {}
    for paragraph in paragraphs:
        text = _text(paragraph)
        if text.strip():
            properties = paragraph.find(f"{_A}pPr")
            level = integer("" if properties is None else properties.get("lvl", ""), 0)
            number = None if properties is None else properties.find(f"{_A}buAutoNum")
            yield "  " * min(max(level, 0), 8) + _label(number, level, counts) + text


def _label(number: etree._Element | None, level: int, counts: dict[int, tuple[str, int]]) -> str:
    """Count a paragraph; a list goes on after deeper paragraphs, and begins anew after others."""
    for deeper in [at for at in counts if at > level]:
        del counts[deeper]
    before = counts.pop(level, None)
    if number is None:
        return ""
    form = number.get("type", "")
    goes_on = before is not None and before[0] == form
    count = before[1] + 1 if before is not None and goes_on else integer(number.get("startAt", ""), 1)
    counts[level] = (form, count)
    kind, around = match.groups() if (match := _FORM.fullmatch(form)) else ("arabic", "Period")
    return _AROUND[around].format(number_formats.write(count, _STYLES.get(kind, "decimal"))) + " "


def _text(paragraph: etree._Element) -> str:
    text = ""
    pieces = list(paragraph.iter(f"{_A}t", f"{_A}br", f"{M}oMath"))
    for at, piece in enumerate(pieces):
        if piece.tag == f"{_A}br":
            text += "\n"
        elif piece.tag == f"{M}oMath":
            text += linear(piece)
        else:
            after = pieces[at + 1].text or "" if at + 1 < len(pieces) else ""
            text += _run(piece, text[-9:], after)
    return text


def _run(letters: etree._Element, before: str, after: str) -> str:
    run = letters.getparent()
    properties = None if run is None else run.find(f"{_A}rPr")
    height = integer("" if properties is None else properties.get("baseline", ""), 0)
    text = letters.text or ""
    if height == 0:
        return text
    return raised(text, before) if height > 0 else lowered(text, before, after)
