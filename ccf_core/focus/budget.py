"""Plan a budget of cache: which pieces are read as text, and every segment at which ratio. Knows no model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ccf_core.memory.grades import TEXT
from ccf_core.memory.segments import slot_count


def fuse(*signals: Sequence[float], k: int = 60) -> list[float]:
    """Fuse rankings: sum over signals of 1 ÷ (k + rank), equal scores sharing the best of their ranks.

    G. Cormack, C. Clarke and S. Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
    Methods", SIGIR 2009, with its k of 60.
    """
    fused = [0.0] * len(signals[0])
    for scores in signals:
        ordered = sorted(-score for score in scores)
        for index, score in enumerate(scores):
            fused[index] += 1 / (k + 1 + bisect_left(ordered, -score))
    return fused


def ranked(scores: Sequence[float]) -> list[int]:
    """Order indices, the highest score first; equal ones in their order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


@dataclass(frozen=True)
class Piece:
    """Tokens ``start`` to ``end`` of a segment, in its own count."""

    segment: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def pieces(tokens: Sequence[int], size: int = 0) -> list[Piece]:
    """Cut segments of so many tokens into pieces of ``size`` (0: whole), in the order of the text."""
    return [Piece(i, at, min(at + (size or n), n)) for i, n in enumerate(tokens) for at in range(0, n, size or n)]


def plan(
    text: Sequence[Piece],
    budget: int,
    tokens: Sequence[int],
    ratios: Sequence[int],
    segments: int = 0,
    most_text: int | None = None,
    slot: Fraction | int = 1,
) -> tuple[tuple[Piece, ...], tuple[int, ...]]:
    """Plan what is read as text, in the order of the text, and the ratio at which each segment is read: ``TEXT`` for
    one of which nothing but text is.

    text : all pieces, the best first.  tokens : of each segment.  ratios : finest first; the last is
    the coarsest.  segments : most of which text is read, 0 for no limit.  most_text : most tokens of text, None for no
    limit.  slot : what a slot costs of the budget, in tokens of text.

    All segments begin at the coarsest ratio. Down the pieces each is read as text until the next no longer fits; a
    segment of which all pieces are text needs no slots. With what is left, down the ranking each is read at the finest
    ratio until the next no longer fits, and so on. The budget is kept, unless the coarsest reading of all (which is
    then the plan) is over it.
    """
    coarse = ratios[-1]
    plan = [coarse] * len(tokens)
    left = budget - slot * sum(slot_count(n, coarse) for n in tokens)
    text_left = sum(tokens) if most_text is None else most_text
    unread = list(tokens)
    read: list[Piece] = []
    for piece in text:
        whole = unread[piece.segment] == len(piece)
        more = len(piece) - (slot * slot_count(tokens[piece.segment], coarse) if whole else 0)
        if segments and len({piece.segment, *(p.segment for p in read)}) > segments:
            continue
        if more > left or len(piece) > text_left:
            break
        read.append(piece)
        unread[piece.segment] -= len(piece)
        left -= more
        text_left -= len(piece)
        if whole:
            plan[piece.segment] = TEXT
    waiting = [i for i in dict.fromkeys(piece.segment for piece in text) if plan[i] != TEXT]
    for ratio in ratios[:-1]:
        while waiting:
            n = tokens[waiting[0]]
            more = slot * (slot_count(n, ratio) - slot_count(n, coarse))
            if more > left:
                break
            plan[waiting.pop(0)] = ratio
            left -= more
    return tuple(sorted(read, key=lambda p: (p.segment, p.start))), tuple(plan)
