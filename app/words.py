"""Tokens to words and sentences of a text: where they begin, and which sentence draws the most attention."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

#: A sentence of fewer tokens is a heading or a fragment, unless there is nothing else.
SENTENCE_TOKENS = 5

# A full stop with closing quotes and brackets after it, or an empty line; the wide ones need no space.
_SENTENCE_END = re.compile(
    "[.!?\u2026][\"'\u201d\u2019)\\]]*\\s+(?![a-z])|[\u3002\uff01\uff1f][\u300d\u300f\u201d]?|\\n\\s*\\n"
)


def sums(row: Sequence[float], starts: Sequence[int]) -> list[float]:
    """Sums of the runs of ``row`` that begin at ``starts``."""
    return [sum(row[a:b]) for a, b in zip(starts, [*starts[1:], len(row)], strict=True)]


def word_starts(text: str, starts: Sequence[int]) -> list[int]:
    """Which tokens begin a word: the first, and those that begin with or follow white space.

    A character of several tokens belongs to the first of them.
    """
    return [
        i
        for i, start in enumerate(starts)
        if i == 0 or (start > starts[i - 1] and (text[start].isspace() or text[start - 1].isspace()))
    ]


def sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of the sentences, paragraphs and headings of a text, without the white space around them."""
    bounds = [0, *(found.end() for found in _SENTENCE_END.finditer(text)), len(text)]
    found = []
    for a, b in itertools.pairwise(bounds):
        piece = text[a:b]
        if piece.strip():
            found.append((a + len(piece) - len(piece.lstrip()), a + len(piece.rstrip())))
    return found


def key_sentence(text: str, starts: Sequence[int], by_token: Sequence[float]) -> str:
    """The sentence of a segment with the most attention a token; the earlier of equals.

    The first token of the segment counts for no sentence: it is a sink that draws a third of all attention whatever it
    says (arXiv 2309.17453). Headings and fragments of under five tokens are taken only if there is nothing else.
    """
    ranked: list[tuple[bool, float, str]] = []
    for a, b in sentences(text):
        own = [by_token[i] for i in range(1, len(starts)) if a <= starts[i] < b]
        ranked.append((len(own) >= SENTENCE_TOKENS, sum(own) / len(own) if own else 0.0, text[a:b]))
    return max(ranked, key=lambda one: one[:2])[2] if ranked else ""
