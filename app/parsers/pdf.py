"""Parse PDF: the text layer, page by page."""

import io
import logging
import re
from collections.abc import Sequence

from pypdf import PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError

from app.parsers.errors import DamagedDocument, EncryptedDocument, NoTextInDocument, UnsupportedDocument
from app.parsers.normalise import characters, ranges
from app.parsers.pdf_paragraphs import drop_running_lines, unwrap
from app.parsers.types import Draft, Limits

# pypdf logs every oddity that it repairs; what matters to a user is in the notes.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)

_GLYPHS = str.maketrans(
    {
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
        "\uf0b7": "•",
        "\uf0a7": "▪",
        "\u00ad": "-",  # at a line end it divides a word, anywhere else `_clean` drops it
    }
)


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text of every page that has any, with paragraphs unwrapped.

    Raises:
        EncryptedDocument, UnsupportedDocument, DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    reader = _open(data)
    try:
        count = len(reader.pages)
    except MemoryError:
        raise
    except Exception as error:  # see _open
        raise _damaged() from error
    limits.check_pages(count)
    texts, unread = _extract(reader, count, limits)
    if len(unread) == count:
        raise _damaged()
    numbers = [number for number in texts if texts[number].strip()]
    if not numbers:
        raise NoTextInDocument(
            "The PDF holds pictures of pages but no text; run text recognition (OCR) on it and retry."
        )
    pages, running = drop_running_lines([texts[number] for number in numbers])
    first_line = pages[0].strip().partition("\n")[0]
    notes = []
    if b"%%EOF" not in data[-2048:]:
        notes.append("The file does not end as a PDF should; pages may be missing.")
    if unread:
        notes.append(f"{_pages(unread)} could not be read.")
    if empty := [number for number in texts if not texts[number].strip()]:
        verb = "holds" if len(empty) == 1 else "hold"
        notes.append(f"{_pages(empty)} {verb} no text (perhaps a scan).")
    if running:
        notes.append("Repeated headers and footers were left out.")
    if _unmapped(pages):
        notes.append("Many characters have no known meaning in this PDF; the text may be unreadable.")
    return Draft(tuple(zip(numbers, unwrap(pages), strict=True)), (_metadata_title(reader), first_line), tuple(notes))


def _open(data: bytes) -> PdfReader:
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileNotDecryptedError
    except FileNotDecryptedError as error:
        raise EncryptedDocument("The PDF needs a password; save a copy without one and retry.") from error
    except DependencyError as error:
        raise UnsupportedDocument(
            "The PDF is encrypted with AES; install the package cryptography, or save an unprotected copy."
        ) from error
    except MemoryError:
        raise
    # pypdf's documentation: broken files may cause other exceptions than its own.
    except Exception as error:
        raise _damaged() from error
    return reader


def _extract(reader: PdfReader, count: int, limits: Limits) -> tuple[dict[int, str], list[int]]:
    """Extract text by page number, and list the pages that could not be read."""
    texts: dict[int, str] = {}
    unread: list[int] = []
    length = 0
    for number in range(1, count + 1):
        try:
            text = reader.pages[number - 1].extract_text()
        except MemoryError:
            raise
        except Exception:  # see _open; a broken page must not cost the others, and a note names it
            unread.append(number)
            continue
        length += len(text)
        limits.check_characters(length)
        texts[number] = _clean(text)
    return texts, unread


def _clean(text: str) -> str:
    text = re.sub("\u00ad(?![ \t]*\n)", "", text)
    text = characters(text.translate(_GLYPHS))
    return re.sub(r"[ \t]+", " ", text)


def _metadata_title(reader: PdfReader) -> str:
    try:
        return (reader.metadata.title or "") if reader.metadata else ""
    except Exception:  # see _open; there are other sources of a title
        return ""


def _unmapped(pages: Sequence[str]) -> bool:
    text = "".join(pages)
    strange = sum(c == "\ufffd" or "\ue000" <= c <= "\uf8ff" for c in text)
    return strange * 20 > len(text)


def _pages(numbers: Sequence[int]) -> str:
    """Write “Page 3” or “Pages 2, 5 to 7”."""
    return f"{'Page' if len(numbers) == 1 else 'Pages'} {ranges(numbers, ' to ')}"


def _damaged() -> DamagedDocument:
    return DamagedDocument("The PDF is damaged or cut off; download it again or print it to a new PDF, and retry.")
