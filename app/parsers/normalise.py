"""Normalise what all kinds of text have in common: characters, blank lines, titles, ranges of numbers."""

import re
import unicodedata
from collections.abc import Iterable

from app.parsers.kinds import base_name
from app.parsers.made_up_titles import is_made_up, without_program, without_suffix

TITLE_LENGTH = 120

_LINE_END = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufdd0-\ufdef\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FORMAT = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def characters(text: str) -> str:
    """Bring text into NFC, "\\n" for every kind of line end, without control characters but "\\n" and "\\t".

    No-break spaces become spaces; soft hyphens and byte-order marks go; a lone surrogate, which no encoding
    can store, becomes U+FFFD.
    """
    text = _LINE_END.sub("\n", text)
    text = _SURROGATE.sub("\ufffd", _UNWANTED.sub("", text)).replace("\u00a0", " ")
    return unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """Remove white space at line ends, newlines beyond two in a row, and blank lines around the text."""
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def title(candidates: tuple[str, ...], filename: str) -> str:
    """Choose the first candidate that no program made up, else the file's name without its suffix.

    At most 120 characters on one line, without control, bidirectional or other invisible ones; not escaped.
    """
    stem = re.sub(r"(?<=.)\.\w{1,10}$", "", base_name(filename))
    lines = [without_program(_shortened(candidate)) for candidate in candidates]
    # The name of the file that a document was made of is better than none.
    for line in (*lines, *map(without_suffix, lines), _shortened(stem.replace("_", " "))):
        if any(c.isalnum() for c in line) and not is_made_up(line):
            return line
    return _shortened(stem) or "Untitled"


def one_line(text: str) -> str:
    """Cut a text to 120 visible characters on one line, without control or bidirectional ones; not escaped."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:TITLE_LENGTH]


def ranges(numbers: Iterable[int], to: str = "-") -> str:
    """Join numbers into ranges: {0, 1, 2, 3, 7} -> ``"0-3, 7"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}{to}{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _shortened(text: str) -> str:
    line = " ".join(_FORMAT.sub("", characters(text[: 20 * TITLE_LENGTH])).split())
    if len(line) <= TITLE_LENGTH:
        return line
    cut = line[: TITLE_LENGTH - 1]
    head, _, _ = cut.rpartition(" ")
    return (head if len(head) > TITLE_LENGTH // 2 else cut).rstrip() + "…"
