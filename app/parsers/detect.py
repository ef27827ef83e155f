"""Detect of which kind a file is. Its content decides; its name only chooses among kinds of text."""

import io
import re
import zipfile
from collections.abc import Collection

from app.parsers.encoding import check_text
from app.parsers.errors import DamagedDocument, EncryptedDocument, UnsupportedDocument
from app.parsers.kinds import BY_NAME, BY_SUFFIX, KINDS, READABLE, Kind, suffix

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
    (b"BZh", "a bzip2 archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"SQLite format 3", "a database"),
    (b"%!PS", "a PostScript document"),
)
#: Of the entries of a zip container, and the kind that one of them tells.
_ZIP_KINDS = (
    (r"word/document\d*\.xml", "docx"),
    (r"xl/workbook\d*\.xml", "xlsx"),
    (r"ppt/presentation\d*\.xml", "pptx"),
    (r"META-INF/container\.xml", "epub"),
)
#: Of those that are read by nobody here.
_FOREIGN_ZIPS = (
    (r"xl/workbook\.bin", "a binary workbook (xlsb): save it as xlsx"),
    (r"content\.xml", "an OpenDocument file of another kind: save it as PDF"),
    (r"Index/Document\.iwa", "a Pages, Numbers or Keynote file: export it as PDF"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD_OFFICE_SUFFIXES = (".doc", ".dot", ".xls", ".ppt")
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html)\b",
    re.I | re.S,
)
_FLAT_OPENDOCUMENT = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<office:document\s[^>]*?office:mimetype=[\"']([^\"'>]{1,100})"
)
_MAIL_START = re.compile(rb"(?:[A-Za-z][\w-]{0,60}:[^\n]{0,2000}\n(?:[ \t][^\n]{0,2000}\n)*){2,200}\r?\n")
_MAIL_FIELDS = (b"from:", b"date:", b"subject:", b"to:", b"received:", b"message-id:", b"mime-version:")
_SAVED_PAGE = re.compile(rb"^content-type:\s*multipart/related", re.I | re.M)


def sniff(data: bytes, filename: str) -> Kind:
    """Detect the kind of `data`.

    Raises:
        UnsupportedDocument: binary content of no kind that is read here.
        EncryptedDocument: an Office document behind a password.
        DamagedDocument: a zip container that cannot be opened.
    """
    head = data[:1024]
    if head.lstrip(b"\xef\xbb\xbf \t\r\n\0").startswith(b"%PDF-"):
        return BY_NAME["pdf"]
    if b"%PDF-" in head and b"startxref" in data[-2048:]:
        return BY_NAME["pdf"]
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(data)
    if data.startswith(_OLE):
        return _ole_kind(data)
    if data.startswith(b"{\\rtf"):
        return BY_NAME["rtf"]
    for magic, name in _FOREIGN:
        if data.startswith(magic):
            raise UnsupportedDocument(f"The content is {name}, whatever its name says; {READABLE}.")
    flat = _FLAT_OPENDOCUMENT.match(data[:16_384])
    if flat and (kind := _kind_of_type(flat[1].decode("ascii", "replace"))):
        return kind
    check_text(data)
    return _text_kind(data, suffix(filename))


def _text_kind(data: bytes, ending: str) -> Kind:
    named = BY_SUFFIX.get(ending)
    if named and not named.certain:
        return named
    # A page saved under a suffix that is no text's (a log-in page named report.pdf, a table of a web service named
    # report.xls) is read as what it is; under a text's suffix, HTML may be source code that the user wants to see.
    if ending == "" or named or ending in _OLD_OFFICE_SUFFIXES:
        if _HTML_START.match(data[:4096]):
            return BY_NAME["html"]
        if mail := _mail_head(data[:65_536]):
            return BY_NAME["mhtml" if _SAVED_PAGE.search(mail) else "mail"]
    return BY_NAME["text"]


def _mail_head(data: bytes) -> bytes:
    """Return the header of a mail, "" if the data begins with none."""
    head = _MAIL_START.match(data)
    fields = head[0].lower() if head else b""
    known = sum(b"\n" + field in b"\n" + fields for field in _MAIL_FIELDS)
    return fields if known >= 2 else b""


def _zip_kind(data: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            entries = container.infolist()
            media_type = _declared_type(container, {entry.filename for entry in entries})
    # zipfile meets broken headers with more kinds of exception than its own.
    except Exception as error:
        raise DamagedDocument(
            "The file begins like a Word document or a zip archive but is cut off or broken; "
            "open it in its own program, save it again and retry."
        ) from error
    names = [entry.filename for entry in entries]
    by_entry = next((BY_NAME[kind] for pattern, kind in _ZIP_KINDS if _any_matches(pattern, names)), None)
    kind = _kind_of_type(media_type) or by_entry
    if kind is None:
        what = next((what for pattern, what in _FOREIGN_ZIPS if _any_matches(pattern, names)), "")
        if what:
            raise UnsupportedDocument(f"The content is {what} and retry.")
        raise UnsupportedDocument(f"The content is a zip archive, whatever its name says; {READABLE}.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise EncryptedDocument(f"The {kind.word} document is protected; save a copy without a password and retry.")
    return kind


def _declared_type(container: zipfile.ZipFile, names: Collection[str]) -> str:
    """Read what OpenDocument and EPUB files say they are."""
    if "mimetype" not in names or container.getinfo("mimetype").file_size > 200:
        return ""
    return container.read("mimetype").decode("ascii", "replace")


def _kind_of_type(media_type: str) -> Kind | None:
    """Find the kind by a media type; a template is read as what it is one of."""
    media_type = media_type.strip().removesuffix("-template")
    return next((kind for kind in KINDS if kind.certain and kind.media_type == media_type), None)


def _any_matches(pattern: str, names: Collection[str]) -> bool:
    return any(re.fullmatch(pattern, name) for name in names)


def _ole_kind(data: bytes) -> Kind:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise EncryptedDocument("The Office document needs a password; save a copy without one and retry.")
    if "__properties_version1.0".encode("utf-16-le") in data:
        return BY_NAME["msg"]
    raise UnsupportedDocument("The content is an old Office file (doc, xls or ppt); save it as docx or PDF and retry.")
