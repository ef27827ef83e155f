"""Write the inline parts of Markdown: words without markup, and the signs that are none."""

# Signs that look alike are meant here.
# ruff: noqa: RUF001
import html
import re
from collections.abc import Iterator

from markdown_it.token import Token

from app.parsers.html.reader import visible_text
from app.parsers.markdown.html import elements_of, is_comment
from app.parsers.writing_systems import UNSPACED, WIDE

# In scripts without blanks between words, and in Korean, emphasis stands between letters.
_BETWEEN = f"{UNSPACED}{WIDE}\uac00-\ud7a3"
_BEFORE = re.compile(rf"[\s(\[{{\"'“‘«„—–>:;,|{_BETWEEN}-]?")
_AFTER = re.compile(rf"\Z|[\s)\]}}\"'”’»,;:!?…—–<|{_BETWEEN}-]|\.(?!\w)")
_EMPHASIS = {"em", "strong", "s"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PATH = re.compile(r"(?:\b[A-Za-z]:|(?<!\S)\\)\\\S*\Z")
_LONGEST_PATH = 200


def inline_text(token: Token) -> str:
    """Return an inline token's text: soft line ends as spaces, pictures as their description, links as their text."""
    children = token.children or []
    tags = [child for child in children if child.type == "html_inline"]
    elements = {id(tags[position]) for position in elements_of(tags)}
    pieces = list(_pieces(children, elements))
    _restore_signs(children, pieces)
    if not any(id(child) in elements and piece.strip() for child, piece in zip(children, pieces, strict=True)):
        return "".join(pieces)
    # Tags that are left mean something, as superscripts do: what reads HTML knows what.
    return visible_text(
        "".join(
            piece if id(child) in elements and piece.strip() else html.escape(piece, quote=False).replace("\n", "<br>")
            for child, piece in zip(children, pieces, strict=True)
        )
    )


def _pieces(children: list[Token], elements: set[int]) -> Iterator[str]:
    """Yield the text of each part, "" for markup but the tags of HTML elements."""
    word = ""
    for child in children:
        piece = child.content
        if child.type == "softbreak":
            piece = " "
        elif child.type == "hardbreak" or (id(child) in elements and re.match(r"<br\b", piece, re.I)):
            piece = "\n"
        elif child.type == "image":
            piece = _picture(child)
        elif child.type in ("math_inline", "math_inline_double"):
            piece = f"{child.markup}{piece}{child.markup}"
        elif child.type == "footnote_ref":
            piece = f"[^{child.meta['label']}]"
        elif child.type == "text_special" and child.markup.startswith("\\") and _PATH.search(word + child.markup):
            piece = child.markup
        elif id(child) in elements and is_comment(piece):
            piece = ""
        word = (word + piece)[-_LONGEST_PATH:]
        yield piece


def _picture(image: Token) -> str:
    """Return a picture's description, and its title where that says more."""
    text = "".join(" " if part.type == "softbreak" else part.content for part in image.children or [])
    title = str(image.attrGet("title") or "")
    return ": ".join(filter(None, (text, title))) if title not in text else text


def _restore_signs(children: list[Token], pieces: list[str]) -> None:
    """Put the signs back that Markdown takes for emphasis though words go on beside them, as in 3*4*5."""
    before, last = [], ""
    for piece in pieces:
        before.append(last)
        last = piece[-1:] or last
    after, first = [""] * len(pieces), ""
    for position in range(len(pieces) - 1, -1, -1):
        after[position] = first
        first = pieces[position][:2] or first
    opened: list[int] = []
    for position, child in enumerate(children):
        kind, _, end = child.type.rpartition("_")
        if kind not in _EMPHASIS:
            continue
        if end == "open":
            opened.append(position)
            continue
        start = opened.pop()
        name = position == start + 2 and child.markup == "__" and _NAME.fullmatch(pieces[start + 1])
        if name or not (_BEFORE.fullmatch(before[start]) and _AFTER.match(after[position])):
            pieces[start] = pieces[position] = child.markup
