"""Parse PDF: the printed text of its pages, values of forms, notes, and pictures of text if they can be recognised."""

import time

from app.parsers.errors import NoTextInDocument
from app.parsers.pdf.document import Document, damaged
from app.parsers.pdf.garbled import is_garbled
from app.parsers.pdf.lines import Line, length
from app.parsers.pdf.paragraphs import unwrap
from app.parsers.pdf.running import Running, is_page_number, without_running_lines
from app.parsers.pdf.scans import Scans, page_numbers
from app.parsers.types import Draft, LeftOut, Limits

#: The rest is for joining paragraphs, and for a page that takes longer than was left.
_SHARE_OF_TIME = 0.75


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text of every page that has any, with paragraphs unwrapped.

    Raises:
        EncryptedDocument, DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    started = time.monotonic()
    document = Document(data, limits)
    pages, unread = _extract(document, limits)
    if len(unread) == document.count:
        raise damaged()
    scans = Scans(document, started + _SHARE_OF_TIME * limits.seconds)
    pages |= scans.recognise(pages)
    limits.check_characters(sum(length(lines) for lines in pages.values()))
    written = {number: lines for number, lines in pages.items() if lines}
    if not written:
        raise NoTextInDocument(scans.why_no_text())
    running = without_running_lines(written)
    texts = dict(zip(written, unwrap(running.pages), strict=True))
    notes: list[str] = []
    if b"%%EOF" not in data[-2048:]:
        notes.append("The file does not end as a PDF should; pages may be missing.")
    if unread:
        notes.append(f"{page_numbers(unread)} could not be read.")
    if empty := [number for number in pages if number not in written and number not in scans.late]:
        notes.append(f"{page_numbers(empty)} {'holds' if len(empty) == 1 else 'hold'} no text (perhaps a scan).")
    notes += scans.notes()
    if running.left_out:
        notes.append(_what_was_left_out(running))
    if garbled := [number for number, text in texts.items() if is_garbled(text, document.is_unmapped(number))]:
        place = "" if len(garbled) == len(texts) else f" on {page_numbers(garbled).lower()}"
        notes.append(f"Many characters have no known meaning in this PDF; the text{place} may be unreadable.")
    if document.is_flowing_form():
        notes.append("The PDF is a form that few programs show; print it to a new PDF and retry.")
    left_out = "\n".join(f"Page {number}: {text}".replace("\t", " ") for number, text in running.left_out)
    return Draft(
        tuple(texts.items()),
        (document.title(), running.first_line.replace("\t", " ")),
        tuple(notes),
        (LeftOut("Repeated headers and footers, page numbers", left_out),) if left_out else (),
    )


def _what_was_left_out(running: Running) -> str:
    numbers = sum(is_page_number(text) for _, text in running.left_out)
    copies = len(running.left_out) - numbers
    parts = [
        f"{copies} {'copy' if copies == 1 else 'copies'} of headers and footers, which are kept once" if copies else "",
        f"{numbers} page {'number' if numbers == 1 else 'numbers'}" if numbers else "",
    ]
    return f"Left out: {', and '.join(part for part in parts if part)}."


def _extract(document: Document, limits: Limits) -> tuple[dict[int, list[Line]], list[int]]:
    """Extract lines by page number, and list the pages that could not be read."""
    pages: dict[int, list[Line]] = {}
    unread: list[int] = []
    characters = 0
    for number in range(1, document.count + 1):
        try:
            lines = document.lines(number)
        except MemoryError:
            raise
        except Exception:  # a broken page must not cost the others, and a note names it
            unread.append(number)
            continue
        characters += length(lines)
        limits.check_characters(characters)
        pages[number] = lines
    return pages, unread
