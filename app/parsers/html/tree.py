"""Look into an HTML tree: its children, its depth, and what of it no reader sees."""

import re
from collections.abc import Iterator

from bs4 import NavigableString, Tag

_UNSEEN = {
    *("head", "script", "style", "template", "noscript", "svg", "canvas", "object", "iframe"),
    *("datalist", "audio", "video", "rp"),
}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_LONGEST_STYLE = 1_000


def children(tag: Tag) -> list[Tag]:
    return [child for child in tag.contents if isinstance(child, Tag)]


def inside(tag: Tag) -> Iterator[Tag | NavigableString]:
    """Yield all that is in an element in its order; Beautiful Soup's own way begins with a look down to the deepest."""
    stack = list(reversed(tag.contents))
    while stack:
        node = stack.pop()
        if isinstance(node, Tag):
            yield node
            stack.extend(reversed(node.contents))
        elif isinstance(node, NavigableString):
            yield node


def is_deeper(root: Tag, depth: int) -> bool:
    """Tell whether elements are nested more than `depth` deep."""
    stack = [(root, 0)]
    while stack:
        tag, level = stack.pop()
        if level > depth:
            return True
        stack.extend((child, level + 1) for child in children(tag))
    return False


def style_of(node: Tag) -> str:
    """Return an element's style, cut where no page needs more."""
    return str(node.get("style", ""))[:_LONGEST_STYLE]


def is_hidden(node: Tag) -> bool:
    if node.name in _UNSEEN or node.has_attr("hidden"):
        return True
    return _HIDDEN_STYLE.search(style_of(node)) is not None or _is_drawn_formula(node)


def _is_drawn_formula(tag: Tag) -> bool:
    """Tell whether an element draws a formula that its neighbour holds as MathML."""
    if tag.get("aria-hidden") != "true" or tag.parent is None:
        return False
    around = f"{tag.parent.name} {tag.parent.get('class', '')}".lower()
    return "katex" in around or "mathjax" in around or "mjx-" in around
