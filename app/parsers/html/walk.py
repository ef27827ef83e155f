"""Walk an HTML tree and write the text that a reader of the page sees."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

from bs4 import NavigableString, PageElement, Tag
from bs4.element import PreformattedString

from app.parsers.html.forms import FIELDS, field_text
from app.parsers.html.lists import BULLET, markers
from app.parsers.html.math import math_text
from app.parsers.html.scripts import script_kind, script_text
from app.parsers.html.tables import is_data, is_line, row_line, table_lines
from app.parsers.html.tree import is_hidden, style_of

_PARAGRAPH = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "pre", "blockquote", "figure"),
    *("section", "article", "header", "footer", "main", "table"),
}
_LINE = {
    *("div", "dt", "dd", "caption", "figcaption", "address", "aside", "nav", "form", "fieldset"),
    *("legend", "details", "summary", "hr", "tr", "td", "th"),
}
#: Drawn apart from whatever stands beside them, or only from each other.
_BOX = {"button", "label", "textarea"}
_INLINE = {"a", "span", "b", "strong", "em", "i", "small", "time"}
_SOURCE_CODE = {"pre", "code", "kbd", "samp", "tt"}
_BLOCK_STYLE = re.compile(r"display\s*:\s*(inline-)?(?:block|flex|grid|table)", re.I)
#: Classes of editors that split words, such as "c1", are no names.
_NAMED = re.compile(r"[a-z]{4}", re.I)
_FILE_NAME = re.compile(r"\S*\.(?:png|jpe?g|gif|svg|webp|bmp|ico)", re.I)
# Marks that cannot come from the document, since they are taken out of its text first.
_LINE_BREAK, _PARAGRAPH_BREAK, _ITEM, _APART = "\x1c", "\x1d", "\x1e", "\x1f"
_BLANK = " \u00a0" + _LINE_BREAK + _PARAGRAPH_BREAK + _ITEM + _APART
_INDENT = "\u00a0\u00a0"
_DEEPEST_LIST = 8
#: What has more pieces, or is longer, is no superscript.
_SCRIPT_PIECES, _SCRIPT_LENGTH = 60, 60


def text_of(root: Tag, without: Collection[int] = ()) -> str:
    """Return the visible text of an element, but for the elements whose `id` is in `without`.

    The walk has a stack, since a page may be nested deeper than Python's own.
    """
    pieces: list[str] = []
    numbers: dict[int, Iterator[str]] = {}
    stack: list[tuple[PageElement | Callable[[], None] | str, bool]] = [(root, False)]
    while stack:
        node, preformatted = stack.pop()
        if isinstance(node, Tag):
            if id(node) in without or is_hidden(node):
                continue
            if (leaf := _leaf(node, without)) is not None:
                pieces.append(leaf)
                continue
            before, after = _item(node, numbers) if node.name == "li" else _marks(node, preformatted)
            pieces.append(before)
            stack.append((after, True))
            if node.name == "li":
                stack.append((partial(_drop_empty, pieces, len(pieces)), True))
            elif script_kind(node):
                stack.append((partial(_set_script, pieces, len(pieces), node), True))
            inside = preformatted or node.name in ("pre", "textarea")
            stack.extend((child, inside) for child in reversed(node.contents))
        elif isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):  # comments, doctypes, processing instructions
                pieces.append(_text(node, preformatted))
        elif isinstance(node, str):
            pieces.append(node)
        elif callable(node):
            node()
    return _lay_out("".join(pieces))


def _leaf(node: Tag, without: Collection[int]) -> str | None:
    """Write an element that is not walked through, or return None."""
    if node.name in FIELDS:
        return f" {_text(field_text(node), False)} "
    if node.name == "img":
        return f" {_picture(node)} "
    if node.name == "math":
        return _text(math_text(node), False)
    if node.name == "rt":
        return f"({_text(node.get_text(), False)})"
    write = partial(text_of, without=without)
    if node.name == "table" and is_data(node):
        return _block(line for line in table_lines(node, write) if line.strip(" |"))
    if node.name == "tr" and is_line(node):
        return _block([row_line(node, write)], _LINE_BREAK)
    return None


def _block(lines: Iterable[str], around: str = _PARAGRAPH_BREAK) -> str:
    return around + _LINE_BREAK.join(lines).replace("\n", _LINE_BREAK) + around


def _picture(image: Tag) -> str:
    """Return what a picture shows, unless that is a file name or stands in its caption as well."""
    text = " ".join(_text(str(image.get("alt", "")), False).split())
    if not text or _FILE_NAME.fullmatch(text):
        return ""
    figure = next((parent for parent, _ in zip(image.parents, range(4), strict=False) if parent.name == "figure"), None)
    caption = figure.find("figcaption") if figure and len(figure.find_all("img", limit=2)) == 1 else None
    return "" if caption and text in " ".join(caption.get_text(" ").split()) else text


def _item(node: Tag, numbers: dict[int, Iterator[str]]) -> tuple[str, str]:
    """Choose what stands before and after a list's item."""
    marker = BULLET
    if node.parent is not None and node.parent.name == "ol":
        marker = next(numbers.setdefault(id(node.parent), markers(node.parent)), BULLET)
    around = zip(node.parents, range(4 * _DEEPEST_LIST), strict=False)
    depth = sum(parent.name in ("ol", "ul") for parent, _ in around) - 1
    return _LINE_BREAK + _INDENT * min(depth, _DEEPEST_LIST) + marker + _ITEM, _LINE_BREAK


def _marks(node: Tag, preformatted: bool) -> tuple[str, str]:
    """Choose what stands before and after an element's text."""
    name = node.name
    if name == "br":
        return _LINE_BREAK, ""
    if name in ("ul", "ol") and node.parent is not None and node.parent.name in ("li", "ul", "ol"):
        return _LINE_BREAK, _LINE_BREAK
    if name in _PARAGRAPH:
        return _PARAGRAPH_BREAK, _PARAGRAPH_BREAK
    if name in _LINE:
        return _LINE_BREAK, _LINE_BREAK
    if name == "q":
        return "“", "”"
    if style := _BLOCK_STYLE.search(style_of(node)):
        return (_APART, _APART) if style.group(1) else (_LINE_BREAK, _LINE_BREAK)
    if name in _BOX or "-" in name:
        return _APART, _APART
    return (_APART if not preformatted and _stands_apart(node) else "", "")


def _stands_apart(node: Tag) -> bool:
    """Tell whether an element and the one right before it are drawn apart, as far as their kinds say."""
    neighbour = node.previous_sibling
    if node.name not in _INLINE or not isinstance(neighbour, Tag) or neighbour.name not in _INLINE:
        return False
    if node.parent is not None and node.parent.name in _SOURCE_CODE:
        return False
    named = all(_NAMED.search(str(tag.get("class", ""))) for tag in (node, neighbour))
    return named or node.name == neighbour.name == "a"


def _drop_empty(pieces: list[str], start: int) -> None:
    """Take back the marker of an item that shows nothing."""
    if all(not piece.strip(_BLANK) for piece in _from(pieces, start)):
        del pieces[start - 1 :]


def _set_script(pieces: list[str], start: int, tag: Tag) -> None:
    """Rewrite a superscript or subscript whose pieces begin at `start`."""
    if len(pieces) - start > _SCRIPT_PIECES or sum(map(len, _from(pieces, start))) > _SCRIPT_LENGTH:
        return
    text = "".join(_from(pieces, start)).strip(_BLANK)
    before = re.split(r"[\x1c-\x1e]", "".join(pieces[max(0, start - 6) : start])[-20:])[-1].replace(_APART, "")
    pieces[start:] = [script_text(tag, text, before)]


def _from(pieces: list[str], start: int) -> Iterator[str]:
    return (pieces[index] for index in range(start, len(pieces)))


def _text(node: str, preformatted: bool) -> str:
    text = re.sub(r"[\x1c-\x1f]", "", node)
    if not preformatted:
        return re.sub(r"[ \t\r\n\f]+", " ", text)
    # No-break spaces pass the collapsing of spaces below; later they become plain ones.
    return re.sub(r"\r\n|\r", "\n", text).replace(" ", "\u00a0")


def _lay_out(text: str) -> str:
    """Turn marks into spaces and newlines: the stronger of two breaks wins, a block that begins an item stays in it.

    The lookbehinds keep long runs of marks linear: a match may begin only where a run begins.
    """
    text = re.sub(r"(?<=\w)\x1f+(?=\w)", " ", text).replace(_APART, "")
    text = re.sub(r" {2,}", " ", text)
    text = re.sub(r"(?<=[\n\x1c-\x1e]) | (?=[\n\x1c-\x1e])", "", text)
    text = re.sub(r"\x1e[\x1c\x1d]*", "\u00a0", text)
    text = re.sub(r"(?<!\x1c)\x1c*\x1d[\x1c\x1d]*", "\n\n", text)
    return re.sub(r"\x1c+", "\n", text).strip(" \n")
