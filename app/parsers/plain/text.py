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
    """Take the first line, if it stands alone or is underlined: that of a paragraph or of a program is no title."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text[:10_000].strip(), maxsplit=3)]
    if len(lines) > 2 and _is_rule(lines[0]) and lines[2] == lines[0]:
        lines = lines[1:]
    alone = len(lines) == 1 or lines[1] == "" or _is_rule(lines[1])
    return lines[0] if alone and len(lines[0]) <= TITLE_LENGTH else ""


def _is_rule(line: str) -> bool:
    return re.fullmatch(r"([=\-~^\"*#+])\1{2,}", line) is not None
