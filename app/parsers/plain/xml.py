"""Parse XML: what its elements and attributes hold, by their names."""

import re
from collections.abc import Iterator

from lxml import etree

from app.parsers.containers import local_name, xml_of
from app.parsers.encoding import declared_charset, decode
from app.parsers.html.reader import visible_text
from app.parsers.types import Draft, Limits

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_MARKUP = re.compile(r"<(?:p|a|br|div|span|ul|ol|li|img|table|h[1-6]|strong|em|b|i)\b[^<>]{0,2000}>", re.I)
_MANY_ATTRIBUTES = 1_000
_TITLES = ("title", "name", "subject")


def read(data: bytes, limits: Limits) -> Draft:
    """Read an element a line, indented by its depth; what is not well-formed is read as it stands, with a note."""
    text, notes = decode(data, declared_charset(data))
    limits.check_characters(len(text))
    source = _DECLARATION.sub("", text, count=1)
    try:
        root = xml_of(source.encode("utf-8", "replace"))
    except etree.XMLSyntaxError:
        return Draft(pages=((0, text),), notes=(*notes, "The XML is not well-formed; it was read as plain text."))
    titles = (" ".join(e.text.split()) for e in root.iter() if local_name(e).lower() in _TITLES and e.text)
    return Draft(pages=((0, "".join(_lines(root))),), titles=(next(titles, ""),), notes=notes)


def _lines(root: etree._Element) -> Iterator[str]:
    """Walk with a stack; text between elements makes a paragraph, in which inner elements lose their names."""
    stack: list[tuple[etree._Element, int]] = [(root, 0)]
    while stack:
        element, depth = stack.pop()
        attributes = "".join(f" {etree.QName(name).localname}={value}" for name, value in _attributes(element))
        is_prose = _holds_text_between(element)
        text = "".join(element.itertext()) if is_prose else element.text or ""
        # Feeds hold pages as text.
        text = " ".join((visible_text(text) if _MARKUP.search(text) else text).split())
        yield f"{' ' * depth}{local_name(element)}{attributes}{f': {text}' if text else ''}\n"
        if not is_prose:
            stack.extend((child, depth + 1) for child in reversed(element) if local_name(child))


def _attributes(element: etree._Element) -> Iterator[tuple[str, str]]:
    # Of an element with very many, listing them directly takes quadratic time.
    if len(element.attrib) < _MANY_ATTRIBUTES:
        yield from element.items()
    else:
        yield from ((str(value.attrname), str(value)) for value in element.xpath("@*"))


def _holds_text_between(element: etree._Element) -> bool:
    return any(child.tail and child.tail.strip() for child in element)
