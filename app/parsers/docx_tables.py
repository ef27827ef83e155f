"""Bring the rows of a Word table to as many columns each, whatever cells are merged."""

from collections.abc import Iterator

from lxml import etree

from app.parsers.docx_package import W, integer, value

#: Texts of a row's cells by the column of the table's grid that they begin in.
Cells = dict[int, str]
#: As Word allows; what has more was made to be large, and is not filled up.
_MOST_COLUMNS = 63


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
    for row in rows:
        texts = row.values() if len(columns) > _MOST_COLUMNS else (row.get(column, "") for column in columns)
        yield " | ".join(texts)
