"""Turn the bytes of a document into plain text with offsets and pages.

`read_in_sandbox` is the door for files of which nothing is known, `read` does the same in this process. They know
nothing of segments, tokens or storage, run nothing that a document holds (no scripts, no macros) and open nothing
that a document points to.
"""

from importlib import import_module

from app.parsers.assemble import assemble
from app.parsers.detect import sniff
from app.parsers.errors import (
    DamagedDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    NoTextInDocument,
    ReadError,
    ReadingStopped,
    UndecodableText,
    UnsupportedDocument,
)
from app.parsers.kinds import KINDS
from app.parsers.sandbox import read_in_sandbox
from app.parsers.types import DEFAULT_LIMITS, LeftOut, Limits, Page, ReadDocument

__all__ = [
    "KINDS",
    "DamagedDocument",
    "DocumentTooLarge",
    "EmptyDocument",
    "EncryptedDocument",
    "LeftOut",
    "Limits",
    "NoTextInDocument",
    "Page",
    "ReadDocument",
    "ReadError",
    "ReadingStopped",
    "UndecodableText",
    "UnsupportedDocument",
    "read",
    "read_in_sandbox",
]


def read(data: bytes, filename: str, limits: Limits = DEFAULT_LIMITS) -> ReadDocument:
    """Read the plain text of one document.

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
    # Each kind brings a library of its own, and a process that reads one file needs one of them.
    reader = import_module(f".{kind.module}", __name__)
    return assemble(reader.read(data, limits), kind, filename, limits)
