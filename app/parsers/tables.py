"""Lay out tables so that each piece of them can be read alone: rows are numbered, and the header comes again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A row must stand in one segment of 256 tokens with its header. There is no tokenizer here: digits and signs are about
# a token each, letters four to a token.
_HEADER_EVERY = 150
_TOKEN = re.compile(r"\d|[^\w\s]|[^\W\d]{1,4}")
_NUMBER = re.compile(r"[-+]?[\d.,'\u00a0 ]*\d[\d.,]*\s?(%|€|\$|£|[A-Za-z]{0,3})|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}.*")
_YEAR = re.compile(r"(19|20)\d\d")
_SIZE = re.compile(r"^[\d,]+ rows? and [\d,]+ columns?\b.*", re.M)


@dataclass(frozen=True)
class Row:
    """A row with the number that its user knows it by."""

    number: int
    cells: Sequence[str]


def lay_out(header: Sequence[str], rows: Sequence[Row]) -> str:
    """Lay out a table; without a header its rows stand alone.

    Narrow tables have cells between “ | ” under a header that comes again. In wide ones, whose header would fill most
    of a segment, every cell has its column's name before it, and empty cells are left out.
    """
    header = [flat(cell) for cell in header]
    cells = [[flat(cell) for cell in row.cells] for row in rows]
    if not any(header):
        return "".join(f"Row {row.number} | {' | '.join(line)}\n" for row, line in zip(rows, cells, strict=True))
    head = f"Row | {' | '.join(header)}\n"
    widest = max((_tokens(" | ".join(line)) for line in cells[:100]), default=0)
    if _tokens(head) + widest > _HEADER_EVERY:
        return "".join(_named(row.number, header, line) for row, line in zip(rows, cells, strict=True))
    lines: list[str] = []
    since = _HEADER_EVERY
    for row, line in zip(rows, cells, strict=True):
        text = f"Row {row.number} | {' | '.join(line)}\n"
        since += _tokens(text)
        if since > _HEADER_EVERY:
            lines.append(head)
            since = _tokens(head) + _tokens(text)
        lines.append(text)
    return "".join(lines)


def introduced(header: Sequence[str], rows: Sequence[Row]) -> str:
    """Lay out a table after a line with the number of its rows and columns."""
    columns = max((len(row.cells) for row in rows), default=len(header))
    names = f": {', '.join(flat(cell) or '-' for cell in header)}" if any(header) else ""
    return f"{size(len(rows), columns)}{names}.\n\n{lay_out(header, rows)}"


def sizes(text: str) -> list[str]:
    """Find the lines of a laid-out text that tell how many rows and columns its tables have."""
    return _SIZE.findall(text)


def size(rows: int, columns: int) -> str:
    return f"{rows:,} row{'s' * (rows != 1)} and {columns:,} column{'s' * (columns != 1)}"


def is_header(cells: Sequence[str]) -> bool:
    """Tell whether a first row names columns: it holds no numbers but years, and no name twice."""
    names = [cell.strip() for cell in cells if cell.strip()]
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    return (
        2 * len(names) > len(cells)
        and len(numbers) < len(names)
        and all(_YEAR.fullmatch(number) for number in numbers)
        and len(set(names)) == len(names)
    )


def flat(cell: str) -> str:
    """Bring the text of a cell onto one line."""
    return " ".join(cell.split())


def _named(number: int, header: Sequence[str], cells: Sequence[str]) -> str:
    names = [*header, *[""] * (len(cells) - len(header))]
    values = (f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=False) if cell)
    return f"Row {number}: {'; '.join(values)}\n"


def _tokens(text: str) -> int:
    return len(_TOKEN.findall(text))
