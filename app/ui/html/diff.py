"""Show the difference of two texts, word by word. Classes ``ccf-…`` are styled in assets/ccf.css."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from app.ui.html.elements import notice
from app.ui.html.escape import escape

#: Words compared on each side, twice what a segment holds: the time of a diff may grow with their cube.
MAX_DIFF_WORDS = 600
#: A word of the reconstruction is marked by the first of these bounds that its probability is under.
PROBABILITY_BANDS = (0.5, 0.8, 0.95)

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


def word_diff(
    original: str,
    reconstruction: str,
    probabilities: Sequence[tuple[str, float]] | None = None,
    sides: tuple[str, str] = ("Original", "Reconstruction"),
) -> str:
    """Show two texts side by side: missing words struck, added ones underlined, changed ones dotted.

    Args:
        probabilities: the decoder's pieces of ``reconstruction`` in order, each with its probability of 0 to 1.
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
        before.append(_passage(left[i1:i2], ("del", kind) if marked else None))
        after.append(_passage(right[j1:j2], ("ins", kind) if marked else None, chances[j1:j2]))
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
    """Show two texts as one: words that only ``before`` has are struck, those that only ``after`` has underlined."""
    left, right = _words(before)[:MAX_DIFF_WORDS], _words(after)[:MAX_DIFF_WORDS]
    matcher = SequenceMatcher(None, [w.text for w in left], [w.text for w in right], autojunk=False)
    parts = []
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        if operation == "equal":
            parts.append(_passage(right[j1:j2]))
            continue
        parts.append(_passage(left[i1:i2], ("del", "del")))
        # A passage that begins without a space would stick to the word it replaces.
        parts.append(" " if i1 < i2 and j1 == 0 < j2 else "")
        parts.append(_passage(right[j1:j2], ("ins", "ins")))
    return f'<div class="ccf-diff"><div class="ccf-text" dir="auto">{"".join(parts)}</div></div>'


def _words(text: str) -> list[_Word]:
    """Split a text into words and single punctuation marks, each with the white space before it."""
    return [_Word(match[1], match[2], match.start(2), match.end(2)) for match in _WORDS.finditer(text.rstrip())]


def _word_probabilities(words: Sequence[_Word], text: str, pieces: Sequence[tuple[str, float]]) -> list[float | None]:
    """Give each word the least probability of the pieces that overlap it, None where no piece does.

    Each piece is looked for near the end of the one before: half a character decodes to a sign that ``text`` lacks.
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


def _passage(
    words: Sequence[_Word], mark: tuple[str, str] | None = None, chances: Sequence[float | None] | None = None
) -> str:
    """Join words with their spaces; ``mark`` is the element and the class suffix of a difference."""
    if not words:
        return ""
    body = "".join(
        ("" if i == 0 else escape(word.space)) + _tinted(word.text, chances[i] if chances else None)
        for i, word in enumerate(words)
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
