"""Parse OpenDocument files, zipped or flat: texts (odt), spreadsheets (ods) and presentations (odp)."""

import posixpath
import re
from collections.abc import Iterator, Set

from lxml import etree

from app.parsers.containers import damage_said, local_name
from app.parsers.errors import NoTextInDocument
from app.parsers.margins import marginal_text
from app.parsers.office.opendocument_numbers import Numbers, attribute, whole
from app.parsers.office.opendocument_parts import Parts, formula, parts_of
from app.parsers.office.sheets import sheet_text
from app.parsers.scripts import lowered, raised
from app.parsers.types import Draft, Limits

#: A cell or row is repeated so often at most; real files fill the rest of a sheet with empty ones.
_MOST_REPEATED = 1_000
# Deleted text is not part of the document; a style's or a form's text is nowhere on the page; "desc" is for the blind.
_SKIPPED = {
    *("tracked-changes", "forms", "sequence-decls", "title", "desc", "shapes", "ruby-text", "event-listeners"),
    "binary-data",
}
_PAGE_NUMBERS = {"page-number", "page-count"}
_KINDS = ("text", "spreadsheet", "presentation")


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text in its order, with tables, notes and comments where they stand; slides are pages.

    Raises DamagedDocument, DocumentTooLarge, EncryptedDocument, NoTextInDocument.
    """
    with damage_said("OpenDocument"):
        parts = parts_of(data, limits)
        body = next(parts.content.iter("{*}body"))
        content = next(element for element in body if local_name(element) in _KINDS)
        walk = _Walk(parts)
        notes: tuple[str, ...] = ()
        if local_name(content) == "spreadsheet":
            pages, notes = _spreadsheet(content, walk, limits)
        elif local_name(content) == "presentation":
            slides = [element for element in content if local_name(element) == "page"]
            limits.check_pages(len(slides))
            pages = tuple((number, "".join(walk.blocks(slide))) for number, slide in enumerate(slides, 1))
        else:
            text = "".join(walk.blocks(content))
            header, footer = _headers_and_footers(parts, text) if text.strip() else ("", "")
            pages = ((0, "\n\n".join((header, text, footer))),)
            has_table = next(content.iter("{*}table"), None) is not None
            notes = ("Tables were flattened: “ | ” stands between cells.",) if has_table else ()
        heading = next((walk.inline(h) for h in content.iter("{*}h")), "")
    if not any(text.strip() for _, text in pages):
        raise NoTextInDocument(
            "The OpenDocument file holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    return Draft(pages=pages, titles=(parts.title, heading), notes=notes)


def _headers_and_footers(parts: Parts, text: str) -> tuple[str, str]:
    """Read the headers and footers of the pages that the document uses, each line once."""
    said = {line.strip() for line in text.split("\n")}
    both: dict[str, list[str]] = {"header": [], "footer": []}
    walk = _Walk(parts, skipped=_SKIPPED | _PAGE_NUMBERS)
    for region in parts.margins():
        kind = local_name(region).partition("-")[0]
        both[kind].append(marginal_text(kind, "".join(walk.blocks(region)), said))
    header, footer = ("\n\n".join(filter(None, texts)) for texts in both.values())
    return header, footer


class _Walk:
    """Read the XML below an element; how deep it can be nested is bounded by the parser."""

    def __init__(self, parts: Parts, skipped: Set[str] = _SKIPPED) -> None:
        self.parts = parts
        self.skipped = skipped
        self.numbers = Numbers()
        self.numbers.add_styles(parts.styles)
        self.numbers.add_styles(parts.content)

    def blocks(self, parent: etree._Element, depth: int = 0) -> Iterator[str]:
        """Yield paragraphs, lists and tables; ``depth`` is that of a list."""
        for element in parent:
            name = local_name(element)
            if name == "h":
                number = self.numbers.next("", whole(element, "outline-level", most=10)) if depth == 0 else ""
                yield "\n" + " ".join(filter(None, (number, self.inline(element)))) + "\n\n"
            elif name == "p":
                yield "\n" + self.inline(element) + "\n" + "\n" * (depth == 0)
            elif name == "list":
                yield from self._list(element, depth + 1)
            elif name == "table":
                yield "\n" + "".join(self._table(element)) + "\n"
            elif name == "notes":
                text = "".join(self.blocks(element)).strip()
                yield f"\nSpeaker notes: {text}\n\n" if text else ""
            elif name and name not in self.skipped:
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
                yield "\n".join(self.inline(paragraph) for paragraph in paragraphs)
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

    def inline(self, element: etree._Element) -> str:
        """Read the text of a paragraph; a text box anchored there follows on lines of its own."""
        begins = local_name(element) in ("p", "h")
        pieces = [_collapsed(element.text).lstrip(" ") if begins else _collapsed(element.text)]
        for child in element:
            name = local_name(child)
            if name and name not in self.skipped:
                pieces.append(self._inside(child, name, next(filter(None, reversed(pieces[-9:])), "")))
            pieces.append(_collapsed(child.tail))
        return "".join(pieces)

    def _inside(self, element: etree._Element, name: str, before: str) -> str:
        """Read an element of a paragraph, which stands after the text `before`."""
        if name == "s":
            return " " * whole(element, "c", most=_MOST_REPEATED)
        if name in ("tab", "line-break"):
            return "\t" if name == "tab" else "\n"
        if name == "note":
            citation = next((self.inline(c) for c in element if local_name(c) == "note-citation"), "")
            text = " ".join(self.cell(c) for c in element if local_name(c) == "note-body")
            return f" [{citation}: {text}]" if text else ""
        if name == "annotation":
            texts = (text for paragraph in element.iter("{*}p") for text in paragraph.itertext())
            return f" [Comment: {' '.join(''.join(texts).split())}]"
        if name == "text-box":
            return "\n\n" + "".join(self.blocks(element)).strip() + "\n\n"
        if name == "object":
            folder = posixpath.normpath(attribute(element, "href") or ".")
            return self.parts.formulas.get(folder, "") or formula(element)
        text = self.inline(element)
        place = self.parts.places.get(attribute(element, "style-name"), "") if name == "span" else ""
        if place == "super":
            return raised(text, before)
        return lowered(text, before, element.tail or "") if place == "sub" else text


def _collapsed(text: str | None) -> str:
    return re.sub(r"[ \t\r\n]+", " ", text or "")


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
