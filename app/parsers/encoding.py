"""Decode the bytes of a text: by its mark, as UTF-8, as it says itself, or else as is likeliest."""

import codecs
import re

from app.parsers.errors import UndecodableText, UnsupportedDocument
from app.parsers.kinds import READABLE

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w-]+)", re.I)
_TRUSTED_CHARSET = re.compile(
    r"iso-8859-\d+|windows-(125\d|874)|latin-?1|us-ascii|shift[_-]jis|windows-31j|euc-(jp|kr)|iso-2022-jp"
    r"|gb(2312|k|18030)|big5|koi8-[ru]|tis-620|macintosh|ibm(850|866)|utf-16([lb]e)?",
    re.I,
)
# Whoever writes such a name means the larger set of characters, as browsers take it.
_LARGER = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "us-ascii", "windows-1252"), "cp1252"),
    **dict.fromkeys(("shift_jis", "shift-jis", "windows-31j"), "cp932"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("tis-620", "windows-874", "iso-8859-11", "iso8859-11"), "cp874"),
    **{"iso8859-1": "cp1252", "iso-8859-9": "cp1254", "iso8859-9": "cp1254", "euc-kr": "cp949"},
}
_SPOKEN = {
    **{"cp932": "Shift_JIS", "cp949": "Korean (CP949)", "cp874": "Thai (Windows-874)", "mac-roman": "Mac Roman"},
    **{"shift-jis-2004": "Shift_JIS", "euc-jis-2004": "EUC-JP", "big5hkscs": "Big5", "iso2022-jp-2": "ISO-2022-JP"},
    **{"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"},
}
# Form feed, backspace and escape occur in real text files (man pages, terminal logs); these do not.
_BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b")) + b"\x7f"
_STRAY = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f\ufffe\uffff\ufdd0-\ufdef]")
_BAD_BYTES = re.compile("[\udc00-\udcff]+")
_HALF = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")
_SAMPLE = 65_536
_MARK_BAD_BYTES = "app.parsers.encoding"


def _mark_bad_bytes(error: UnicodeError) -> tuple[str, int]:
    """Stand in for bytes that cannot be decoded, each by a lone surrogate, whatever the codec."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK_BAD_BYTES, _mark_bad_bytes)


def decode(data: bytes, declared: str = "") -> tuple[str, tuple[str, ...]]:
    """Decode `data`; return the text with notes on what was guessed and how many bytes were replaced.

    `declared` is the encoding that the document itself names, if it does. Valid UTF-8 is UTF-8 whatever it says.

    Raises:
        UnsupportedDocument: the bytes are those of no text.
        UndecodableText: too many of them are none in the encoding that the document names.
    """
    encoding, guessed = _choose(data, declared.strip().lower())
    text = data.decode(encoding, _MARK_BAD_BYTES)
    text, bad = _replace_bad_bytes(text)
    most = max(4, len(data) // 100)
    if encoding not in ("utf-8", "utf-8-sig") and bad > most:
        raise UndecodableText(
            f"The text is not valid {_spoken(encoding)} ({bad:,} bytes are none); open it in an editor, "
            "save it with the encoding UTF-8 and retry."
        )
    strays = len(_STRAY.findall(text[:_SAMPLE]))
    if strays > max(1 if guessed else 4, len(text[:_SAMPLE]) // 100):
        raise _no_text()
    notes = [f"The file does not say its encoding; it was read as {_spoken(encoding)}."] if guessed else []
    if bad:
        count = "1 byte that is no {0} was" if bad == 1 else f"{bad:,} bytes that are no {{0}} were"
        notes.append(f"{count.format(_spoken(encoding))} replaced by “\ufffd”.")
    return text, tuple(notes)


def declared_charset(data: bytes) -> str:
    """Find the encoding that a page or an XML document names in its beginning."""
    declared = _CHARSET.search(data[:2048])
    return declared.group(1).decode("ascii", "replace") if declared else ""


def check_text(data: bytes) -> None:
    """Refuse bytes that are those of no text in any encoding; raises `UnsupportedDocument`."""
    if not data.startswith(tuple(mark for mark, _ in _BYTE_ORDER_MARKS)) and _is_binary(data) and not _wide(data):
        raise _no_text()


def _choose(data: bytes, declared: str) -> tuple[str, bool]:
    """Choose the encoding, and tell whether it is a guess."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding, False
    characters, bad = _count_utf8(data)
    length = len(data[:_SAMPLE])
    if _strays(data) > max(4, length // (50 if bad else 10)) and (wide := _wide(data)):
        return wide, True
    if not bad:
        # Escapes switch the character set there; all bytes are ASCII.
        shifted = re.search(rb"\x1b[$(][@BJ]", data[:_SAMPLE]) is not None
        return ("iso-2022-jp", not declared) if shifted and not characters else ("utf-8", False)
    few_bad = bad <= characters or (bad <= 2 and declared in ("utf-8", "utf8"))
    if few_bad:
        return "utf-8", False
    if _TRUSTED_CHARSET.fullmatch(declared):
        return _LARGER.get(declared, declared), False
    return _guess(data), True


def _count_utf8(data: bytes) -> tuple[int, int]:
    """Count characters of several bytes that are valid UTF-8, and bytes that are not."""
    text = data.decode("utf-8", "surrogateescape")
    bad = sum(len(run) for run in _BAD_BYTES.findall(text))
    # Halves of surrogate pairs are not valid, but nothing else than UTF-8 has them.
    halves = 3 * len(_HALF.findall(text))
    return len(text) - len(text.encode("ascii", "ignore")) - bad + halves, bad


def _guess(data: bytes) -> str:
    # A library that texts in UTF-8 have no use for.
    from app.parsers.likeliest_encoding import likeliest_encoding

    likeliest = likeliest_encoding(data)
    if not likeliest:
        raise _no_text()
    return _LARGER.get(likeliest, likeliest)


def _wide(data: bytes) -> str:
    from app.parsers.likeliest_encoding import wide_encoding

    return wide_encoding(data)


def _is_binary(data: bytes) -> bool:
    return _strays(data) > max(4, len(data[:_SAMPLE]) // 100)


def _strays(data: bytes) -> int:
    sample = data[:_SAMPLE]
    return len(sample) - len(sample.translate(None, _BINARY_BYTES))


def _replace_bad_bytes(text: str) -> tuple[str, int]:
    bad = 0

    def count(run: re.Match[str]) -> str:
        nonlocal bad
        bad += len(run[0])
        return "\ufffd"

    return _BAD_BYTES.sub(count, text), bad


def _spoken(encoding: str) -> str:
    name = encoding.lower().replace("_", "-").removesuffix("-sig")
    return _SPOKEN.get(name) or re.sub(r"^(CP|WINDOWS-)(?=125\d$)", "Windows-", name.upper())


def _no_text() -> UnsupportedDocument:
    return UnsupportedDocument(f"The content is binary data, not text, whatever its name says; {READABLE}.")
