"""Parse tables of delimited text: comma-separated values and their kin."""

import csv
import io
import re
from typing import Literal

from app.parsers.encoding import decode
from app.parsers.tables import Row, introduced, is_header, size
from app.parsers.types import Draft, Limits

_DELIMITERS = ",;\t|"
_EXCEL_SAYS = re.compile(r"\Asep=(.)\r?\n", re.I)


def read(data: bytes, limits: Limits) -> Draft:
    """Read records, numbered from 1 after the header."""
    text, notes = decode(data)
    limits.check_characters(len(text))
    text = text.replace("\0", "")
    said = _EXCEL_SAYS.match(text)
    text = text[said.end() :] if said else text
    delimiter = said.group(1) if said else _likeliest_delimiter(text)
    records = _records(text, delimiter)
    header = records.pop(0) if len(records) > 1 and is_header(records[0]) else []
    rows = [Row(number, cells) for number, cells in enumerate(records, 1)]
    columns = max((len(row.cells) for row in rows), default=0)
    repeated = "its header is repeated between its rows" if header else "it has no header"
    counted = f"The table has {size(len(rows), columns)}; its rows are numbered, and {repeated}."
    return Draft(pages=((0, introduced(header, rows)),) if rows else (), notes=(*notes, counted))


def _records(text: str, delimiter: str) -> list[list[str]]:
    records = _parsed(text, delimiter, csv.QUOTE_MINIMAL)
    longest = max((cell.count("\n") for record in records for cell in record), default=0)
    if not longest:
        return records
    # A quotation mark that is never closed swallows the lines after it, up to the next one.
    lines = _parsed(text, delimiter, csv.QUOTE_NONE)
    are_alike = len(lines[0]) > 1 and len({len(line) for line in lines}) == 1
    return lines if are_alike or longest > max(20, len(records)) else records


def _parsed(text: str, delimiter: str, quoting: Literal[0, 3]) -> list[list[str]]:
    csv.field_size_limit(max(len(text), 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, skipinitialspace=True)
    return [record for record in reader if any(cell.strip() for cell in record)]


def _likeliest_delimiter(text: str) -> str:
    """Choose the delimiter by which the first lines have equally many columns, and many."""
    sample = "".join(text[:50_000].splitlines(keepends=True)[:60])

    def score(delimiter: str) -> tuple[float, int]:
        widths = [len(record) for record in _parsed(sample, delimiter, csv.QUOTE_MINIMAL)]
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)

    return max(_DELIMITERS, key=score)
