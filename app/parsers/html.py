"""Parse HTML: the text that a reader of the page sees."""

import re
import warnings

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, NavigableString, PageElement, Tag, XMLParsedAsHTMLWarning
from bs4.element import PreformattedString

from app.parsers.encoding import declared_charset, decode
from app.parsers.types import Draft, Limits

_INVISIBLE = {
    *("head", "script", "style", "template", "noscript", "svg", "canvas", "object", "iframe"),
    *("select", "datalist", "audio", "video"),
}
_PARAGRAPH = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "blockquote", "figure"),
    *("section", "article", "header", "footer", "main"),
}
_LINE = {
    *("div", "dt", "dd", "caption", "figcaption", "address", "aside", "nav", "form", "fieldset"),
    *("legend", "details", "summary", "hr"),
}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
# Marks that cannot come from the document, since they are taken out of its text first.
_LINE_BREAK, _PARAGRAPH_BREAK, _CELL, _ROW = "\x1c", "\x1d", "\x1e", "\x1f"


def read(data: bytes, limits: Limits) -> Draft:
    source, decoding = decode(data, declared_charset(data))
    soup = _parse(source)
    titles = tuple(heading.get_text(" ") for heading in (soup.title, soup.h1) if heading)
    notes = ("Tables were flattened: “ | ” stands between cells.",) if soup.find("table") else ()
    return Draft(pages=((0, _visible(soup)),), titles=titles, notes=(*decoding, *notes))


def visible_text(source: str) -> str:
    """Return the text of an HTML fragment, without scripts, styles and hidden elements, a line for each block."""
    return _visible(_parse(source))


def _parse(source: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        # Not html.parser: unclosed comments and tags take it quadratic time.
        return BeautifulSoup(source, "lxml")


def _visible(root: Tag) -> str:
    """Walk with a stack, since a page may be nested deeper than Python's own."""
    pieces: list[str] = []
    stack: list[tuple[PageElement | str, bool]] = [(root, False)]
    while stack:
        node, preformatted = stack.pop()
        if isinstance(node, Tag):
            if node.name in _INVISIBLE or _is_hidden(node):
                continue
            before, after = _marks(node)
            pieces.append(before)
            stack.append((after, True))
            inside = preformatted or node.name in ("pre", "textarea")
            stack.extend((child, inside) for child in reversed(node.contents))
        elif isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):  # comments, doctypes, processing instructions
                pieces.append(_text(node, preformatted))
        else:
            pieces.append(str(node))
    return _lay_out("".join(pieces))


def _is_hidden(node: Tag) -> bool:
    return node.has_attr("hidden") or _HIDDEN_STYLE.search(str(node.get("style", ""))) is not None


def _marks(node: Tag) -> tuple[str, str]:
    """Choose what stands before and after an element's text."""
    if node.name == "br":
        return _LINE_BREAK, ""
    if node.name == "table":
        return "\n\n", "\n\n"
    if node.name == "tr":
        return _ROW, _LINE_BREAK
    if node.name in ("td", "th"):
        return _CELL, ""
    if node.name == "li":
        return _LINE_BREAK + "-\u00a0", _LINE_BREAK
    if node.name in _PARAGRAPH:
        return _PARAGRAPH_BREAK, _PARAGRAPH_BREAK
    return (_LINE_BREAK, _LINE_BREAK) if node.name in _LINE else ("", "")


def _text(node: str, preformatted: bool) -> str:
    text = re.sub(r"[\x1c-\x1f]", "", node)
    if not preformatted:
        return re.sub(r"[ \t\r\n\f]+", " ", text)
    # No-break spaces pass the collapsing of spaces below; later they become plain ones.
    return re.sub(r"\r\n|\r|\n", _LINE_BREAK, text).replace(" ", "\u00a0")


def _lay_out(text: str) -> str:
    """Turn marks into newlines: the stronger of two breaks wins, and blocks that fill a cell stay in its row.

    The lookbehinds keep long runs of marks linear: a match may begin only where a run begins.
    """
    text = re.sub(r" {2,}", " ", text)
    text = re.sub(r"(?<=[\n\x1c-\x1f]) | (?=[\n\x1c-\x1f])", "", text)
    text = re.sub(r"(?<![\x1c\x1d])[\x1c\x1d]*\x1f[\x1c\x1d]*\x1e?[\x1c\x1d]*", _LINE_BREAK, text)
    text = re.sub(r"(?<![\x1c\x1d])[\x1c\x1d]*\x1e[\x1c\x1d]*", " | ", text)
    text = re.sub(r"((?:^|[\x1c\x1d])-\xa0)[\x1c\x1d]+", r"\1", text)
    text = re.sub(r"(?<!\x1c)\x1c*\x1d[\x1c\x1d]*", "\n\n", text)
    return re.sub(r"\x1c+", "\n", text).strip(" ")
