"""Tell what of an HTML tree no reader sees."""

import re

from bs4 import Tag

_UNSEEN = {
    *("head", "script", "style", "template", "noscript", "svg", "canvas", "object", "iframe"),
    *("datalist", "audio", "video", "rp"),
}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)


def is_hidden(node: Tag) -> bool:
    if node.name in _UNSEEN or node.has_attr("hidden"):
        return True
    return _HIDDEN_STYLE.search(str(node.get("style", ""))) is not None or _is_drawn_formula(node)


def _is_drawn_formula(tag: Tag) -> bool:
    """Tell whether an element draws a formula that its neighbour holds as MathML."""
    if tag.get("aria-hidden") != "true" or tag.parent is None:
        return False
    around = f"{tag.parent.name} {tag.parent.get('class', '')}".lower()
    return "katex" in around or "mathjax" in around or "mjx-" in around
