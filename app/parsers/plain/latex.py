"""Parse LaTeX: its source, without comments, with accents as letters."""

import re
import unicodedata

from app.parsers.encoding import decode
from app.parsers.types import Draft, LeftOut, Limits

_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_VERBATIM = re.compile(r"\\begin\{(verbatim|lstlisting|minted)\}")
_ACCENT = re.compile(r"\\([\"'`^~=.])\s?(?:\{\\?([A-Za-z])\}|\\?([A-Za-z])(?![A-Za-z]*\{))|\\([cvuHkr])\{([A-Za-z])\}")
_MARKS = {
    **{'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307"},
    **{"c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a"},
}
_LETTERS = {
    "ss": "ß",
    "o": "ø",
    "O": "Ø",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "aa": "å",
    "AA": "Å",
    "l": "ł",
    "L": "Ł",
}
_LETTER = re.compile(r"\\(ss|oe|OE|ae|AE|aa|AA|o|O|l|L)(?:\{\}|(?![A-Za-z])\s?)")
_TITLE = re.compile(r"\\title\s*(?:\[[^\]]{0,300}\])?\{([^{}]{1,500}(?:\{[^{}]{0,200}\}[^{}]{0,300})*)\}")
_PREAMBLE = re.compile(r"\\document(class|style)\b")
_ABOUT = re.compile(r"\\(?:title|subtitle|author|date)\s*\{(?:[^{}]|\{[^{}]{0,300}\}){1,1000}\}")
_HEADING = re.compile(r"\\(?:chapter|section)\*?\{([^{}]{1,300})\}")
_COMMANDS = re.compile(r"\\[A-Za-z]+\*?\s?|\\\\|[{}]")


def read(data: bytes, limits: Limits) -> Draft:
    """Read the source as it stands, for commands say what a text is for, without the preamble but its title."""
    text, notes = decode(data)
    limits.check_characters(len(text))
    if not _VERBATIM.search(text):
        text = _COMMENT.sub(r"\1", text)
    text = _LETTER.sub(lambda m: _LETTERS[m[1]], _ACCENT.sub(_accented, text))
    preamble, begin, body = text.partition("\\begin{document}")
    left_out: tuple[LeftOut, ...] = ()
    if begin and _PREAMBLE.search(preamble):
        left_out = (LeftOut("Preamble", preamble),)
        notes = (*notes, "The preamble, which sets up the layout, was left out.")
        body = "\n".join([*(match[0] for match in _ABOUT.finditer(preamble)), body])
    matches = (pattern.search(text) for pattern in (_TITLE, _HEADING))
    titles = tuple(" ".join(_COMMANDS.sub(" ", match[1]).split()) for match in matches if match)
    return Draft(((0, body if left_out else text),), titles, notes, left_out)


def _accented(match: re.Match[str]) -> str:
    mark, letter = match[1] or match[4], match[2] or match[3] or match[5]
    return unicodedata.normalize("NFC", letter + _MARKS[mark])
