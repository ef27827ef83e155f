"""Parse Excel workbooks (xlsx): the cells of every sheet, as tables."""

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Iterator

import openpyxl
from openpyxl.workbook import Workbook

from app.parsers.containers import damage_said, local_name, opened, xml_of
from app.parsers.errors import DocumentTooLarge, NoTextInDocument
from app.parsers.sheets import sheet_text
from app.parsers.types import Draft, LeftOut, Limits

_MOST_ROWS = 1_048_576  # Excel's own
_FORMULA = re.compile(rb"<f[ >]")
_COMMENTS = re.compile(r"xl/(threadedC|c)omments\D*\d*\.xml|xl/(threadedC|c)omments/\w+\.xml")


def read(data: bytes, limits: Limits) -> Draft:
    """Read values as they were last computed, by the numbers of the sheets' own rows.

    Raises DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    with damage_said("Excel"), opened(data, limits) as container:
        comments = _comments(container)
        has_formulas = any(_FORMULA.search(container.read(name)) for name in _sheets(container))
        values = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        formulas = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False) if has_formulas else None
        shown: list[str] = []
        hidden: list[str] = []
        rows = 0
        for sheet in values.worksheets:
            table = _rows(values, formulas, sheet.title, limits)
            text, count = sheet_text(sheet.title, table)
            rows += count
            (shown if sheet.sheet_state == "visible" else hidden).append(text)
        title = values.properties.title or ""
    shown, hidden = [text for text in shown if text], [text for text in hidden if text]
    if not shown and not hidden:
        raise NoTextInDocument("The workbook holds no cells with text, perhaps only charts; save it as PDF and retry.")
    notes = [f"The sheets' {rows:,} rows were laid out as tables with the header repeated and the sheets' row numbers."]
    text = "\n\n".join([*(shown or hidden), *comments])
    left_out = (LeftOut("Hidden sheets", "\n\n".join(hidden)),) if shown and hidden else ()
    if left_out:
        notes.append(f"{len(hidden)} hidden sheet{'s were' if len(hidden) > 1 else ' was'} left out.")
    return Draft(pages=((0, text),), titles=(title,), notes=tuple(notes), left_out=left_out)


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


def _sheets(container: zipfile.ZipFile) -> list[str]:
    return [name for name in container.namelist() if re.fullmatch(r"xl/worksheets/[^/]+\.xml", name)]


def _comments(container: zipfile.ZipFile) -> list[str]:
    """Read the comments of cells, without the copies that older programs are given of conversations."""
    names = [name for name in container.namelist() if _COMMENTS.fullmatch(name)]
    threaded = [name for name in names if "threaded" in name]
    lines = []
    for name in threaded or names:
        for element in xml_of(container.read(name)).iter("{*}comment", "{*}threadedComment"):
            text = " ".join("".join(t.text or "" for t in element.iter("{*}t", "{*}text") if local_name(t)).split())
            if text:
                lines.append(f"Comment on cell {element.get('ref')}: {text}")
    return ["\n".join(lines)] if lines else []
