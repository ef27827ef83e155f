"""The only place that makes HTML or Markdown from untrusted text: it escapes everything.

It knows neither documents nor memories, only strings and numbers. The classes `ccf-…` are styled in
assets/ccf.css; nothing here emits scripts, style attributes, links or ids.
"""

import html
import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

NOTICES = {"info": "i", "success": "✓", "warning": "▲", "error": "✕"}
"""Kinds of notice and the sign that tells them apart without colour."""

MAX_DIFF_WORDS = 600
"""Words compared on each side, twice what a segment holds: the time of a diff may grow with their cube."""

PROBABILITY_BANDS = (0.5, 0.8, 0.95)
"""A word of the reconstruction is marked by the first of these bounds that its probability is under."""

# gr.HTML hands its value to Handlebars and then to a JavaScript template literal.
_TEMPLATE_CHARACTERS = str.maketrans({c: f"&#{ord(c)};" for c in "`$\\{}"})
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# What turns the order of letters around (overrides, embeddings, isolates) or hides text in it (tags).
_DECEPTIVE = re.compile("[\u202a-\u202e\u2066-\u2069\u206a-\u206f\U000e0000-\U000e007f]")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\ufeff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:@=^\"'/])")

_LETTER = r"[\w\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff]"
_WORDS = re.compile(
    r"(\s*)([\u3040-\u30ff\u3400-\u9fff]"  # no spaces there: each character is compared on its own
    rf"|{_LETTER}(?:[^\s\u2013\u2014\u2026\u3040-\u30ff\u3400-\u9fff]*{_LETTER})?|\S)"
)


class _Word(NamedTuple):
    space: str
    text: str
    start: int
    end: int


def escape(text: str) -> str:
    """`text` for HTML, as content or inside a quoted attribute.

    Control characters become U+FFFD, characters that reorder or hide text become visible as [U+202E],
    invisible ones go. Newlines and tabs stay.
    """
    return html.escape(_printable(text), quote=True).translate(_TEMPLATE_CHARACTERS)


def escape_markdown(text: str) -> str:
    """`text` for Markdown, shown as it stands: nothing in it is markup, a link, an image, a list or HTML."""
    lines = []
    for line in _printable(text).replace("\t", " ").split("\n"):
        body = line.lstrip(" ")
        indent = "&nbsp;" * min(len(line) - len(body), 40)
        body = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        # Only now the rest: the entities above have no character that is escaped below.
        lines.append(indent + _MARKDOWN.sub(r"\\\1", body) if body else "")
    return "\n".join(lines)


def notice(kind: str, text: str) -> str:
    """One sentence to the user; `kind` is a key of `NOTICES`, anything else raises ValueError."""
    if kind not in NOTICES:
        raise ValueError(f"A notice is one of {', '.join(NOTICES)}, not {kind!r}.")
    role = "alert" if kind == "error" else "status"
    sign = f'<span class="ccf-sign" aria-hidden="true">{NOTICES[kind]}</span>'
    return f'<div class="ccf-notice ccf-{kind}" role="{role}">{sign}<span dir="auto">{escape(text)}</span></div>'


def document_card(
    title: str,
    facts: Sequence[tuple[str, str]] = (),
    state: str = "",
    notes: Sequence[str] = (),
    failed: bool = False,
) -> str:
    """A document's title, its state in words, (name, value) facts, and sentences about how it was read."""
    tone = " ccf-error" if failed else ""
    badge = f'<span class="ccf-state{tone}">{escape(state)}</span>' if state else ""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return (
        f'<article class="ccf-card"><header><h4 dir="auto">{escape(title)}</h4>{badge}</header>'
        + (f'<dl class="ccf-facts">{rows}</dl>' if facts else "")
        + "".join(notice("warning", note) for note in notes)
        + "</article>"
    )


def evidence(items: Sequence[tuple[str, float, str, int | None]]) -> str:
    """What an answer rests on: a block for each (label, score, text, page), the given order kept.

    `score` is a share of 0 to 1; a block opens on click or Enter and shows the original text.
    """
    if not items:
        return '<p class="ccf-empty">No evidence.</p>'
    blocks = []
    for label, score, text, page in items:
        share = min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0
        where = f'<span class="ccf-page">page {page:d}</span>' if page is not None else ""
        blocks.append(
            '<details class="ccf-chip"><summary>'
            f'<span class="ccf-label" dir="auto">{escape(label)}</span>{where}'
            f'<meter min="0" max="1" value="{share:.4f}">{share:.0%}</meter>'
            f'<span class="ccf-score">{share:.0%}</span></summary>'
            f'<blockquote class="ccf-text" dir="auto">{escape(text)}</blockquote></details>'
        )
    return f'<div class="ccf-evidence">{"".join(blocks)}</div>'


def word_diff(
    original: str,
    reconstruction: str,
    probabilities: Sequence[tuple[str, float]] | None = None,
    sides: tuple[str, str] = ("Original", "Reconstruction"),
) -> str:
    """Original beside reconstruction: missing words struck, added ones underlined, changed ones dotted.

    Args:
        probabilities: the decoder's pieces of `reconstruction` in order, each with its probability of 0 to 1.
            A word has that of its least probable piece; a bar above it and a hover text show it.
        sides: headings of the two texts.
    """
    left, right = _words(original), _words(reconstruction)
    shortened = max(len(left), len(right)) > MAX_DIFF_WORDS
    left, right = left[:MAX_DIFF_WORDS], right[:MAX_DIFF_WORDS]
    chances = _word_probabilities(right, reconstruction, probabilities or ())
    matcher = SequenceMatcher(None, [w.text for w in left], [w.text for w in right], autojunk=False)
    before, after, equal = [], [], 0
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        equal += i2 - i1 if operation == "equal" else 0
        kind = "chg" if operation == "replace" else ("del" if operation == "delete" else "ins")
        marked = operation != "equal"
        before.append(_passage(left[i1:i2], [None] * (i2 - i1), ("del", kind) if marked else None))
        after.append(_passage(right[j1:j2], chances[j1:j2], ("ins", kind) if marked else None))
    return (
        '<div class="ccf-diff"><div class="ccf-sides">'
        + _side(escape(sides[0]), "".join(before))
        + _side(escape(sides[1]), "".join(after))
        + "</div>"
        + (notice("info", f"Only the first {MAX_DIFF_WORDS:,} words are compared.") if shortened else "")
        + _legend(equal, len(left), bool(probabilities), sides)
        + "</div>"
    )


def inline_diff(before: str, after: str) -> str:
    """Both in one passage: words that only `before` has are struck, those that only `after` has underlined."""
    left, right = _words(before)[:MAX_DIFF_WORDS], _words(after)[:MAX_DIFF_WORDS]
    matcher = SequenceMatcher(None, [w.text for w in left], [w.text for w in right], autojunk=False)
    parts = []
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        if operation == "equal":
            parts.append(_passage(right[j1:j2], [None] * (j2 - j1), None))
            continue
        parts.append(_passage(left[i1:i2], [None] * (i2 - i1), ("del", "del")))
        # A passage that begins without a space would stick to the word it replaces.
        parts.append(" " if i1 < i2 and j1 == 0 < j2 else "")
        parts.append(_passage(right[j1:j2], [None] * (j2 - j1), ("ins", "ins")))
    return f'<div class="ccf-diff"><div class="ccf-text" dir="auto">{"".join(parts)}</div></div>'


def _printable(text: str) -> str:
    text = _INVISIBLE.sub("", _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))
    return _DECEPTIVE.sub(lambda match: f"[U+{ord(match.group()):04X}]", text)


def _words(text: str) -> list[_Word]:
    """Words and single punctuation marks, each with the white space before it."""
    return [_Word(match[1], match[2], match.start(2), match.end(2)) for match in _WORDS.finditer(text.rstrip())]


def _word_probabilities(words: Sequence[_Word], text: str, pieces: Sequence[tuple[str, float]]) -> list[float | None]:
    """The least probability of the pieces that overlap each word, None where no piece does.

    Each piece is looked for near the last one's end: half a character decodes to a sign that `text` lacks.
    """
    chances: list[float | None] = [None] * len(words)
    cursor = first = 0
    for piece, probability in pieces:
        start = text.find(piece, cursor, cursor + len(piece) + 16) if piece else -1
        if start < 0:
            continue
        cursor = start + len(piece)
        while first < len(words) and words[first].end <= start:
            first += 1
        index = first
        while index < len(words) and words[index].start < cursor:
            known = chances[index]
            chances[index] = probability if known is None else min(known, probability)
            index += 1
    return chances


def _passage(words: Sequence[_Word], chances: Sequence[float | None], mark: tuple[str, str] | None) -> str:
    """Words with their spaces; `mark` is the element and the class suffix of a difference."""
    if not words:
        return ""
    body = "".join(
        ("" if i == 0 else escape(word.space)) + _tinted(word.text, chance)
        for i, (word, chance) in enumerate(zip(words, chances, strict=True))
    )
    space = escape(words[0].space)
    return space + (f'<{mark[0]} class="ccf-{mark[1]}">{body}</{mark[0]}>' if mark else body)


def _tinted(word: str, chance: float | None) -> str:
    if chance is None:
        return escape(word)
    band = next((i for i, bound in enumerate(PROBABILITY_BANDS) if chance < bound), None)
    tint = "" if band is None else f' class="ccf-p{band}"'
    return f'<span{tint} title="probability {chance:.2f}">{escape(word)}</span>'


def _side(heading: str, body: str) -> str:
    shown = body or '<span class="ccf-empty">nothing</span>'
    return (
        f'<section class="ccf-side" aria-label="{heading}"><h4>{heading}</h4>'
        f'<div class="ccf-text" dir="auto">{shown}</div></section>'
    )


def _legend(equal: int, total: int, with_probabilities: bool, sides: tuple[str, str]) -> str:
    tints = "".join(
        f' <span class="ccf-p{i}">probability under {bound:g}</span>' for i, bound in enumerate(PROBABILITY_BANDS)
    )
    before, after = map(escape, sides)
    return (
        f'<p class="ccf-legend"><b>{equal:,} of {total:,}</b> words and marks of “{before}” are in “{after}”, too. '
        '<del class="ccf-del">missing</del> <ins class="ccf-ins">added</ins> '
        f'<span class="ccf-chg">changed</span>{tints if with_probabilities else ""}</p>'
    )
