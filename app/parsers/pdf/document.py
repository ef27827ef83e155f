"""Read one PDF with two libraries: PDFium for what is printed, pypdf for what lies on the pages."""

import io
import logging

import pypdfium2
from pypdf import PageObject, PdfReader
from pypdf.errors import FileNotDecryptedError
from pypdf.generic import DictionaryObject, IndirectObject
from pypdfium2 import raw

from app.parsers.errors import DamagedDocument, EncryptedDocument
from app.parsers.pdf.annotations import fields_and_notes, with_fields
from app.parsers.pdf.columns import in_columns
from app.parsers.pdf.garbled import is_garbled
from app.parsers.pdf.lines import Line, estimated, joined, length
from app.parsers.pdf.printed import page_lines, without_size
from app.parsers.types import Limits

# pypdf logs every oddity that it repairs; what matters to a user is in the notes.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

_FORMS = 100  # of drawings in drawings that are followed


class Document:
    """A PDF as two libraries see it: PDFium reads its pages, pypdf what lies on them, and pages that PDFium cannot."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Open a PDF.

        Raises:
            EncryptedDocument, DamagedDocument, DocumentTooLarge.
        """
        self._limits = limits
        self._printed = _printed(data)
        self.structure = _structure(data)
        try:
            self.count = len(self.structure.pages) if self.structure else 0
        except MemoryError:
            raise
        except Exception:  # pypdf's documentation: broken files may cause other exceptions than its own
            self.structure, self.count = None, 0
        if self.structure is None and self._printed is not None:
            self.count = len(self._printed)
        if not self.count:
            raise damaged()
        limits.check_pages(self.count)

    def lines(self, number: int) -> list[Line]:
        """Read the lines of a page, with its fields and notes; an exception says that it cannot be read."""
        printed = self.page(number)
        parts = in_columns(page_lines(printed, self._limits)) if printed else []
        if self.structure is None:
            return joined(parts)
        page = self.structure.pages[number - 1]
        if not parts or (printed and without_size(printed)):
            other = estimated(page.extract_text())
            if length(other) > 1.2 * length(parts) and not is_garbled("\n".join(line.text for line in other)):
                parts = other
        fields, notes = fields_and_notes(page)
        lines = joined(with_fields(parts, fields))
        bottom = min((line.base for line in lines), default=0.0)
        return [*lines, *(line for i, note in enumerate(notes, 1) for line in estimated(note, bottom - 100 * i))]

    def is_unmapped(self, number: int) -> bool:
        """Tell whether no font of a page says which characters its letters are, as some embedded ones do not."""
        if self.structure is None:
            return False
        try:
            resources = self.structure.pages[number - 1].get("/Resources")
            fonts = [_dictionary(font) for font in _dictionary(_dictionary(resources).get("/Font")).values()]
            return bool(fonts) and all(map(_without_map, fonts))
        except MemoryError:
            raise
        except Exception:  # a broken font says nothing
            return False

    def title(self) -> str:
        try:
            return (self.structure.metadata.title or "") if self.structure and self.structure.metadata else ""
        except Exception:  # there are other sources of a title
            return ""

    def is_flowing_form(self) -> bool:
        """Tell whether the pages are a placeholder for a form in XML (XFA)."""
        return self._printed is not None and self._printed.get_formtype() == raw.FORMTYPE_XFA_FULL

    def page(self, number: int) -> pypdfium2.PdfPage | None:
        """Load a page as PDFium has it; nothing if PDFium does not have it, or must not have it."""
        if self._printed is None or number > len(self._printed):
            return None
        if self.structure is None:
            return self._printed[number - 1]
        try:
            return None if _draws_itself(self.structure.pages[number - 1]) else self._printed[number - 1]
        except pypdfium2.PdfiumError:
            return None


def _printed(data: bytes) -> pypdfium2.PdfDocument | None:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise EncryptedDocument("The PDF needs a password; save a copy without one and retry.") from error
        return None


def _structure(data: bytes) -> PdfReader | None:
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileNotDecryptedError
    except MemoryError:
        raise
    except Exception:  # see _Document
        return None
    return reader


def _without_map(font: DictionaryObject) -> bool:
    if "/ToUnicode" in font:
        return False
    if font.get("/Subtype") == "/Type0":
        return font.get("/Encoding") in ("/Identity-H", "/Identity-V")
    descriptor = _dictionary(font.get("/FontDescriptor"))
    embedded = any(name in descriptor for name in ("/FontFile", "/FontFile2", "/FontFile3"))
    return embedded and "/Encoding" not in font


def _draws_itself(page: PageObject) -> bool:
    """Tell whether a drawing of the page contains itself, which PDFium would follow until no memory is left."""

    followed = 0

    def repeats(resources: object, inside: frozenset[int]) -> bool:
        nonlocal followed
        drawings = _dictionary(_dictionary(resources).get("/XObject"))
        for name in drawings:
            reference = drawings.raw_get(name)
            form = _dictionary(reference)
            if form.get("/Subtype") != "/Form" or not isinstance(reference, IndirectObject):
                continue
            followed += 1
            if (
                reference.idnum in inside
                or followed > _FORMS
                or repeats(form.get("/Resources"), inside | {reference.idnum})
            ):
                return True
        return False

    return repeats(page.get("/Resources"), frozenset())


def _dictionary(value: object) -> DictionaryObject:
    value = value.get_object() if isinstance(value, IndirectObject) else value
    return value if isinstance(value, DictionaryObject) else DictionaryObject()


def damaged() -> DamagedDocument:
    return DamagedDocument("The PDF is damaged or cut off; download it again or print it to a new PDF, and retry.")
