"""Join two pieces of a wrapped line: divided words, compounds, addresses, writing without spaces."""

import re
from collections import Counter

from app.parsers.writing_systems import EAST_ASIAN, WIDE

WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
#: Han, kana and their punctuation; Korean puts spaces between words.
UNSPACED = re.compile(f"[{EAST_ASIAN}{WIDE}]")
_DIVIDED = re.compile(r"([^\W\d_]{2,})[-\u2010]\Z")
_HANGING = re.compile(r"(?:and|or|to|und|oder|bzw|bis|et|ou|y|e|o|en|of|och|eller|og)\b")
_GLUED_AFTER = re.compile(r"\S[-\u2010\u2013\u2014/]\Z")
_WITHIN = re.compile(r"[^\W_][-\u2010]\Z")
#: Parts of compounds that hardly any other word begins with.
_PREFIXES = {"self", "well", "half", "cross"}
_ADDRESS = re.compile(r"(?:https?://|ftp://|www\.|doi\.org/)\S*\Z", re.I)
_MAIL = re.compile(r"[\w.+-]+@([\w.-]*)\Z")
_PART_OF_ADDRESS = re.compile(r"[\w~%-]*(?:[/=?&#%_~]|[\w-]\.[a-z]|\d)", re.I)


def joint(before: str, after: str, words: Counter[str]) -> tuple[bool, str]:
    """Tell whether the last sign of `before`, a hyphen, goes, and what comes between it and `after`.

    `words` counts the words of the document in small letters: a hyphen at a line end stays where the document
    writes that compound with a hyphen elsewhere, or where its parts are words and the whole is none.
    """
    token = before[-1000:].rsplit(None, 1)[-1]
    following = after.split(None, 1)[0][:1000]
    if _address_runs_on(token, following):
        return False, ""
    if _without_spaces(before, after):
        return False, ""
    divided = _DIVIDED.search(token[-60:])
    if divided and after[0].islower():
        if _HANGING.match(after):
            return False, " "
        tail = WORD.match(following)
        return not _compound(divided.group(1), tail.group() if tail else "", words), ""
    glued = _GLUED_AFTER.search(token) and not _ADDRESS.search(token) and after[0].isalnum()
    return False, "" if glued else " "


def divides(before: str, after: str) -> bool:
    """Tell whether a line ends within a word, a number or an address that goes on in the next one."""
    if not before or not after or before[-1].isspace() or after[0].isspace():
        return False
    if _WITHIN.search(before[-3:]) and after[0].isalnum():
        return True
    return _address_runs_on(before[-1000:].rsplit(None, 1)[-1], after.split(None, 1)[0][:1000])


def _without_spaces(before: str, after: str) -> bool:
    """Tell whether one side of the joint is written without spaces, or a foreign word stands in such writing."""
    ends = bool(UNSPACED.match(before[-1])), bool(UNSPACED.match(after[0]))
    return all(ends) or (any(ends) and len(UNSPACED.findall(before[-40:] + after[:40])) >= 20)


def _compound(head: str, tail: str, words: Counter[str]) -> bool:
    head, tail = head.lower(), tail.lower()
    if words[f"{head}-{tail}"] or (head in _PREFIXES and len(tail) > 3 and not words[head + tail]):
        return True
    return not words[head + tail] and len(head) > 2 and len(tail) > 3 and words[head] > 0 and words[tail] > 1


def _address_runs_on(token: str, following: str) -> bool:
    if "@" in following and token[-1] in "-_" and token[0].isalnum():
        return True
    if not (following[0].isalnum() or following[0] in "/?&#=%_~-."):
        return False
    if mail := _MAIL.search(token[-100:]):
        domain = mail.group(1)
        return (
            token[-1] in "@-"
            or (token[-1] == "." and ("." not in domain[:-1] or following[0].islower()))
            or following[0] == "."
        )
    if not _ADDRESS.search(token):
        return False
    if token[-1] in "-_=&?%#~" or following[0] in "/?&#=%_~":
        return True
    if token[-1] in ",;":
        return False
    return bool(_PART_OF_ADDRESS.match(following)) and not following[0].isupper()
