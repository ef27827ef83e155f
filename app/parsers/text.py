"""Parse plain text and source code."""

import re

from app.parsers.encoding import decode
from app.parsers.normalise import TITLE_LENGTH
from app.parsers.types import Draft, Limits


def read(data: bytes, limits: Limits) -> Draft:
    """Read text as it stands: lines are not unwrapped, since they may be code, verse or a table."""
    text, notes = decode(data)
    limits.check_characters(len(text))
    heading = _heading(text)
    return Draft(pages=((0, text),), titles=(heading,) if heading else (), notes=notes)


def _heading(text: str) -> str:
    """Take the first line, if it stands alone: that of a paragraph or of a program is no title."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text[:10_000].strip(), maxsplit=2)]
    alone = len(lines) == 1 or lines[1] == ""
    return lines[0] if alone and len(lines[0]) <= TITLE_LENGTH else ""
