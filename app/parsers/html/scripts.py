"""Tell what raised and lowered elements of HTML are: powers, references to notes, parts of fractions, formulas."""

import re
from itertools import islice

from bs4 import NavigableString, PageElement, Tag

from app.parsers.html.tree import inside, style_of
from app.parsers.scripts import lowered, raised

_LOOKED_AT = 30
_STYLE = re.compile(r"vertical-align\s*:\s*(super|sub)\b", re.I)
_MARKS = {"tm": "™", "sm": "℠"}
_REFERENCE = re.compile(r"reference|footnote|noteref|endnote|\bfn\b|\bcite", re.I)


def script_kind(tag: Tag) -> str:
    """Tell whether an element is raised ("sup"), lowered ("sub") or neither ("")."""
    if tag.name in ("sup", "sub"):
        return tag.name
    if tag.name == "span" and (style := _STYLE.search(style_of(tag))):
        return "sup" if style.group(1).lower() == "super" else "sub"
    return ""


def script_text(tag: Tag, text: str, before: str) -> str:
    """Write the text of a raised or lowered element that stands after `before` in its line."""
    if script_kind(tag) == "sub":
        after = tag.next_sibling[:1] if isinstance(tag.next_sibling, NavigableString) else ""
        return text if _is_fraction(_before_stroke(tag), tag) else lowered(text, before, after)
    if _is_fraction(tag, _after_stroke(tag)):
        return f" {text}" if before[-1:].isdigit() else text
    if text.lower() in _MARKS:
        return _MARKS[text.lower()]
    if text[:1].isalnum() and _is_reference(tag):
        return f"[{text}]"
    # A number at the beginning of a note.
    return f"[{text}] " if text.isalnum() and not before.strip() else raised(text, before)


def _is_reference(tag: Tag) -> bool:
    """Tell whether a raised element refers to a note: it is a link, or named so."""
    named = f"{tag.get('class', '')} {tag.get('role', '')} {tag.get('epub:type', '')} {tag.get('id', '')}"
    linked = tag.parent is not None and tag.parent.name == "a" and len(tag.parent.contents) == 1
    holds_link = any(isinstance(node, Tag) and node.name == "a" for node in islice(inside(tag), _LOOKED_AT))
    return linked or holds_link or _REFERENCE.search(named) is not None


def _is_fraction(above: Tag | None, below: Tag | None) -> bool:
    return above is not None and below is not None and (script_kind(above), script_kind(below)) == ("sup", "sub")


def _after_stroke(tag: Tag) -> Tag | None:
    stroke = tag.next_sibling
    below = stroke.next_sibling if stroke and _is_stroke(stroke) else None
    return below if isinstance(below, Tag) else None


def _before_stroke(tag: Tag) -> Tag | None:
    stroke = tag.previous_sibling
    above = stroke.previous_sibling if stroke and _is_stroke(stroke) else None
    return above if isinstance(above, Tag) else None


def _is_stroke(node: PageElement) -> bool:
    return isinstance(node, NavigableString) and node.strip() in ("/", "\u2044")
