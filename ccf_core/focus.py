"""Focus, or progressive reading: a whole document coarsely, its best segments finer, and the very best as text.

What is read how is a plan of numbers, ``plan``, which knows no model; ``read`` carries it out. Text stands behind the
slots of all other segments, as in the training examples that mix both: the slots are placed as a memory without the
segments that are text, in the order of reading, and the text follows at the next positions.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Focus:
    """What may be spent: ``budget`` positions of cache, a sixth of the document's tokens if None; at most
    ``segments`` are read in full, as many as the budget affords if 0."""

    budget: int | None = None
    segments: int = 0

    def positions(self, tokens: int) -> int:
        return tokens // SHARE if self.budget is None else self.budget


def fuse(*signals: Sequence[float], k: int = 60) -> list[float]:
    """Reciprocal rank fusion: sum over signals of 1 ÷ (k + rank), equal scores sharing the best of their ranks.

    G. Cormack, C. Clarke and S. Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
    Methods", SIGIR 2009, with its k of 60.
    """
    fused = [0.0] * len(signals[0])
    for scores in signals:
        for index, score in enumerate(scores):
            fused[index] += 1 / (k + 1 + sum(other > score for other in scores))
    return fused


def ranked(scores: Sequence[float]) -> list[int]:
    """Indices, the highest score first; equal ones in their order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])


def positions(tokens: int, ratio: int) -> int:
    """Positions of cache that a segment takes: ceil(tokens ÷ ratio), its slots or (``TEXT``) its tokens."""
    return -(-tokens // ratio)


def plan(
    ranking: Sequence[int],
    budget: int,
    tokens: Sequence[int],
    ratios: Sequence[int],
    segments: int = 0,
    most_text: int | None = None,
    slot: Fraction | int = 1,
) -> tuple[int, ...]:
    """The ratio at which each segment is read, ``TEXT`` for one in full.

    ranking : segments, the best first.  tokens : of each segment.  ratios : finest first; the last is the coarsest.
    segments : most that are read in full, 0 for no limit.  most_text : most tokens of text, None for no limit.
    slot : what a slot costs of the budget, in tokens of text.

    All begin at the coarsest ratio. Down the ranking each is read in full until the next no longer fits; from there on
    each at the finest ratio until the next no longer fits; and so on. So none is read coarser than one ranked below
    it, a larger budget never reads fewer in full, and the budget is kept, unless the coarsest reading of all (which
    is then the plan) is over it.
    """
    coarse = ratios[-1]
    plan = [coarse] * len(tokens)
    left = budget - slot * sum(positions(n, coarse) for n in tokens)
    room = sum(tokens) if most_text is None else most_text
    waiting = list(ranking)
    for ratio in (TEXT, *ratios[:-1]):
        count = 0
        while waiting:
            n = tokens[waiting[0]]
            more = (1 if ratio == TEXT else slot) * positions(n, ratio) - slot * positions(n, coarse)
            if more > left or (ratio == TEXT and (n > room or (segments and count == segments))):
                break
            plan[waiting.pop(0)] = ratio
            left -= more
            room -= n if ratio == TEXT else 0
            count += 1
    return tuple(plan)


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
    def of(cls, memory: KVMemory, texts: Sequence[Sequence[int]], ratios: Sequence[int]) -> Focused:
        slots = mixed(memory, ratios)
        as_slots = [i for i, ratio in enumerate(ratios) if ratio != TEXT]
        as_text = [i for i, ratio in enumerate(ratios) if ratio == TEXT]
        segments = [as_slots[i] for i in slot_segments(slots)] if slots else []
        segments += [i for i in as_text for _ in texts[i]]
        return cls(slots, tuple(t for i in as_text for t in texts[i]), tuple(segments), tuple(ratios))

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
        found = [replace(e, ratio=self.ratios[e.segment]) for e in evidence(attention, self.segments)]
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
    """The plan for segments with these scores; text takes half of the decoder's window at most."""
    tokens = [len(text) for text in texts]
    ratios = [ratio for ratio in memory.header.ratios if ratio >= memory.ratio]
    budget = settings.positions(sum(tokens))
    made = plan(ranked(scores), budget, tokens, ratios, settings.segments, decoder.window // 2)
    return Focused.of(memory, texts, made)


def words(tokenizer: PreTrainedTokenizerBase, question: str, texts: Sequence[Sequence[int]]) -> list[float]:
    """BM25 of every segment's text."""
    return bm25(question, [cast(str, tokenizer.decode(list(text))) for text in texts])


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
    scores = fuse(by_segment(attention, coarse), words(tokenizer, question, texts))
    return spend(decoder, memory, texts, scores, settings)
