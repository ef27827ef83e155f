"""Number the items of HTML lists as a browser does."""

import re
from collections.abc import Iterator

from bs4 import Tag

from app.parsers.html.tree import children, style_of
from app.parsers.numerals import written

BULLET = "-"
_NUMBER = re.compile(r"\s*([+-]?\d{1,9})")
_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]*?\b(lower|upper)-(alpha|latin|roman)\b", re.I)


def markers(ordered: Tag) -> Iterator[str]:
    """Yield the marker of each item that stands directly in an ordered list: its start, values and kind count."""
    items = [child for child in children(ordered) if child.name == "li"]
    step = -1 if ordered.has_attr("reversed") else 1
    number = _integer(ordered, "start", len(items) if step < 0 else 1)
    kind = _kind(ordered)
    for item in items:
        number = _integer(item, "value", number)
        yield f"{written(number, kind, browser=True)}."
        number += step


def _integer(tag: Tag, attribute: str, otherwise: int) -> int:
    number = _NUMBER.match(str(tag.get(attribute, "")))
    return int(number.group(1)) if number else otherwise


def _kind(ordered: Tag) -> str:
    if style := _STYLE.search(style_of(ordered)):
        letter = "i" if style.group(2).lower() == "roman" else "a"
        return letter.upper() if style.group(1).lower() == "upper" else letter
    return str(ordered.get("type", "1")).strip()
