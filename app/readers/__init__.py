"""Bytes of a document in, plain text with offsets and pages out.

`read` is the only door. It knows nothing of segments, tokens or storage, runs nothing that a document holds
(no scripts, no macros) and opens nothing that a document points to.
"""

from . import docx, html, markdown, pdf, text
from .assemble import assemble
from .document import Limits, Page, ReadDocument, Reader
from .errors import (
    DamagedDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NoTextInDocument,
    ReadError,
    UndecodableText,
    UnsupportedDocument,
)
from .sniff import sniff

__all__ = [
    "READERS",
    "DamagedDocument",
    "DocumentTooLarge",
    "EmptyDocument",
    "EncryptedDocument",
    "Limits",
    "NoTextInDocument",
    "Page",
    "ReadDocument",
    "ReadError",
    "UndecodableText",
    "UnsupportedDocument",
    "read",
]

READERS: dict[str, tuple[str, Reader]] = {
    "pdf": ("application/pdf", pdf.read),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx.read),
    "html": ("text/html", html.read),
    "markdown": ("text/markdown", markdown.read),
    "text": ("text/plain", text.read),
}
"""Media type and reader of every kind that `sniff` returns."""

_DEFAULT_LIMITS = Limits()


def read(data: bytes, filename: str, limits: Limits = _DEFAULT_LIMITS) -> ReadDocument:
    """Plain text of one document.

    The content decides how it is read; `filename` chooses among kinds of text and is the last resort for a
    title. It is never opened.

    Raises:
        EmptyDocument, UnsupportedDocument, UndecodableText, EncryptedDocument, NoTextInDocument,
        DamagedDocument, DocumentTooLarge: all derive from `ReadError`; the message says what to do.
    """
    limits.check_size(len(data))
    if not data.strip():
        raise EmptyDocument("The file is empty; choose one that holds text.")
    kind = sniff(data, filename)
    media_type, reader = READERS[kind]
    return assemble(reader(data, limits), kind, media_type, filename, limits)
