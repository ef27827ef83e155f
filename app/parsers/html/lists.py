"""Number the items of HTML lists as a browser does."""

import re
from collections.abc import Iterator

from bs4 import Tag

from app.parsers.html.tree import children, style_of

BULLET = "-"
_NUMBER = re.compile(r"\s*([+-]?\d{1,9})")
_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]*?\b(lower|upper)-(alpha|latin|roman)\b", re.I)
_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def markers(ordered: Tag) -> Iterator[str]:
    """Yield the marker of each item that stands directly in an ordered list: its start, values and kind count."""
    items = [child for child in children(ordered) if child.name == "li"]
    step = -1 if ordered.has_attr("reversed") else 1
    number = _integer(ordered, "start", len(items) if step < 0 else 1)
    kind = _kind(ordered)
    for item in items:
        number = _integer(item, "value", number)
        yield f"{_written(number, kind)}."
        number += step


def _integer(tag: Tag, attribute: str, otherwise: int) -> int:
    number = _NUMBER.match(str(tag.get(attribute, "")))
    return int(number.group(1)) if number else otherwise


def _kind(ordered: Tag) -> str:
    if style := _STYLE.search(style_of(ordered)):
        letter = "i" if style.group(2).lower() == "roman" else "a"
        return letter.upper() if style.group(1).lower() == "upper" else letter
    return str(ordered.get("type", "1")).strip()


def _written(number: int, kind: str) -> str:
    if kind in ("a", "A") and number > 0:
        letters = ""
        while number:
            number, rest = divmod(number - 1, 26)
            letters = chr(ord(kind) + rest) + letters
        return letters
    if kind in ("i", "I") and 0 < number < 4000:
        roman = ""
        for value, sign in _ROMAN:
            times, number = divmod(number, value)
            roman += sign * times
        return roman.upper() if kind == "I" else roman
    return str(number)
