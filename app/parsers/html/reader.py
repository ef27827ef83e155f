"""Parse HTML: the text that a reader of the page sees."""

import warnings

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, Tag, XMLParsedAsHTMLWarning

from app.parsers.encoding import declared_charset, decode
from app.parsers.html.content import find_content
from app.parsers.html.walk import text_of
from app.parsers.types import Draft, LeftOut, Limits

_LEAST_SHOWN = 200
"""Characters that a page must hide until a script runs, beyond twice what it shows, to be read as if one ran."""


def read(data: bytes, limits: Limits) -> Draft:
    source, notes = decode(data, declared_charset(data))
    soup = _parse(source)
    titles = tuple(heading.get_text(" ") for heading in (soup.title, soup.h1) if heading)
    text = text_of(soup)
    if unhidden := _without_script(soup, text):
        text = unhidden
        notes += ("The page shows its text only by a script; what it hides until then was read as well.",)
    left_out: tuple[LeftOut, ...] = ()
    if content := find_content(soup, source, len(text), bool(unhidden)):
        foreign = {id(part) for part in content.foreign}
        text = text_of(content.element, foreign)
        around = [text_of(soup, {id(content.element)}), *map(text_of, content.foreign)]
        left_out = (LeftOut("The page around its main content", "\n\n".join(filter(None, around))),)
        notes += ("Menus and what else stands around the page's main content were left out.",)
    if soup.find("table"):
        notes += ("Tables were flattened: “ | ” stands between cells.",)
    return Draft(pages=((0, text),), titles=titles, notes=notes, left_out=left_out)


def visible_text(source: str) -> str:
    """Return the text of an HTML fragment, without scripts, styles and hidden elements, a line for each block."""
    return text_of(_parse(source))


def _without_script(soup: BeautifulSoup, text: str) -> str:
    """Show what a page hides until a script runs, if that is more than `text`; return the new text, else ""."""
    hidden = [(tag, tag.name, tag.attrs) for tag in soup.find_all(_waits_for_script)]
    for tag, _, attributes in hidden:
        tag.name, tag.attrs = "div", {name: value for name, value in attributes.items() if name != "hidden"}
    shown = text_of(soup) if hidden else ""
    if len(shown) > 2 * len(text) + _LEAST_SHOWN:
        return shown
    for tag, name, attributes in hidden:
        tag.name, tag.attrs = name, attributes
    return ""


def _waits_for_script(tag: Tag) -> bool:
    return tag.name == "noscript" or (tag.name == "div" and tag.has_attr("hidden"))


def _parse(source: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        # Not html.parser: unclosed comments and tags take it quadratic time.
        return BeautifulSoup(source, "lxml")
