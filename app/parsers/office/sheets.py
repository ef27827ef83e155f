"""Lay out the cells of a spreadsheet's sheet: titles as lines, what stands in rows and columns as tables."""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from app.parsers.tables import Row, flat, introduced, is_header, lay_out


def sheet_text(name: str, rows: Iterable[tuple[int, Sequence[str]]]) -> tuple[str, int]:
    """Lay out a sheet of numbered rows, of which the empty ones are missing; return it with how many rows it has."""
    parts: list[str] = []
    header: Sequence[str] = []
    count = 0
    for block in _blocks(_without_empty_columns([Row(*row) for row in rows])):
        titles = list(takewhile(_is_single, block))
        parts += ["".join(flat("".join(row.cells)) + "\n" for row in titles)] if titles else []
        body = block[len(titles) :]
        if len(body) > 1 and is_header([cell for cell in body[0].cells if cell]):
            header = body.pop(0).cells
        # Without a header of its own, it is a table that goes on after an empty row.
        parts.append(introduced(header, body) if len(body) > 1 else lay_out(header, body))
        count += len(block)
    return (f"Sheet “{name}”\n\n" + "\n".join(parts) if parts else ""), count


def _is_single(row: Row) -> bool:
    return sum(map(bool, row.cells)) == 1


def _blocks(rows: Sequence[Row]) -> list[list[Row]]:
    """Part the rows where the sheet has empty ones; rows that are given without text are hidden there."""
    blocks: list[list[Row]] = []
    last = 0
    for row in rows:
        if not blocks or row.number > last + 1:
            blocks.append([])
        last = row.number
        if any(row.cells):
            blocks[-1].append(row)
    return [block for block in blocks if block]


def _without_empty_columns(rows: Sequence[Row]) -> list[Row]:
    used = sorted({at for row in rows for at, cell in enumerate(row.cells) if cell})
    return [Row(row.number, [row.cells[at] if at < len(row.cells) else "" for at in used]) for row in rows]
