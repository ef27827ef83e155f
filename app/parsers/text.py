"""Parse plain text and source code."""

import re

from app.parsers.detect import BYTE_ORDER_MARKS
from app.parsers.errors import UndecodableText, UnsupportedDocument
from app.parsers.normalise import TITLE_LENGTH
from app.parsers.types import Draft, Limits


def read(data: bytes, limits: Limits) -> Draft:
    """Read text as it stands: lines are not unwrapped, since they may be code, verse or a table."""
    text = decode(data)
    limits.check_characters(len(text))
    heading = _heading(text)
    return Draft(pages=((0, text),), titles=(heading,) if heading else ())


def decode(data: bytes) -> str:
    """Decode `data` as UTF-8, or in UTF-16 or UTF-32 where a byte-order mark says so.

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
    return text


def _heading(text: str) -> str:
    """Take the first line, if it stands alone: that of a paragraph or of a program is no title."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text[:10_000].strip(), maxsplit=2)]
    alone = len(lines) == 1 or lines[1] == ""
    return lines[0] if alone and len(lines[0]) <= TITLE_LENGTH else ""
