"""Parse mails as Outlook stores them (msg)."""

import datetime
import io
import struct

import olefile
from compressed_rtf import decompress

from app.parsers.containers import damage_said
from app.parsers.encoding import declared_charset
from app.parsers.errors import NoTextInDocument
from app.parsers.html.reader import visible_text
from app.parsers.mail import message as mail
from app.parsers.office import rtf
from app.parsers.types import Draft, Limits

# Properties by number, as the format numbers them.
_SUBJECT, _BODY, _HTML, _COMPRESSED_RTF = "0037", "1000", "1013", "1009"
_SENDER_NAME, _SENDER_ADDRESSES, _TO, _CC = "0C1A", ("5D01", "0C1F"), "0E04", "0E03"
_FILE_NAMES = ("3707", "3704", "3001")
_SENT, _RECEIVED = 0x00390040, 0x0E060040
_CODE_PAGE, _INTERNET_CODE_PAGE = 0x3FFD0003, 0x3FDE0003
# Code pages of the internet, and those of Windows in which Outlook keeps the same text; 1250 to 1258 go by number.
_CHARSETS = {
    **{932: "shift_jis", 936: "gbk", 949: "euc-kr", 950: "big5", 874: "windows-874", 65001: "utf-8"},
    **dict.fromkeys((50220, 50221, 50222, 51932), "shift_jis"),
    **dict.fromkeys((20866, 21866, 28595), "windows-1251"),
    **{28592: "windows-1250", 28597: "windows-1253", 28599: "windows-1254", 51949: "euc-kr", 54936: "gb18030"},
    **{28598: "windows-1255", 38598: "windows-1255", 28596: "windows-1256", 28594: "windows-1257"},
}
_FIRST_PROPERTY = 32
_EPOCH = datetime.datetime(1601, 1, 1)


def read(data: bytes, limits: Limits) -> Draft:
    """Read a mail's header, its body and the names of what is attached.

    Raises DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    with damage_said("Outlook"), olefile.OleFileIO(io.BytesIO(data)) as container:
        stored = _Stored(container, len(data))
        subject = stored.text(_SUBJECT)
        address = next(filter(None, map(stored.text, _SENDER_ADDRESSES)), "")
        name = stored.text(_SENDER_NAME)
        sender = f"{name} <{address}>" if name and "@" in address and address != name else name or address
        values = (subject, sender, stored.text(_TO), stored.text(_CC), stored.date())
        header = "\n".join(f"{field}: {value}" for field, value in zip(mail.FIELDS, values, strict=True) if value)
        body = stored.body().strip()
        folders = dict.fromkeys(path[0] for path in container.listdir() if path[0].startswith("__attach"))
        attached = [
            next(filter(None, (stored.text(number, folder) for number in _FILE_NAMES)), "unnamed") for folder in folders
        ]
    limits.check_characters(len(body))
    if not body and not header:
        raise NoTextInDocument("The mail holds no text; choose one that does.")
    return mail.draft(header, body, attached, subject)


class _Stored:
    """The properties of a mail, of which texts are streams of their own."""

    def __init__(self, container: olefile.OleFileIO, nbytes: int) -> None:
        self._container = container
        self._nbytes = nbytes
        self._check(container.num_mini_fat_sectors * container.sector_size)
        self._check(container.root.size)
        data = self._read(["__properties_version1.0"])
        self._numbers: dict[int, int] = {}
        for at in range(_FIRST_PROPERTY, len(data) - 15, 16):
            tag, _, value = struct.unpack_from("<IIQ", data, at)
            self._numbers[tag] = value
        page = (self._numbers.get(_CODE_PAGE) or self._numbers.get(_INTERNET_CODE_PAGE, 0)) & 0xFFFFFFFF
        self._charset = _CHARSETS.get(page) or (f"windows-{page}" if 1250 <= page <= 1258 else "")

    def body(self) -> str:
        """Read the plain body, or else the page or the RTF that stands for it."""
        if body := self.text(_BODY, lines=True):
            return body
        if page := self._stream(_HTML, "0102"):
            return visible_text(mail.decode_bytes(page, declared_charset(page)))
        compressed = self._stream(_COMPRESSED_RTF, "0102")
        return rtf.plain_text(decompress(compressed).decode("latin-1")) if compressed else ""

    def text(self, number: str, folder: str = "", lines: bool = False) -> str:
        text = self._stream(number, "001F", folder).decode("utf-16-le", "replace")
        if not text and (data := self._stream(number, "001E", folder)):
            text = mail.decode_bytes(data.rstrip(b"\0"), self._charset)
        return text.rstrip("\0") if lines else " ".join(text.rstrip("\0").split())

    def date(self) -> str:
        """Tell when the mail was sent, or else received."""
        ticks = self._numbers.get(_SENT) or self._numbers.get(_RECEIVED)
        if not ticks or ticks > 10**18:
            return ""
        return f"{_EPOCH + datetime.timedelta(microseconds=ticks // 10):%Y-%m-%d %H:%M} UTC"

    def _stream(self, number: str, of_type: str, folder: str = "") -> bytes:
        return self._read([*([folder] if folder else []), f"__substg1.0_{number}{of_type}"])

    def _read(self, path: list[str]) -> bytes:
        if not self._container.exists(path):
            return b""
        self._check(self._container.get_size(path))
        return bytes(self._container.openstream(path).read())

    def _check(self, declared: int) -> None:
        """Raise ValueError for a part that is said to be larger than the file: the library would go round in it."""
        if declared > self._nbytes:
            raise ValueError(f"a part of {declared} bytes in a file of {self._nbytes}")
