"""Tell HTML in Markdown from text in angle brackets, such as placeholders and generics."""

import re

from markdown_it.token import Token

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)(?=[\s/>])([^<>]*)>")
_ELEMENTS = {
    *("a", "abbr", "acronym", "address", "area", "article", "aside", "audio", "b", "base", "bdi", "bdo", "big"),
    *("blockquote", "body", "br", "button", "canvas", "caption", "center", "cite", "code", "col", "colgroup"),
    *("data", "datalist", "dd", "del", "details", "dfn", "dialog", "dir", "div", "dl", "dt", "em", "embed"),
    *("fieldset", "figcaption", "figure", "font", "footer", "form", "frame", "frameset", "h1", "h2", "h3", "h4"),
    *("h5", "h6", "head", "header", "hgroup", "hr", "html", "i", "iframe", "img", "input", "ins", "kbd", "label"),
    *("legend", "li", "link", "main", "map", "mark", "math", "menu", "meta", "meter", "nav", "nobr", "noscript"),
    *("object", "ol", "optgroup", "option", "output", "p", "param", "picture", "pre", "progress", "q", "rp"),
    *("rt", "ruby", "s", "samp", "script", "search", "section", "select", "small", "source", "span", "strike"),
    *("strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td", "template", "textarea", "tfoot"),
    *("th", "thead", "time", "title", "tr", "track", "tt", "u", "ul", "var", "video", "wbr"),
}
_EMPTY = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track"),
    *("wbr"),
}
_ALWAYS_EMPTY = {
    *("br", "hr", "wbr"),
}
#: Without an end, these would hide whatever follows.
_HIDING = {
    *("audio", "canvas", "datalist", "head", "iframe", "noscript", "object", "script", "select", "style", "svg"),
    *("template", "textarea", "title", "video"),
}


def name_of(tag: str) -> str:
    """Return the name of the element that a tag opens or closes, or "" if HTML has none of that name."""
    match = _TAG.match(tag)
    name = match.group(2).lower() if match else ""
    return name if name in _ELEMENTS else ""


def holds_html(block: str) -> bool:
    """Tell whether any tag of an HTML element, or a comment, is in an escaped block."""
    return _TAG.search(block) is not None or "<!--" in block


def is_comment(text: str) -> bool:
    return text.startswith("<!--") and text.endswith("-->")


def elements_of(tags: list[Token]) -> set[int]:
    """Choose by position the inline tags that are HTML: comments, and tags that have a counterpart."""
    chosen: set[int] = set()
    waiting: dict[str, list[int]] = {}
    for position, token in enumerate(tags):
        name = name_of(token.content)
        if is_comment(token.content) or (name in _EMPTY and (name in _ALWAYS_EMPTY or "=" in token.content)):
            chosen.add(position)
        elif name and token.content.startswith("</"):
            if waiting.get(name):
                chosen |= {position, waiting[name].pop()}
        elif name:
            waiting.setdefault(name, []).append(position)
    return chosen


def escaped(block: str) -> str:
    """Escape what is no HTML in a block that Markdown takes for HTML."""
    closed = {match.group(2).lower() for match in _TAG.finditer(block) if match.group(1)}

    def keep(match: re.Match[str]) -> str:
        name = match.group(2).lower()
        known = name in _ELEMENTS and (name not in _HIDING or name in closed)
        return match.group() if known else match.group().replace("<", "&lt;")

    parts = re.split(r"(<!--.*?-->)", block, flags=re.S) if "-->" in block else [block]
    return "".join(part if is_comment(part) else _strays(_TAG.sub(keep, part)) for part in parts)


def _strays(part: str) -> str:
    """Escape angle brackets that open no tag."""
    return re.sub(r"<(?!/?[A-Za-z][A-Za-z0-9-]*(?=[\s/>])[^<>]*>)", "&lt;", part)
