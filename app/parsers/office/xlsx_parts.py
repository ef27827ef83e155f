"""Read what openpyxl leaves out when it reads a workbook row by row: hidden rows and columns, and comments."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.parsers.docx.package import RELATION, Package

_MOST_COLUMNS = 16_384  # Excel's own
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >]")
_ROW = re.compile(rb"<(?:\w+:)?row\b([^<>]*)>")
_COLUMNS = re.compile(rb"<(?:\w+:)?col\b([^<>]*)>")
_HIDDEN = re.compile(rb"\bhidden\s*=\s*[\"'](?:1|true)")
_NUMBERS = re.compile(rb"\b(r|min|max)\s*=\s*[\"'](\d{1,7})[\"']")
_Rows = Iterable[tuple[int, list[str]]]


@dataclass(frozen=True)
class Part:
    """What a sheet's part holds beside its values."""

    has_formulas: bool = False
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    """From 0."""
    comments: str = ""

    def seen(self, rows: _Rows) -> _Rows:
        """Return the rows that a person sees."""
        return self._parted(rows, hidden=False) if self.hidden_rows or self.hidden_columns else rows

    def hidden(self, rows: _Rows) -> _Rows:
        """Return the hidden rows, and of the others what stands in hidden columns."""
        return self._parted(rows, hidden=True) if self.hidden_rows or self.hidden_columns else ()

    def _parted(self, rows: _Rows, hidden: bool) -> _Rows:
        """Blank the other cells, so that hidden rows do not look like the end of a table."""
        for number, cells in rows:
            of_row = number in self.hidden_rows
            yield (
                number,
                [cell if (of_row or at in self.hidden_columns) == hidden else "" for at, cell in enumerate(cells)],
            )


def sheet_parts(data: bytes) -> dict[str, Part]:
    """Read the parts of a workbook's sheets, by the sheets' names."""
    package = Package(data)
    workbook = package.part(package.main)
    names = package.related(package.main, "worksheet")
    sheets = () if workbook is None else workbook.iterfind("{*}sheets/{*}sheet")
    parts = ((sheet.get("name", ""), names.get(sheet.get(RELATION, ""), "")) for sheet in sheets)
    return {title: _part(package, name, title) for title, name in parts if name}


def _part(package: Package, name: str, title: str) -> Part:
    xml = package.content(name) or b""
    hides = _HIDDEN.search(xml) is not None
    return Part(
        has_formulas=_FORMULA.search(xml) is not None,
        hidden_rows=_hidden_rows(xml) if hides else frozenset(),
        hidden_columns=_hidden_columns(xml) if hides else frozenset(),
        comments="\n".join(f"Comment on cell {cell} of “{title}”: {text}" for cell, text in _comments(package, name)),
    )


def _hidden_rows(xml: bytes) -> frozenset[int]:
    hidden: set[int] = set()
    number = 0
    for row in _ROW.finditer(xml):
        number = int(dict(_NUMBERS.findall(row[1])).get(b"r", number + 1))
        if _HIDDEN.search(row[1]):
            hidden.add(number)
    return frozenset(hidden)


def _hidden_columns(xml: bytes) -> frozenset[int]:
    hidden: set[int] = set()
    last = 0
    for columns in _COLUMNS.finditer(xml):
        numbers = dict(_NUMBERS.findall(columns[1]))
        first, last = max(int(numbers.get(b"min", 1)), last + 1), min(int(numbers.get(b"max", 0)), _MOST_COLUMNS)
        if _HIDDEN.search(columns[1]):
            hidden.update(range(first - 1, last))
    return frozenset(hidden)


def _comments(package: Package, sheet: str) -> Iterator[tuple[str, str]]:
    """Read the comments of cells, without the copies that older programs are given of conversations."""
    for kind in ("threadedComment", "comments"):
        parts = [part for name in package.related(sheet, kind).values() if (part := package.part(name)) is not None]
        for part in parts:
            for comment in part.iter("{*}comment", "{*}threadedComment"):
                if text := " ".join("".join(run.text or "" for run in comment.iter("{*}t", "{*}text")).split()):
                    yield comment.get("ref", ""), text
        if parts:
            return
