"""Parse Jupyter notebooks: their cells in order, and what they print."""

import json
import re
from collections.abc import Iterator
from typing import Any

from app.parsers.encoding import decode
from app.parsers.errors import DamagedDocument
from app.parsers.html.reader import visible_text
from app.parsers.markdown import reader as markdown
from app.parsers.types import Draft, Limits

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def read(data: bytes, limits: Limits) -> Draft:
    """Read text as Markdown, code as it stands and outputs as text; pictures are left out. Raises DamagedDocument."""
    text, decoding = decode(data)
    try:
        notebook = json.loads(text)
        cells = notebook.get("cells") or [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        pieces = [piece for cell in cells for piece in _cell(cell, limits)]
        pictures = sum(_has_picture(output) for cell in cells for output in cell.get("outputs", []))
        title = notebook.get("metadata", {}).get("title", "")
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise DamagedDocument(
            "The notebook is damaged or not of Jupyter's form; open it in Jupyter, save it again and retry."
        ) from error
    body = "\n\n".join(filter(str.strip, pieces))
    limits.check_characters(len(body))
    which = "1 picture among the outputs was" if pictures == 1 else f"{pictures} pictures among the outputs were"
    first_heading = next((piece.partition("\n")[0] for piece in pieces if piece.strip()), "")
    return Draft(
        pages=((0, body),),
        titles=(title if isinstance(title, str) else "", first_heading),
        notes=(*decoding, *([f"{which} left out."] if pictures else [])),
    )


def _cell(cell: dict[str, Any], limits: Limits) -> Iterator[str]:
    source = _joined(cell.get("source", cell.get("input", "")))
    if cell["cell_type"] == "markdown" and source.strip():
        yield "".join(text for _, text in markdown.read(source.encode("utf-8", "replace"), limits).pages).strip()
    else:
        yield source
    for output in cell.get("outputs", []):
        yield _COLOURS.sub("", _output(output)).strip("\n")


def _output(output: dict[str, Any]) -> str:
    if output.get("output_type") in ("error", "pyerr"):
        return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    forms = output.get("data", output)
    if "text/plain" in forms or "text" in forms:
        return "Output: " + _joined(forms.get("text/plain", forms.get("text", "")))
    return "Output: " + visible_text(_joined(forms["text/html"])) if "text/html" in forms else ""


def _has_picture(output: dict[str, Any]) -> bool:
    return any(str(form).startswith("image/") or form in ("png", "jpeg", "svg") for form in output.get("data", output))


def _joined(source: Any) -> str:
    """Join what the format writes as a string or as a list of lines."""
    return "".join(map(str, source)) if isinstance(source, list) else str(source)
