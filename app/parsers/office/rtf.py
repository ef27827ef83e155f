"""Parse RTF documents."""

import re

from striprtf.striprtf import rtf_to_text

from app.parsers.containers import damage_said
from app.parsers.errors import NoTextInDocument
from app.parsers.scripts import lowered, raised
from app.parsers.types import Draft, Limits

_TITLE = re.compile(r"\{\\title\b([^{}]{1,1000})\}")
# Pictures and embedded objects are written as digits, megabytes of them, and cannot hold text.
_DIGITS = re.compile(r"[0-9a-fA-F\r\n]{2000,}")
_INNERMOST_GROUP = re.compile(r"\{[^{}]*\}")
_NOT_SEEN = re.compile(r"\\(?:v|deleted)(?![a-z\d-])")
# The library takes quadratic time to find fonts in a table that holds anything else.
_FONT_TABLE = re.compile(r"\{\\fonttbl(?![a-z])")
_FONT = re.compile(r"\\f(\d{1,5})(?!\d)(?:(?!\\f\d)[^;]){0,60}?\\fcharset(\d{1,3})")
_SCRIPT = re.compile(r"\\(super|sub)(?![a-z\d])")
# Marks in the text, from the area for private use.
_RAISED, _LOWERED, _END = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"([{_RAISED}{_LOWERED}])([^{_RAISED}{_LOWERED}{_END}\n]{{1,60}}){_END}")
_LONGEST_FONT_TABLE = 500_000
_FIELD_CODE = re.compile(r"\{\\\*\\fldinst(?:[^{}]++|\{[^{}]*+\})*+\}")
# The library leaves these out, though they are read on the page: notes, and the text of drawn boxes.
_FOOTNOTE = re.compile(r"(?:\\\*)?\\footnote(?![a-z]) ?")
_TEXT_BOX = re.compile(r"(?:\\\*)?\\(?:shp|shpinst|shptxt)(?![a-z])")


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text without its formatting. Raises DamagedDocument, DocumentTooLarge, NoTextInDocument."""
    source = data.decode("latin-1")
    with damage_said("RTF"):
        text = plain_text(source)
        title = _TITLE.search(source[:100_000])
        titles = plain_text(f"{{\\rtf1{title[1]}}}").strip() if title else "", text.strip().partition("\n")[0]
    limits.check_characters(len(text))
    if not text.strip():
        raise NoTextInDocument(
            "The RTF document holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    notes = ("Tables were flattened: “ | ” stands between cells.",) if "\\cell" in source else ()
    return Draft(pages=((0, text),), titles=titles, notes=notes)


def plain_text(source: str) -> str:
    """Return the text of RTF; bytes beyond ASCII are taken in the code page that the document names."""
    # What is left of a field that is never closed must not come under the library's own search for links.
    source = _FIELD_CODE.sub("", _DIGITS.sub("", source)).replace("\\fldinst", "\\datafield")
    source = _INNERMOST_GROUP.sub(_group, source)
    source = _with_plain_font_table(source)
    source = _TEXT_BOX.sub("", _FOOTNOTE.sub(r"\\tab Note: ", source))
    text = re.sub(r"(?<!\n)\n*\|", "|", str(rtf_to_text(source, errors="replace")))
    text = text.replace("|\n", "\n").replace("|", " | ")
    # Characters beyond the basic plane come as two halves.
    return _with_scripts(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _group(group: re.Match[str]) -> str:
    """Leave out what is hidden, and mark what is raised or lowered, but for the signs of notes."""
    text = group[0]
    if _NOT_SEEN.search(text):
        return ""
    script = _SCRIPT.search(text)
    if script is None or _FOOTNOTE.match(group.string, group.end() + 1):
        return text
    mark = _RAISED if script[1] == "super" else _LOWERED
    return f"{{{_written(mark)}{text[1:-1]}{_written(_END)}}}"


def _written(mark: str) -> str:
    return f"\\u{ord(mark) - 65_536}?"


def _with_scripts(text: str) -> str:
    """Write raised and lowered text so that it stays apart; marks of other text are taken away."""

    def write(script: re.Match[str]) -> str:
        before = text[max(0, script.start() - 9) : script.start()].rstrip(_RAISED + _LOWERED + _END)
        if script[1] == _RAISED:
            return raised(script[2], before)
        return lowered(script[2], before, text[script.end() : script.end() + 1])

    return re.sub(f"[{_RAISED}{_LOWERED}{_END}]", "", _MARKED.sub(write, text))


def _with_plain_font_table(source: str) -> str:
    """Put a table of the fonts' numbers and character sets before the document's, which is left out."""
    table = _FONT_TABLE.search(source)
    if table is None:
        return source
    start = table.start()
    fonts = _FONT.findall(source, start, start + _LONGEST_FONT_TABLE)
    plain = "".join(f"{{\\f{number}\\fcharset{charset} x;}}\n" for number, charset in fonts)
    return f"{source[:start]}{{\\fonttbl{plain}}}{{\\datafield{source[table.end() :]}"
