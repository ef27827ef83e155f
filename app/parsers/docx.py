"""Parse Word documents (docx): body text in reading order, with tables, text boxes and notes."""

import io
import re
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from lxml import etree

from app.parsers.errors import DamagedDocument, NoTextInDocument, UnsupportedDocument
from app.parsers.types import Draft, Limits

_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
# Properties hold no text; deleted and moved-away text is not part of the document; a fallback repeats its
# neighbour for older programs.
_SKIPPED = {qn(name) for name in ("w:pPr", "w:rPr", "w:tblPr", "w:tcPr", "w:trPr", "w:sectPr", "w:del", "w:moveFrom")}
_SKIPPED.add("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback")
_CHARACTERS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
_NOTE_MARKS = (qn("w:footnoteReference"), qn("w:endnoteReference"))
_NOTE_PARTS = (RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES)


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text by walking the XML: python-docx's own paragraphs lack content controls and tracked insertions.

    Raises:
        DocumentTooLarge: a zip bomb, by the sizes that the container declares (and that unpacking enforces).
        DamagedDocument, UnsupportedDocument, NoTextInDocument.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        limits.check_zip([(entry.compress_size, entry.file_size) for entry in container.infolist()])
    try:
        document = docx.Document(io.BytesIO(data))
        text = "".join((*_blocks(document.element.body), *_footnotes(document)))
        titles = _titles(document, text)
        has_table = document.element.body.find(f".//{_TABLE}") is not None
    except MemoryError:
        raise
    # A broken package surfaces as anything from a missing part to a failed checksum.
    except Exception as error:
        if _is_template_or_macros(data):
            raise UnsupportedDocument(
                "The Word file is a template or holds macros; save it as docx and retry."
            ) from error
        raise DamagedDocument("The Word document is damaged; open it in Word, save it again and retry.") from error
    if not text.strip():
        raise NoTextInDocument(
            "The Word document holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    notes = ("Tables were flattened: “ | ” stands between cells.",) if has_table else ()
    return Draft(pages=((0, text),), titles=titles, notes=notes)


def _is_template_or_macros(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            types = container.read("[Content_Types].xml")
    except Exception:  # too damaged to tell, as the caller then says
        return False
    return b"macroEnabled.main" in types or b"template.main" in types


def _titles(document: Document, text: str) -> tuple[str, ...]:
    """Metadata, then the first paragraph in a title's or heading's style, then the first line."""
    styled = (
        paragraph.text
        for paragraph in document.paragraphs[:200]
        if paragraph.style is not None and re.match(r"Title|Heading \d", paragraph.style.name or "")
    )
    return document.core_properties.title or "", next(styled, ""), text.strip().partition("\n")[0]


def _blocks(parent: etree._Element) -> Iterator[str]:
    """Yield the paragraphs and tables below `parent`, each with the newlines that end it."""
    for element in parent:
        if element.tag == _PARAGRAPH:
            text = "".join(_runs(element))
            yield f"- {text}\n" if text.strip() and _is_list_item(element) else f"\n{text}\n\n"
        elif element.tag == _TABLE:
            yield "\n"
            yield from (_row(row, element) + "\n" for row in element.iter(_ROW) if _nearest_table(row) is element)
            yield "\n"
        elif element.tag not in _SKIPPED:
            yield from _blocks(element)


def _is_list_item(paragraph: etree._Element) -> bool:
    """Tell a list item: Word writes the numbering into the paragraph, others leave it to the style."""
    if paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None:
        return True
    style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return style is not None and re.match(r"List(Bullet|Number)", style.get(qn("w:val"), "")) is not None


def _row(row: etree._Element, table: etree._Element) -> str:
    cells = (cell for cell in row.iter(_CELL) if _nearest_table(cell) is table)
    return " | ".join(" ".join("".join(_blocks(cell)).split()) for cell in cells)


def _nearest_table(element: etree._Element) -> etree._Element | None:
    return next(element.iterancestors(_TABLE), None)


def _runs(element: etree._Element) -> Iterator[str]:
    """Read the text of a paragraph; a text box anchored there follows on lines of its own."""
    for child in element:
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        elif child.tag in _NOTE_MARKS:
            yield f"[{child.get(qn('w:id'))}]"
        elif child.tag == qn("w:txbxContent"):
            yield "\n\n" + "".join(_blocks(child)).strip() + "\n\n"
        elif child.tag not in _SKIPPED:
            yield from _runs(child)


def _footnotes(document: Document) -> Iterator[str]:
    for relation in document.part.rels.values():
        if relation.reltype in _NOTE_PARTS and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            for note in etree.fromstring(relation.target_part.blob, parser):
                text = " ".join("".join(_blocks(note)).split())
                if text:
                    yield f"\n[{note.get(qn('w:id'))}] {text}\n"
