"""Parse Excel workbooks (xlsx): the cells of every sheet, as tables."""

import datetime
import io
from collections.abc import Iterable, Iterator

import openpyxl
from openpyxl.workbook import Workbook

from app.parsers.containers import damage_said, usual_office_file
from app.parsers.errors import DocumentTooLarge, NoTextInDocument
from app.parsers.office.sheets import sheet_text
from app.parsers.office.xlsx_parts import Part, sheet_parts
from app.parsers.types import Draft, LeftOut, Limits

_MOST_ROWS = 1_048_576  # Excel's own


def read(data: bytes, limits: Limits) -> Draft:
    """Read values as they were last computed, by the numbers of the sheets' own rows.

    Raises DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    shown: list[str] = []
    hidden_sheets: list[str] = []
    hidden_cells: list[str] = []
    count = 0
    with damage_said("Excel"):
        data = usual_office_file(data, limits)
        values = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        parts = sheet_parts(data)
        has_formulas = any(part.has_formulas for part in parts.values())
        formulas = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False) if has_formulas else None
        for sheet in values.worksheets:
            part = parts.get(sheet.title, Part())
            rows = list(_rows(values, formulas, sheet.title, limits))
            count += len(rows)
            if sheet.sheet_state == "visible":
                shown.append(_sheet(sheet.title, part.seen(rows), part.comments))
                hidden_cells.append(_sheet(sheet.title, part.hidden(rows)))
            else:
                hidden_sheets.append(_sheet(sheet.title, rows, part.comments))
        title = values.properties.title or ""
    shown, hidden_sheets, hidden_cells = (list(filter(None, texts)) for texts in (shown, hidden_sheets, hidden_cells))
    if not shown:
        shown, hidden_sheets, hidden_cells = hidden_sheets + hidden_cells, [], []
    if not shown:
        raise NoTextInDocument("The workbook holds no cells with text, perhaps only charts; save it as PDF and retry.")
    notes = [
        f"The sheets' {count:,} rows were laid out as tables with the header repeated and the sheets' row numbers."
    ]
    left_out = []
    if hidden_sheets:
        left_out.append(LeftOut("Hidden sheets", "\n\n".join(hidden_sheets)))
        sheets = len(hidden_sheets)
        notes.append(f"{sheets} hidden sheet{'s were' if sheets > 1 else ' was'} left out.")
    if hidden_cells:
        left_out.append(LeftOut("Hidden rows and columns", "\n\n".join(hidden_cells)))
        notes.append("Hidden rows and columns were left out.")
    text = "\n\n".join(shown)
    return Draft(pages=((0, text),), titles=(title,), notes=tuple(notes), left_out=tuple(left_out))


def _sheet(name: str, rows: Iterable[tuple[int, list[str]]], comments: str = "") -> str:
    return "\n\n".join(filter(None, (sheet_text(name, rows)[0], comments)))


def _rows(values: Workbook, formulas: Workbook | None, name: str, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that hold anything; a formula that was never computed stands for its value."""
    sheet = values[name]
    sheet.reset_dimensions()  # what a file says of its sheets' size may be wrong
    uncomputed: Iterable[tuple[object, ...]] = ()
    if formulas:
        formulas[name].reset_dimensions()
        uncomputed = formulas[name].iter_rows(values_only=True)
    others = iter(uncomputed)
    size = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        if number > _MOST_ROWS:
            raise DocumentTooLarge(f"A sheet has more than {_MOST_ROWS:,} rows; split the workbook into parts.")
        said = next(others, ())
        cells = [_shown(cell.value, getattr(cell, "number_format", "")) for cell in row]
        for at, formula in enumerate(said[: len(cells)]):
            if not cells[at] and isinstance(formula, str):
                cells[at] = formula
        if any(cells):
            size += sum(map(len, cells))
            limits.check_characters(size)
            yield number, cells


def _shown(value: object, number_format: str) -> str:
    """Write a value roughly as Excel shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float)):
        percent = "%" in (number_format or "")
        return f"{value * 100:.10g}%" if percent else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
    return str(value)
