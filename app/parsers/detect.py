"""Detect which parser a file needs. Its content decides; its name only chooses among kinds of text."""

import io
import re
import zipfile
from pathlib import PurePath

from app.parsers.errors import DamagedDocument, EncryptedDocument, UnsupportedDocument

HTML_SUFFIXES = {".html", ".htm", ".xhtml", ".xht"}
MARKDOWN_SUFFIXES = {".md", ".markdown", ".mdown", ".mkd"}
BINARY_SUFFIXES = {".pdf": "PDF", ".docx": "Word"}
KIND_NAMES = {"pdf": "PDF", "docx": "Word", "html": "HTML", "markdown": "Markdown", "text": "plain text"}

BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)

_READABLE = "choose a PDF, Word (docx), HTML, Markdown or plain-text file"
_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a media file"),
    (b"OggS", "a media file"),
    (b"fLaC", "a media file"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
)
_ZIP_KINDS = (
    (r"xl/workbook", "a spreadsheet"),
    (r"ppt/presentation", "a presentation"),
    (r"META-INF/container\.xml", "an e-book"),
    (r"content\.xml", "an OpenDocument file"),
    (r"", "a zip archive"),
)
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html)\b",
    re.I | re.S,
)
# Form feed, backspace and escape occur in real text files (man pages, terminal logs); these do not.
_BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b")) + b"\x7f"


def sniff(data: bytes, filename: str) -> str:
    """Detect the kind of `data`: "pdf", "docx", "html", "markdown" or "text".

    Raises:
        UnsupportedDocument: binary content that is neither PDF nor docx.
        EncryptedDocument: an Office document behind a password.
        DamagedDocument: a zip container that cannot be opened.
    """
    head = data[:1024]
    if head.lstrip(b"\xef\xbb\xbf \t\r\n\0").startswith(b"%PDF-"):
        return "pdf"
    if b"%PDF-" in head and b"startxref" in data[-2048:]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(data)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise _old_office(data)
    for magic, name in _FOREIGN:
        if data.startswith(magic):
            raise UnsupportedDocument(f"The content is {name}, whatever its name says; {_READABLE}.")
    if not data.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS[:4])) and _is_binary(data):
        raise UnsupportedDocument(f"The content is binary data, not text, whatever its name says; {_READABLE}.")
    return _text_kind(data, suffix(filename))


def suffix(filename: str) -> str:
    """Return the file name's last suffix in lower case, with its dot, or ""."""
    return PurePath(re.split(r"[\\/]", filename)[-1]).suffix.lower()


def _text_kind(data: bytes, ending: str) -> str:
    if ending in HTML_SUFFIXES:
        return "html"
    if ending in MARKDOWN_SUFFIXES:
        return "markdown"
    # A page saved under a suffix that is no text's (a log-in page named report.pdf) is read as what it is;
    # under a text's suffix, HTML may be source code that the user wants to see as such.
    no_text_suffix = ending == "" or ending in BINARY_SUFFIXES
    return "html" if no_text_suffix and _HTML_START.match(data[:4096]) else "text"


def _is_binary(data: bytes) -> bool:
    if b"\0" in data:
        return True
    sample = data[:65_536]
    strays = len(sample) - len(sample.translate(None, _BINARY_BYTES))
    return strays > max(4, len(sample) // 100)


def _zip_kind(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            entries = container.infolist()
    # zipfile meets broken headers with more kinds of exception than its own.
    except Exception as error:
        raise DamagedDocument(
            "The file begins like a Word document or a zip archive but is cut off or broken; "
            "open it in its own program, save it again and retry."
        ) from error
    names = [entry.filename for entry in entries]
    if not any(re.fullmatch(r"word/document\d*\.xml", name) for name in names):
        kind = next(kind for pattern, kind in _ZIP_KINDS if any(re.match(pattern, name) for name in names or [""]))
        raise UnsupportedDocument(f"The content is {kind}, whatever its name says; {_READABLE}.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise EncryptedDocument("The Word document is protected; save a copy without a password and retry.")
    return "docx"


def _old_office(data: bytes) -> Exception:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument("The Office document needs a password; save a copy without one and retry.")
    return UnsupportedDocument("The content is an old Office file (doc, xls or ppt); save it as docx or PDF and retry.")
