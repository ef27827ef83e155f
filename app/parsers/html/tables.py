"""Write HTML tables: a line for each row, as many columns in each."""

from collections.abc import Callable, Collection, Iterator
from itertools import islice

from bs4 import NavigableString, Tag
from bs4.element import PreformattedString

from app.parsers.html.tree import children, inside, is_hidden

_PARTS = {"caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr"}
_CELLS = ("td", "th")
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
#: A longer cell, in a table without heads, holds a part of the page.
_CELL_LENGTH = 1_000
_SHORT_LENGTH = 200
#: As many descendants has a cell at most that is written into each place that it spans.
_REPEATED = 50
_COLUMNS = 1_000


def is_data(table: Tag) -> bool:
    """Tell a table of data, with nothing but cells in its rows, from one that lays a page out."""
    if str(table.get("role", "")).lower() in ("presentation", "none") or _holds_table(table):
        return False
    parts = list(_parts(table))
    if not _holds_only(table, _PARTS) or not all(_holds_only(part, _CELLS) for part in parts if part.name == "tr"):
        return False
    headed = any(part.name == "caption" or any(cell.name == "th" for cell in children(part)) for part in parts)
    return headed or all(_is_short(part, _CELL_LENGTH) for part in parts)


def is_line(row: Tag) -> bool:
    """Tell whether a row of a table that lays a page out can stand on a line."""
    return not _holds_table(row) and _holds_only(row, _CELLS) and _is_short(row, _SHORT_LENGTH)


def _parts(table: Tag) -> Iterator[Tag]:
    """Yield the rows of a table and whatever else stands there."""
    for child in children(table):
        yield from children(child) if child.name in ("thead", "tbody", "tfoot") else [child]


def _holds_only(part: Tag, names: Collection[str]) -> bool:
    return all(
        child.name in names or is_hidden(child) if isinstance(child, Tag) else not str(child).strip()
        for child in part.children
        if not isinstance(child, PreformattedString)
    )


def _is_short(row: Tag, longest: int) -> bool:
    """Tell whether no cell of a row holds a heading or a longer text."""
    for cell in _cells(row):
        length = 0
        for node in inside(cell):
            length += len(node) if isinstance(node, NavigableString) else 1
            if length > longest or (isinstance(node, Tag) and node.name in _HEADINGS):
                return False
    return True


def _cells(row: Tag) -> list[Tag]:
    return [cell for cell in children(row) if cell.name in _CELLS and not is_hidden(cell)]


def _holds_table(part: Tag) -> bool:
    return any(isinstance(node, Tag) and node.name == "table" for node in inside(part))


def table_lines(table: Tag, write: Callable[[Tag], str]) -> Iterator[str]:
    """Yield the lines of a table of data.

    What spans rows or columns stands in each of them, for whoever reads a row by itself; what spans all columns
    stands in the first. Line breaks in a cell become " / ".
    """
    parts = list(_parts(table))
    rows = [part for part in parts if part.name == "tr"]
    grid = _grid(rows)
    written: dict[int, str] = {}
    for part in parts:
        if part.name != "tr":
            yield write(part)
            continue
        cells = []
        for cell in grid[id(part)] if grid else _cells(part):
            if cell is not None and id(cell) not in written:
                written[id(cell)] = _on_a_line(write(cell))
            cells.append(written[id(cell)] if cell else "")
        yield " | ".join(cells)


def row_line(row: Tag, write: Callable[[Tag], str]) -> str:
    """Write a row without regard to the rest of its table."""
    return " | ".join(_on_a_line(write(cell)) for cell in _cells(row))


def _on_a_line(text: str) -> str:
    return " / ".join(line.strip() for line in text.split("\n") if line.strip())


def _grid(rows: list[Tag]) -> dict[int, list[Tag | None]]:
    """Place cells as a browser does; return each row's, or nothing for a table that spans out of all proportion."""
    cells = [_cells(row) for row in rows]
    places, starts = [], set()
    below: dict[int, tuple[Tag | None, int]] = {}  # by column: what hangs into the next rows, and into how many
    budget = 10 * sum(map(len, cells)) + _COLUMNS
    for row in cells:
        placed: dict[int, Tag | None] = {}
        hanging, below = below, {}
        for column, (cell, more) in hanging.items():
            placed[column] = cell
            if more > 1:
                below[column] = (cell, more - 1)
        column = 0
        for cell in row:
            while column in placed:
                column += 1
            starts.add(column)
            high, wide = _span(cell, "rowspan") or len(rows), _span(cell, "colspan") or 1
            repeated = cell if _is_repeated(cell) else None
            for across in range(min(wide, _COLUMNS)):
                placed[column + across] = cell if across == 0 else repeated
                if high > 1:
                    below[column + across] = (repeated, high - 1)
            column += wide
            budget -= min(wide, _COLUMNS)
            if budget < 0 or column > _COLUMNS:
                return {}
        budget -= len(hanging)
        places.append(placed)
    columns = sorted(starts)
    return {id(row): _line(placed, columns) for row, placed in zip(rows, places, strict=True)}


def _line(placed: dict[int, Tag | None], columns: list[int]) -> list[Tag | None]:
    """Choose the cells of a row; a column in which no cell begins is none."""
    cells = [placed.get(column) for column in columns]
    if len(cells) > 1 and cells[0] is not None and all(cell is cells[0] for cell in cells):
        return [cells[0], *[None] * (len(cells) - 1)]
    return cells


def _span(cell: Tag, attribute: str) -> int:
    value = str(cell.get(attribute, "1")).strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _is_repeated(cell: Tag) -> bool:
    nodes = list(islice(inside(cell), _REPEATED))
    length = sum(len(node) for node in nodes if isinstance(node, NavigableString))
    return len(nodes) < _REPEATED and length <= _SHORT_LENGTH
