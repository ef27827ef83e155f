"""Bring the rows of a Word table to as many columns each, whatever cells are merged."""

from collections.abc import Iterator

from lxml import etree

from app.parsers.docx.package import W, integer, value

#: Texts of a row's cells by the column of the table's grid that they begin in.
Cells = dict[int, str]
#: A table of more columns than this, or so many times the cells of its longest row, is a form: its cells are laid out
#: for the eye and have no column in common.
_MOST_COLUMNS = 63
_MOST_COLUMNS_A_CELL = 2


def within(parent: etree._Element, tag: str, border: str) -> Iterator[etree._Element]:
    """Yield the elements of a tag below `parent`, not those inside another of them or beyond a border."""
    for element in parent:
        if element.tag == tag:
            yield element
        elif element.tag != border:
            yield from within(element, tag, border)


def is_deleted(row: etree._Element) -> bool:
    return row.find(f"{W}trPr/{W}del") is not None


def first_column(row: etree._Element) -> int:
    return max(0, integer(value(row, "trPr/gridBefore"), 0))


def column_after(cell: etree._Element, column: int) -> int:
    return column + max(1, integer(value(cell, "tcPr/gridSpan"), 1))


def aligned(rows: list[Cells]) -> Iterator[str]:
    """Write each row on a line with a place for every column that a cell begins in, in any row."""
    columns = sorted({column for row in rows for column in row})
    longest = min(max(map(len, rows), default=0), _MOST_COLUMNS)
    is_form = len(columns) > min(_MOST_COLUMNS, _MOST_COLUMNS_A_CELL * longest)
    for row in rows:
        if is_form:
            texts = [*row.values(), *[""] * (longest - len(row))]
        else:
            texts = [row.get(column, "") for column in columns]
        yield " | ".join(texts)
