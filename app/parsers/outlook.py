"""Parse mails as Outlook stores them (msg)."""

import datetime
import io
import struct

import olefile
from compressed_rtf import decompress

from app.parsers import mail, rtf
from app.parsers.containers import damage_said
from app.parsers.encoding import declared_charset, decode
from app.parsers.errors import NoTextInDocument
from app.parsers.html import visible_text
from app.parsers.types import Draft, Limits

# Properties by number, as the format numbers them.
_SUBJECT, _BODY, _HTML, _COMPRESSED_RTF = "0037", "1000", "1013", "1009"
_SENDER_NAME, _SENDER_ADDRESSES, _TO, _CC = "0C1A", ("5D01", "0C1F"), "0E04", "0E03"
_FILE_NAMES = ("3707", "3704", "3001")
_SENT, _RECEIVED = 0x00390040, 0x0E060040
_FIRST_PROPERTY = 32
_EPOCH = datetime.datetime(1601, 1, 1)


def read(data: bytes, limits: Limits) -> Draft:
    """Read a mail's header, its body and the names of what is attached.

    Raises DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    with damage_said("Outlook"), olefile.OleFileIO(io.BytesIO(data)) as container:
        subject = _text(container, _SUBJECT)
        address = next(filter(None, (_text(container, number) for number in _SENDER_ADDRESSES)), "")
        name = _text(container, _SENDER_NAME)
        sender = f"{name} <{address}>" if name and "@" in address and address != name else name or address
        values = (subject, sender, _text(container, _TO), _text(container, _CC), _date(container))
        header = "\n".join(f"{field}: {value}" for field, value in zip(mail.FIELDS, values, strict=True) if value)
        body = _body(container).strip()
        folders = dict.fromkeys(path[0] for path in container.listdir() if path[0].startswith("__attach"))
        attached = [
            next(filter(None, (_text(container, n, folder) for n in _FILE_NAMES)), "unnamed") for folder in folders
        ]
    limits.check_characters(len(body))
    if not body and not header:
        raise NoTextInDocument("The mail holds no text; choose one that does.")
    return mail.draft(header, body, attached, subject)


def _body(container: olefile.OleFileIO) -> str:
    """Read the plain body, or else the page or the RTF that stands for it."""
    if body := _text(container, _BODY, lines=True):
        return body
    if page := _stream(container, _HTML, "0102"):
        return visible_text(decode(page, declared_charset(page))[0])
    compressed = _stream(container, _COMPRESSED_RTF, "0102")
    return rtf.plain_text(decompress(compressed).decode("latin-1")) if compressed else ""


def _text(container: olefile.OleFileIO, number: str, folder: str = "", lines: bool = False) -> str:
    text = _stream(container, number, "001F", folder).decode("utf-16-le", "replace")
    if not text and (data := _stream(container, number, "001E", folder)):
        text = decode(data)[0]
    return text.rstrip("\0") if lines else " ".join(text.rstrip("\0").split())


def _stream(container: olefile.OleFileIO, number: str, of_type: str, folder: str = "") -> bytes:
    path = [*([folder] if folder else []), f"__substg1.0_{number}{of_type}"]
    return bytes(container.openstream(path).read()) if container.exists(path) else b""


def _date(container: olefile.OleFileIO) -> str:
    """Find when the mail was sent, or else received, among the properties of fixed length."""
    path = ["__properties_version1.0"]
    data = container.openstream(path).read() if container.exists(path) else b""
    times = {}
    for at in range(_FIRST_PROPERTY, len(data) - 15, 16):
        tag, _, ticks = struct.unpack_from("<IIQ", data, at)
        times[tag] = ticks
    ticks = times.get(_SENT) or times.get(_RECEIVED)
    if not ticks or ticks > 10**18:
        return ""
    return f"{_EPOCH + datetime.timedelta(microseconds=ticks // 10):%Y-%m-%d %H:%M} UTC"
