"""Parse OpenDocument files: texts (odt), spreadsheets (ods) and presentations (odp)."""

import zipfile
from collections.abc import Iterator

from lxml import etree

from app.parsers.containers import damage_said, local_name, opened, xml_of
from app.parsers.errors import EncryptedDocument, NoTextInDocument
from app.parsers.sheets import sheet_text
from app.parsers.types import Draft, Limits

_REPEATED_ROWS, _REPEATED_COLUMNS, _SPACES = "number-rows-repeated", "number-columns-repeated", "c"
#: A cell or row is repeated so often at most; real files fill the rest of a sheet with empty ones.
_MOST_REPEATED = 1_000
# Deleted text is not part of the document; a style's or a form's text is nowhere on the page; "desc" is for the blind.
_SKIPPED = {"tracked-changes", "forms", "sequence-decls", "title", "desc", "shapes", "ruby-text", "event-listeners"}
_PARAGRAPHS = {"p", "h"}


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text in its order, with tables, notes and comments where they stand; slides are pages.

    Raises DamagedDocument, DocumentTooLarge, EncryptedDocument, NoTextInDocument.
    """
    with damage_said("OpenDocument"):
        with opened(data, limits) as container:
            _check_not_encrypted(container)
            body = next(xml_of(container.read("content.xml")).iter("{*}body"))
            title = _metadata_title(container)
        content = next(element for element in body if local_name(element) in ("text", "spreadsheet", "presentation"))
        if local_name(content) == "spreadsheet":
            texts = [sheet_text(_attribute(table, "name"), _rows(table, limits)) for table in content.iter("{*}table")]
            pages: tuple[tuple[int, str], ...] = ((0, "\n\n".join(text for text, _ in texts if text)),)
            notes = (
                f"The sheets' {sum(count for _, count in texts):,} rows were laid out as tables with the header "
                "repeated and the sheets' row numbers.",
            )
        elif local_name(content) == "presentation":
            slides = [element for element in content if local_name(element) == "page"]
            limits.check_pages(len(slides))
            pages = tuple((number, "".join(_blocks(slide))) for number, slide in enumerate(slides, 1))
            notes = ()
        else:
            pages = ((0, "".join(_blocks(content))),)
            has_table = next(content.iter("{*}table"), None) is not None
            notes = ("Tables were flattened: “ | ” stands between cells.",) if has_table else ()
        heading = next(("".join(_inline(h)) for h in content.iter("{*}h")), "")
    if not any(text.strip() for _, text in pages):
        raise NoTextInDocument(
            "The OpenDocument file holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    return Draft(pages=pages, titles=(title, heading), notes=notes)


def _check_not_encrypted(container: zipfile.ZipFile) -> None:
    if "META-INF/manifest.xml" in container.namelist() and b"encryption-data" in container.read("META-INF/manifest.xml"):
        raise EncryptedDocument("The OpenDocument file needs a password; save a copy without one and retry.")


def _metadata_title(container: zipfile.ZipFile) -> str:
    if "meta.xml" not in container.namelist():
        return ""
    return next((element.text or "" for element in xml_of(container.read("meta.xml")).iter("{*}title")), "")


def _attribute(element: etree._Element, name: str) -> str:
    """Return an attribute's value, of whatever namespace."""
    return next((str(value) for key, value in element.items() if etree.QName(key).localname == name), "")


def _number(element: etree._Element, name: str) -> int:
    value = _attribute(element, name)
    return min(int(value), _MOST_REPEATED) if value.isascii() and value.isdigit() else 1


def _blocks(parent: etree._Element, depth: int = 0) -> Iterator[str]:
    """Yield paragraphs, list items and tables below `parent`; the parser's own limit bounds the depth."""
    for element in parent:
        name = local_name(element)
        if name in _PARAGRAPHS:
            yield "\n" + "".join(_inline(element)) + "\n" + "\n" * (depth == 0)
        elif name in ("list-item", "list-header"):
            yield "  " * depth + "- " + "".join(_blocks(element, depth + 1)).strip() + "\n"
        elif name == "table":
            yield "\n" + "".join(_table(element)) + "\n"
        elif name == "notes":
            text = "".join(_blocks(element)).strip()
            yield f"\nSpeaker notes: {text}\n\n" if text else ""
        elif name and name not in _SKIPPED:
            yield from _blocks(element, depth)
            yield "\n" if name == "list" and depth == 0 else ""


def _table(table: etree._Element) -> Iterator[str]:
    for row in table.iter("{*}table-row"):
        if next(row.iterancestors("{*}table"), None) is table:
            yield " | ".join(" ".join("".join(_blocks(cell)).split()) for cell in row if _is_cell(cell)) + "\n"


def _is_cell(element: etree._Element) -> bool:
    return local_name(element) in ("table-cell", "covered-table-cell")


def _rows(table: etree._Element, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet that hold anything, with their numbers."""
    number = size = 0
    for row in table.iter("{*}table-row"):
        cells: list[str] = []
        for cell in filter(_is_cell, row):
            text = " ".join("".join(_blocks(cell)).split())
            cells += [text] * _number(cell, _REPEATED_COLUMNS)
        times = _attribute(row, _REPEATED_ROWS)
        for extra in range(_number(row, _REPEATED_ROWS) if any(cells) else 0):
            size += sum(map(len, cells))
            limits.check_characters(size)
            yield number + 1 + extra, cells
        number += int(times) if times.isascii() and times.isdigit() and len(times) < 8 else 1


def _inline(element: etree._Element) -> Iterator[str]:
    """Read the text of a paragraph; a text box anchored there follows on lines of its own."""
    yield element.text or ""
    for child in element:
        name = local_name(child)
        if name == "s":
            yield " " * _number(child, _SPACES)
        elif name in ("tab", "line-break"):
            yield "\t" if name == "tab" else "\n"
        elif name == "note":
            citation = next(("".join(_inline(c)) for c in child if local_name(c) == "note-citation"), "")
            text = " ".join("".join(t for c in child if local_name(c) == "note-body" for t in _blocks(c)).split())
            yield f" [{citation}: {text}]" if text else ""
        elif name == "annotation":
            paragraphs = (c for c in child if local_name(c) in ("p", "list"))
            yield f" [Comment: {' '.join(''.join(t for c in paragraphs for t in _inline(c)).split())}]"
        elif name == "text-box":
            yield "\n\n" + "".join(_blocks(child)).strip() + "\n\n"
        elif name and name not in _SKIPPED:
            yield from _inline(child)
        yield child.tail or ""
