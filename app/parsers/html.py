"""Parse HTML: the text that a reader of the page sees."""

import warnings

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning

from app.parsers.encoding import declared_charset, decode
from app.parsers.html_walk import text_of
from app.parsers.types import Draft, Limits



def read(data: bytes, limits: Limits) -> Draft:
    source, decoding = decode(data, declared_charset(data))
    soup = _parse(source)
    titles = tuple(heading.get_text(" ") for heading in (soup.title, soup.h1) if heading)
    notes = ("Tables were flattened: “ | ” stands between cells.",) if soup.find("table") else ()
    return Draft(pages=((0, text_of(soup)),), titles=titles, notes=(*decoding, *notes))


def visible_text(source: str) -> str:
    """Return the text of an HTML fragment, without scripts, styles and hidden elements, a line for each block."""
    return text_of(_parse(source))


def _parse(source: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        # Not html.parser: unclosed comments and tags take it quadratic time.
        return BeautifulSoup(source, "lxml")
