"""Decode the bytes of a text."""

from app.parsers.detect import BYTE_ORDER_MARKS
from app.parsers.errors import UndecodableText, UnsupportedDocument


def decode(data: bytes, declared: str = "") -> tuple[str, tuple[str, ...]]:
    """Decode `data` as UTF-8, or in UTF-16 or UTF-32 where a byte-order mark says so; return it with notes.

    `declared` is the encoding that the document itself names, if it does.

    Raises:
        UndecodableText: invalid in that encoding.
        UnsupportedDocument: it decodes, but to characters that no text holds.
    """
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().replace("-SIG", "")
        raise UndecodableText(
            f"The text is not valid {name} (first at byte {error.start:,}); open it in an editor, "
            "save it with the encoding UTF-8 and retry."
        ) from error
    if encoding not in ("utf-8", "utf-8-sig") and "\0" in text:
        raise UnsupportedDocument("The content is binary data, not text; choose a document that holds text.")
    return text, ()
