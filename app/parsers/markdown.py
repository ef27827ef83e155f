"""Parse Markdown: the words without the markup, still laid out as headings, lists and tables."""

import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.parsers.encoding import decode
from app.parsers.html import visible_text
from app.parsers.types import Draft, Limits

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+)$", re.M | re.I)
_INDENT = "  "


def read(data: bytes, limits: Limits) -> Draft:
    text, decoding = decode(data)
    source = re.sub(r"\r\n?", "\n", text)
    limits.check_characters(len(source))
    titles, notes = [], [*decoding]
    if front := _FRONT_MATTER.match(source):
        source = source[front.end() :]
        titles += [line.strip("\"' \t") for line in _FRONT_TITLE.findall(front.group(1))[:1]]
        notes.append("The front matter was left out.")
    # The default nesting of 20 drops what lies deeper; rendering below does not recurse.
    parser = MarkdownIt("commonmark", {"maxNesting": 200}).enable(["table", "strikethrough"])
    tokens = parser.parse(source)
    titles += [_inline(tokens[i + 1]) for i, token in enumerate(tokens) if token.type == "heading_open"][:1]
    if any(token.type == "table_open" for token in tokens):
        notes.append("Tables were flattened: “ | ” stands between cells.")
    return Draft(pages=((0, "".join(_pieces(tokens))),), titles=tuple(titles), notes=tuple(notes))


def _pieces(tokens: Iterable[Token]) -> Iterable[str]:
    """Yield text and breaks, block by block; more than one blank line is mended when the document is assembled."""
    lists: list[int | None] = []  # the next number of each open list, None for bullets
    marker = ""
    tight = first_cell = False
    for token in tokens:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            lists.append(int(token.attrGet("start") or 1) if kind == "ordered_list_open" else None)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
            yield "\n" if not lists else ""
        elif kind == "list_item_open":
            number = lists[-1]
            marker = _INDENT * (len(lists) - 1) + ("- " if number is None else f"{number}. ")
            lists[-1] = None if number is None else number + 1
        elif kind == "paragraph_open":
            tight = token.hidden
        elif kind == "inline":
            yield marker + _inline(token).replace("\n", "\n" + _INDENT * len(lists))
            marker = ""
        elif kind in ("paragraph_close", "heading_close", "table_close"):
            yield "\n" if tight else "\n\n"
            tight = False
        elif kind in ("fence", "code_block"):
            yield marker + token.content + "\n"
            marker = ""
        elif kind == "html_block":
            yield marker + visible_text(token.content) + "\n\n"
            marker = ""
        elif kind == "tr_open":
            first_cell = True
        elif kind in ("th_open", "td_open"):
            yield "" if first_cell else " | "
            first_cell = False
        elif kind == "tr_close":
            yield "\n"


def _inline(token: Token) -> str:
    """Read an inline token: soft line ends as spaces, images as their description, links as their text."""
    pieces = []
    for child in token.children or []:
        if child.type in ("text", "code_inline", "text_special"):
            pieces.append(child.content)
        elif child.type == "softbreak":
            pieces.append(" ")
        elif child.type == "hardbreak" or (child.type == "html_inline" and re.match(r"<br\b", child.content, re.I)):
            pieces.append("\n")
        elif child.type == "image":
            pieces.append(_inline(child))
    return "".join(pieces)
