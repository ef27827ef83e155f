"""Parse Markdown: the words without the markup, still laid out as headings, lists and tables."""

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin

from app.parsers.encoding import decode
from app.parsers.html.reader import visible_text
from app.parsers.markdown.front import split_front_matter
from app.parsers.markdown.html import escaped, holds_html
from app.parsers.markdown.inline import inline_text
from app.parsers.markdown.tables import widened
from app.parsers.types import Draft, Limits

_INDENT = "  "


def read(data: bytes, limits: Limits) -> Draft:
    text, decoding = decode(data)
    source = re.sub(r"\r\n?", "\n", text)
    limits.check_characters(len(source))
    front, title, source = split_front_matter(source)
    parser = _parser()
    env: dict = {}
    tokens = parser.parse(source, env)
    if (wide := widened(source, tokens)) != source:
        source, env = wide, {}
        tokens = parser.parse(source, env)
    titles = [title] if title else []
    titles += [inline_text(tokens[i + 1]) for i, token in enumerate(tokens) if token.type == "heading_open"][:1]
    notes = [*decoding]
    if any(token.type == "table_open" for token in tokens):
        notes.append("Tables were flattened: “ | ” stands between cells.")
    parts = [front, "".join(_pieces(tokens)), "\n".join(_unused_definitions(source, tokens, env))]
    return Draft(pages=((0, "\n\n".join(filter(None, parts))),), titles=tuple(titles), notes=tuple(notes))


def _parser() -> MarkdownIt:
    # The default nesting of 20 drops what lies deeper; rendering below does not recurse.
    parser = MarkdownIt("commonmark", {"maxNesting": 200}).enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    # Notes stay where they are written, and escapes are told from other text.
    return parser.use(footnote_plugin).disable(["footnote_tail", "footnote_inline", "text_join"])


def _unused_definitions(source: str, tokens: list[Token], env: dict) -> Iterator[str]:
    """Yield definitions of links that no link uses, for they are not seen otherwise."""
    targets = {
        str(child.attrGet("href") or child.attrGet("src"))
        for token in tokens
        for child in token.children or []
        if child.type in ("link_open", "image")
    }
    targets.add("#")  # the customary way to hide a comment
    lines = source.split("\n")
    for reference in env.get("references", {}).values():
        if reference["href"] not in targets:
            yield " ".join(line.strip() for line in lines[slice(*reference["map"])])


def _pieces(tokens: Iterable[Token]) -> Iterable[str]:
    """Yield text and breaks, block by block; more than one blank line is mended when the document is assembled."""
    lists: list[int | None] = []  # the last number of each open list, None for bullets
    marker = ""
    tight = first_cell = cell = False
    for token in tokens:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open"):
            lists.append(-1 if kind == "ordered_list_open" else None)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            lists.pop()
            yield "\n" if not lists else ""
        elif kind == "list_item_open":
            number = lists[-1]
            # As written, unless that does not count up: "1." before each item is common.
            lists[-1] = None if number is None else max(number + 1, int(token.info))
            marker += _INDENT * (len(lists) - 1) + ("- " if number is None else f"{lists[-1]}{token.markup} ")
        elif kind == "footnote_reference_open":
            marker += f"[^{token.meta['label']}]: "
        elif kind == "paragraph_open":
            tight = token.hidden
        elif kind == "inline":
            yield marker + inline_text(token).replace("\n", " / " if cell else "\n" + _INDENT * len(lists))
            marker = ""
        elif kind in ("paragraph_close", "heading_close", "table_close"):
            yield "\n" if tight else "\n\n"
            tight = False
        elif kind in ("fence", "code_block", "math_block"):
            yield marker + (f"$${token.content.strip()}$$\n" if kind == "math_block" else token.content) + "\n"
            marker = ""
        elif kind == "html_block":
            block = escaped(token.content)
            yield marker + (visible_text(block) if holds_html(block) else token.content) + "\n\n"
            marker = ""
        elif kind == "tr_open":
            first_cell = True
        elif kind in ("th_open", "td_open"):
            yield "" if first_cell else " | "
            first_cell, cell = False, True
        elif kind in ("th_close", "td_close"):
            cell = False
        elif kind == "tr_close":
            yield "\n"
