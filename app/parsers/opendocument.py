"""Parse OpenDocument files: texts (odt), spreadsheets (ods) and presentations (odp)."""

import posixpath
import zipfile
from collections.abc import Iterator

from lxml import etree

from app.parsers.containers import damage_said, local_name, opened, xml_of
from app.parsers.errors import EncryptedDocument, NoTextInDocument
from app.parsers.opendocument_numbers import Numbers, attribute, whole
from app.parsers.sheets import sheet_text
from app.parsers.types import Draft, Limits

#: A cell or row is repeated so often at most; real files fill the rest of a sheet with empty ones.
_MOST_REPEATED = 1_000
# Deleted text is not part of the document; a style's or a form's text is nowhere on the page; "desc" is for the blind.
_SKIPPED = {"tracked-changes", "forms", "sequence-decls", "title", "desc", "shapes", "ruby-text", "event-listeners"}
_KINDS = ("text", "spreadsheet", "presentation")


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text in its order, with tables, notes and comments where they stand; slides are pages.

    Raises DamagedDocument, DocumentTooLarge, EncryptedDocument, NoTextInDocument.
    """
    with damage_said("OpenDocument"):
        with opened(data, limits) as container:
            _check_not_encrypted(container)
            root = xml_of(container.read("content.xml"))
            numbers, formulas = _numbers(container, root), _formulas(container)
            title = _metadata_title(container)
        body = next(root.iter("{*}body"))
        content = next(element for element in body if local_name(element) in _KINDS)
        walk = _Walk(numbers, formulas)
        notes: tuple[str, ...] = ()
        if local_name(content) == "spreadsheet":
            pages, notes = _spreadsheet(content, walk, limits)
        elif local_name(content) == "presentation":
            slides = [element for element in content if local_name(element) == "page"]
            limits.check_pages(len(slides))
            pages = tuple((number, "".join(walk.blocks(slide))) for number, slide in enumerate(slides, 1))
        else:
            pages = ((0, "".join(walk.blocks(content))),)
            has_table = next(content.iter("{*}table"), None) is not None
            notes = ("Tables were flattened: “ | ” stands between cells.",) if has_table else ()
        heading = next(("".join(walk.inline(h)) for h in content.iter("{*}h")), "")
    if not any(text.strip() for _, text in pages):
        raise NoTextInDocument(
            "The OpenDocument file holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    return Draft(pages=pages, titles=(title, heading), notes=notes)


def _check_not_encrypted(container: zipfile.ZipFile) -> None:
    manifest = "META-INF/manifest.xml"
    if manifest in container.namelist() and b"encryption-data" in container.read(manifest):
        raise EncryptedDocument("The OpenDocument file needs a password; save a copy without one and retry.")


def _numbers(container: zipfile.ZipFile, root: etree._Element) -> Numbers:
    numbers = Numbers()
    if "styles.xml" in container.namelist():
        numbers.add_styles(xml_of(container.read("styles.xml")))
    numbers.add_styles(root)
    return numbers


def _formulas(container: zipfile.ZipFile) -> dict[str, str]:
    """Read the formulas, which stand in parts of their own, as their author typed them."""
    formulas = {}
    for name in container.namelist():
        if posixpath.basename(name) == "content.xml" and posixpath.dirname(name):
            root = xml_of(container.read(name))
            if local_name(root) == "math":
                typed = next((element.text for element in root.iter("{*}annotation") if element.text), None)
                formulas[posixpath.dirname(name)] = " ".join((typed or "".join(root.itertext())).split())
    return formulas


def _metadata_title(container: zipfile.ZipFile) -> str:
    if "meta.xml" not in container.namelist():
        return ""
    return next((element.text or "" for element in xml_of(container.read("meta.xml")).iter("{*}title")), "")


class _Walk:
    """Read the XML below an element; how deep it can be nested is bounded by the parser."""

    def __init__(self, numbers: Numbers, formulas: dict[str, str]) -> None:
        self.numbers = numbers
        self.formulas = formulas

    def blocks(self, parent: etree._Element, depth: int = 0) -> Iterator[str]:
        """Yield paragraphs, lists and tables; ``depth`` is that of a list."""
        for element in parent:
            name = local_name(element)
            if name == "h":
                number = self.numbers.next("", whole(element, "outline-level", most=10)) if depth == 0 else ""
                yield "\n" + " ".join(filter(None, (number, "".join(self.inline(element))))) + "\n\n"
            elif name == "p":
                yield "\n" + "".join(self.inline(element)) + "\n" + "\n" * (depth == 0)
            elif name == "list":
                yield from self._list(element, depth + 1)
            elif name == "table":
                yield "\n" + "".join(self._table(element)) + "\n"
            elif name == "notes":
                text = "".join(self.blocks(element)).strip()
                yield f"\nSpeaker notes: {text}\n\n" if text else ""
            elif name and name not in _SKIPPED:
                yield from self.blocks(element, depth)

    def _list(self, element: etree._Element, depth: int, style: str = "") -> Iterator[str]:
        style = attribute(element, "style-name") or style
        if attribute(element, "continue-numbering") != "true" and not attribute(element, "continue-list"):
            self.numbers.restart(style, depth)
        for item in element:
            paragraphs = [child for child in item if local_name(child) in ("p", "h")]
            if paragraphs:
                start = whole(item, "start-value") if attribute(item, "start-value") else None
                label = self.numbers.next(style, min(depth, 10), start) if local_name(item) == "list-item" else ""
                yield "\n" + "  " * (depth - 1) + (label or "-") + " "
                yield "\n".join("".join(self.inline(paragraph)) for paragraph in paragraphs)
            for child in item:
                if local_name(child) == "list":
                    yield from self._list(child, depth + 1, style)
        yield "\n" if depth == 1 else ""

    def _table(self, table: etree._Element) -> Iterator[str]:
        for row in table.iter("{*}table-row"):
            if next(row.iterancestors("{*}table"), None) is table:
                yield " | ".join(self.cell(cell) for cell in row if is_cell(cell)) + "\n"

    def cell(self, cell: etree._Element) -> str:
        return " ".join("".join(self.blocks(cell)).split())

    def inline(self, element: etree._Element) -> Iterator[str]:
        """Read the text of a paragraph; a text box anchored there follows on lines of its own."""
        yield element.text or ""
        for child in element:
            name = local_name(child)
            if name == "s":
                yield " " * whole(child, "c", most=_MOST_REPEATED)
            elif name in ("tab", "line-break"):
                yield "\t" if name == "tab" else "\n"
            elif name == "note":
                citation = next(("".join(self.inline(c)) for c in child if local_name(c) == "note-citation"), "")
                text = " ".join(self.cell(c) for c in child if local_name(c) == "note-body")
                yield f" [{citation}: {text}]" if text else ""
            elif name == "annotation":
                texts = (text for paragraph in child.iter("{*}p") for text in paragraph.itertext())
                yield f" [Comment: {' '.join(''.join(texts).split())}]"
            elif name == "text-box":
                yield "\n\n" + "".join(self.blocks(child)).strip() + "\n\n"
            elif name == "object":
                yield self.formulas.get(posixpath.normpath(attribute(child, "href") or "."), "")
            elif name and name not in _SKIPPED:
                yield from self.inline(child)
            yield child.tail or ""


def is_cell(element: etree._Element) -> bool:
    return local_name(element) in ("table-cell", "covered-table-cell")


def _spreadsheet(
    content: etree._Element, walk: _Walk, limits: Limits
) -> tuple[tuple[tuple[int, str], ...], tuple[str, ...]]:
    sheets = [element for element in content if local_name(element) == "table"]
    texts = [sheet_text(attribute(sheet, "name"), _rows(sheet, walk, limits)) for sheet in sheets]
    rows = sum(count for _, count in texts)
    note = f"The sheets' {rows:,} rows were laid out as tables with the header repeated and the sheets' row numbers."
    return ((0, "\n\n".join(text for text, _ in texts if text)),), (note,)


def _rows(sheet: etree._Element, walk: _Walk, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that hold anything, with their numbers."""
    number = size = 0
    for row in sheet.iter("{*}table-row"):
        cells: list[str] = []
        for cell in filter(is_cell, row):
            cells += [walk.cell(cell)] * whole(cell, "number-columns-repeated", most=_MOST_REPEATED)
        times = whole(row, "number-rows-repeated")
        for extra in range(min(times, _MOST_REPEATED) if any(cells) else 0):
            size += sum(map(len, cells))
            limits.check_characters(size)
            yield number + 1 + extra, cells
        number += times
