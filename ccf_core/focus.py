"""Focus, or progressive reading: a whole document coarsely, its best segments finer, and the very best as text.

What is read how is a plan of numbers, ``plan``, which knows no model; ``read`` carries it out. Text stands behind the
slots of all other segments, as in the training examples that mix both: the slots are placed as a memory without the
segments that are text, in the order of reading, and the text follows at the next positions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ccf_core.answer import Evidence, evidence, slot_attention
from ccf_core.bm25 import bm25
from ccf_core.decoder import Decoder, Prefix, slot_segments
from ccf_core.errors import MemoryMismatch
from ccf_core.memory import KVMemory

#: A segment's ratio when it is read as text: one position a token.
TEXT = 1
#: Scored as an answer it asks for the attention of the prompt's last token, whatever token it is.
NO_ANSWER = (0,)
#: Share of the full cache that is spent unless a budget is given.
SHARE = 6
#: Tokens of a piece of text, chosen on development data: docs/experiments.md.
PIECE = 64


@dataclass(frozen=True)
class Focus:
    """What may be spent: ``budget`` positions of cache, a sixth of the document's tokens if None.

    Text is read of at most ``segments`` segments, of as many as the budget affords if 0, and in pieces of ``piece``
    tokens, in whole segments if 0.
    """

    budget: int | None = None
    segments: int = 0
    piece: int = PIECE

    def positions(self, tokens: int) -> int:
        return tokens // SHARE if self.budget is None else self.budget


def fuse(*signals: Sequence[float], k: int = 60) -> list[float]:
    """Reciprocal rank fusion: sum over signals of 1 ÷ (k + rank), equal scores sharing the best of their ranks.

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
    """Indices, the highest score first; equal ones in their order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def positions(tokens: int, ratio: int) -> int:
    """Positions of cache that a segment takes: ceil(tokens ÷ ratio), its slots or (``TEXT``) its tokens."""
    return -(-tokens // ratio)


@dataclass(frozen=True)
class Piece:
    """Tokens ``start`` to ``end`` of a segment, in its own count."""

    segment: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def pieces(tokens: Sequence[int], size: int = 0) -> list[Piece]:
    """Segments of so many tokens cut into pieces of ``size`` (0: whole), in the order of the text."""
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
    """What is read as text, in the order of the text, and the ratio at which each segment is read: ``TEXT`` for one of
    which nothing but text is.

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
    left = budget - slot * sum(positions(n, coarse) for n in tokens)
    room = sum(tokens) if most_text is None else most_text
    unread = list(tokens)
    read: list[Piece] = []
    for piece in text:
        whole = unread[piece.segment] == len(piece)
        more = len(piece) - (slot * positions(tokens[piece.segment], coarse) if whole else 0)
        if segments and len({piece.segment, *(p.segment for p in read)}) > segments:
            continue
        if more > left or len(piece) > room:
            break
        read.append(piece)
        unread[piece.segment] -= len(piece)
        left -= more
        room -= len(piece)
        if whole:
            plan[piece.segment] = TEXT
    waiting = [i for i in dict.fromkeys(piece.segment for piece in text) if plan[i] != TEXT]
    for ratio in ratios[:-1]:
        while waiting:
            n = tokens[waiting[0]]
            more = slot * (positions(n, ratio) - positions(n, coarse))
            if more > left:
                break
            plan[waiting.pop(0)] = ratio
            left -= more
    return tuple(sorted(read, key=lambda p: (p.segment, p.start))), tuple(plan)


def cut(input_ids: Sequence[int], lengths: Sequence[int]) -> list[Sequence[int]]:
    """A document's tokens segment by segment; ValueError if they are not as many as its segments have."""
    if sum(lengths) != len(input_ids):
        raise ValueError(f"the memory is of {sum(lengths)} tokens: give these as input_ids, not {len(input_ids)}")
    return [input_ids[a:b] for a, b in pairwise(accumulate(lengths, initial=0))]


def mixed(memory: KVMemory, ratios: Sequence[int]) -> KVMemory | None:
    """The segments that are not read as text, each at its own ratio, for a decoder alone; None if there are none."""
    parts = [memory.select([i]).at(ratio) for i, ratio in enumerate(ratios) if ratio != TEXT]
    if not parts:
        return None
    return replace(
        parts[0],
        spans=tuple(part.spans[0] for part in parts),
        blocks=tuple(part.blocks[0] for part in parts),
        ratio=min(part.ratio for part in parts),
    )


def by_segment(attention: Tensor, memory: KVMemory) -> list[float]:
    """Attention to slots summed for each segment, normalised."""
    shares = {found.segment: found.score for found in evidence(attention, slot_segments(memory))}
    return [shares.get(i, 0.0) for i in range(memory.segments)]


@dataclass(frozen=True)
class Focused:
    """A plan carried out.

    slots : what is read as slots (None if all is text), text : the tokens that follow them.
    segments : of every position of slots and text, its segment.  ratios : of every segment.
    """

    slots: KVMemory | None
    text: tuple[int, ...]
    segments: tuple[int, ...]
    ratios: tuple[int, ...]

    @classmethod
    def of(
        cls, memory: KVMemory, texts: Sequence[Sequence[int]], read: Sequence[Piece], ratios: Sequence[int]
    ) -> Focused:
        slots = mixed(memory, ratios)
        as_slots = [i for i, ratio in enumerate(ratios) if ratio != TEXT]
        segments = [as_slots[i] for i in slot_segments(slots)] if slots else []
        segments += [piece.segment for piece in read for _ in range(len(piece))]
        text = tuple(token for piece in read for token in texts[piece.segment][piece.start : piece.end])
        return cls(slots, text, tuple(segments), tuple(ratios))

    def slots_prefix(self, decoder: Decoder) -> Prefix | None:
        """The slots, with positions kept for the text that follows."""
        return decoder.prefix(self.slots, len(self.text)) if self.slots else None

    def prefix(self, decoder: Decoder) -> Prefix:
        """Slots and text."""
        slots = self.slots_prefix(decoder)
        if slots and not self.text:
            return slots
        return decoder.read_text(self.text, after=slots)

    def evidence(self, attention: Tensor) -> tuple[Evidence, ...]:
        """What was read: text first, then from fine to coarse, by the share of ``attention`` to each position.

        Segments that stayed coarse are left out, unless all did.
        """
        as_text = {*self.segments[len(self.segments) - len(self.text) :]}
        found = [
            replace(e, ratio=TEXT if e.segment in as_text else self.ratios[e.segment])
            for e in evidence(attention, self.segments)
        ]
        coarsest = max(self.ratios)
        finer = [e for e in found if e.ratio != coarsest]
        return tuple(sorted(finer or found, key=lambda e: e.ratio or 0))


def check(memory: KVMemory) -> None:
    """Raises MemoryMismatch for memories that cannot be read at several ratios."""
    if not memory.header.nested:
        raise MemoryMismatch("Mean-pooled memories have one ratio: choose an adapter that compresses into slots.")


def spend(
    decoder: Decoder, memory: KVMemory, texts: Sequence[Sequence[int]], scores: Sequence[float], settings: Focus
) -> Focused:
    """The plan for pieces with these scores; text takes half of the decoder's window at most."""
    tokens = [len(text) for text in texts]
    ratios = [ratio for ratio in memory.header.ratios if ratio >= memory.ratio]
    every, budget = pieces(tokens, settings.piece), settings.positions(sum(tokens))
    best = [every[i] for i in ranked(scores)]
    return Focused.of(memory, texts, *plan(best, budget, tokens, ratios, settings.segments, decoder.window // 2))


def words(
    tokenizer: PreTrainedTokenizerBase, question: str, texts: Sequence[Sequence[int]], every: Sequence[Piece]
) -> list[float]:
    """BM25 of every piece's text."""
    return bm25(question, [cast(str, tokenizer.decode(list(texts[p.segment][p.start : p.end]))) for p in every])


def worth(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    texts: Sequence[Sequence[int]],
    attention: Sequence[float],
    size: int = 0,
) -> list[float]:
    """What every piece of text is worth to a question: the ``attention`` to its segment, the words of this segment
    and, if it is smaller, its own, fused."""
    tokens = [len(text) for text in texts]
    every, whole = pieces(tokens, size), words(tokenizer, question, texts, pieces(tokens))
    signals = [[signal[piece.segment] for piece in every] for signal in (attention, whole)]
    if len(every) > len(texts):
        signals.append(words(tokenizer, question, texts, every))
    return fuse(*signals)


@torch.inference_mode()
def read(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    prompt: Sequence[int],
    memory: KVMemory,
    input_ids: Sequence[int],
    settings: Focus,
) -> Focused:
    """What to read of a document for a question: coarse first, then a plan by what the question attends to there.

    question : its words, for BM25.  prompt : its tokens, for the decoder; what the last of them, which chooses the
    answer's first token, attends to at the coarsest ratio is the other signal, and ``fuse`` makes one of both.
    memory : down to the finest ratio that may be read.  input_ids : the tokens that it was made of.

    Raises ValueError if these are not as many; MemoryMismatch for a mean-pooled memory.
    """
    check(memory)
    texts = cut(input_ids, [len(span) for span in memory.spans])
    coarse = memory.at(memory.header.ratios[-1])
    attention = slot_attention(decoder, decoder.prefix(coarse), prompt, NO_ANSWER)
    scores = worth(tokenizer, question, texts, by_segment(attention, coarse), settings.piece)
    return spend(decoder, memory, texts, scores, settings)
