"""Focus, or progressive reading: a whole document coarsely, its best segments finer, and the very best as text.

What is read how is a plan of numbers (``ccf_core.plan``) by what the parts are worth (``ccf_core.signals``); ``read``
carries it out. Text stands behind the slots of all other segments, as in the training examples that mix both: the slots
are placed as a memory without the segments that are text, in the order of reading, and the text follows at the next
positions. Slots hold what the text misses, and both distract: so the very best text is read alone, too, in half of the
budget, and the reading is kept of whose answer the decoder is surer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import accumulate, pairwise

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ccf_core.answer import Evidence, abstention, evidence
from ccf_core.decoder import Decoder, Prefix, end_tokens, slot_segments
from ccf_core.errors import MemoryMismatch
from ccf_core.memory import KVMemory
from ccf_core.plan import TEXT, Piece, pieces, plan, ranked
from ccf_core.signals import worth

#: Share of the full cache that is spent unless a budget is given.
SHARE = 6
#: Tokens of a piece of text, chosen on development data: docs/experiments.md.
PIECE = 64
#: Text that is read alone takes the budget ÷ so much, likewise.
ALONE = 2
#: Tokens of an answer by which two readings are compared, likewise.
DRAFT = 16
#: No answer by text alone is believed if slots and text give none with a log-probability above this, likewise.
DOUBT = -3.0


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


@dataclass(frozen=True)
class Focused:
    """A plan carried out.

    slots : what is read as slots (None if all is text), text : the tokens that follow them.
    segments : of every position of slots and text, its segment.  ratios : of every segment, ``TEXT`` without slots.
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
            if e.segment in self.segments
        ]
        coarsest = max(self.ratios)
        finer = [e for e in found if e.ratio != coarsest]
        return tuple(sorted(finer or found, key=lambda e: e.ratio or 0))


def check(memory: KVMemory) -> None:
    """Raises MemoryMismatch for memories that cannot be read at several ratios."""
    if not memory.header.nested:
        raise MemoryMismatch("Mean-pooled memories have one ratio: choose an adapter that compresses into slots.")


def readings(
    decoder: Decoder,
    memory: KVMemory,
    texts: Sequence[Sequence[int]],
    scores: Sequence[float],
    settings: Focus,
    slot: Fraction | int = 1,
) -> list[Focused]:
    """Text beside slots, and if there are both the text that half of the budget affords alone, for pieces with these
    scores. Text takes half of the decoder's window at most; ``slot`` is what a slot costs of the budget, in tokens.
    """
    tokens = [len(text) for text in texts]
    ratios = [ratio for ratio in memory.header.ratios if ratio >= memory.ratio]
    every = pieces(tokens, settings.piece)
    best = [every[i] for i in ranked(scores)]
    budget = settings.positions(sum(tokens))
    spend = partial(plan, best, tokens=tokens, ratios=ratios, segments=settings.segments, most_text=decoder.window // 2)
    beside = Focused.of(memory, texts, *spend(budget=budget, slot=slot))
    text, _ = spend(budget=budget // ALONE, slot=0)
    if not (beside.slots and beside.text and text):
        return [beside]
    return [beside, Focused.of(memory, texts, text, [TEXT] * len(tokens))]


def sureness(draft: Sequence[int], chances: Tensor, no_answer: Sequence[int]) -> float:
    """How sure the decoder is of an answer that begins with ``draft``: the mean of the log-probabilities of its
    tokens, -inf if it is empty or the abstention ``no_answer``."""
    if not draft or list(draft[: len(no_answer)]) == list(no_answer):
        return float("-inf")
    return float(chances.mean())


def drafted(draft: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The tokens of which ``sureness`` wants to know: the end of a shorter answer is one."""
    return [*draft, *(ends[:1] if len(draft) < DRAFT else ())]


def keeps_alone(alone: float, beside: Callable[[], float], refusal: Callable[[], float]) -> bool:
    """Whether of two readings that of text alone is kept: if its ``sureness`` is above the other's; or if it gives no
    answer and the other might not either, by its ``refusal``, the log-probability of the abstention."""
    return refusal() > DOUBT if alone == float("-inf") else alone > beside()


@torch.inference_mode()
def read(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    prompt: Sequence[int],
    memory: KVMemory,
    input_ids: Sequence[int],
    settings: Focus,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Focused, Prefix]:
    """What to read of a document for a question: its slots first, then a plan by what they are worth to it.

    question : what was asked, for ``signals.worth``.  prompt : its tokens, after earlier turns if there are any.
    memory : down to the finest ratio that may be read.  input_ids : the tokens that it was made of.
    cancelled : once it is true the text is not read alone.  The readings are held one after the other.

    Raises ValueError if these are not as many; MemoryMismatch for a mean-pooled memory.
    """
    check(memory)
    texts = cut(input_ids, [len(span) for span in memory.spans])
    room = settings.positions(len(input_ids))
    scores = worth(decoder, tokenizer, question, memory, texts, settings.piece, room)
    beside, *alone = readings(decoder, memory, texts, scores, settings)
    no_answer, ends = abstention(tokenizer), end_tokens(decoder.model)

    def sure(prefix: Prefix) -> float:
        ((*draft,),) = decoder.generate([prefix], [prompt], max_new_tokens=DRAFT)
        return sureness(draft, decoder.score(prefix, prompt, drafted(draft, ends)), no_answer)

    def refusal(prefix: Prefix) -> float:
        return float(decoder.score(prefix, prompt, no_answer).sum())

    best = sure(alone[0].prefix(decoder)) if alone and not cancelled() else None
    prefix = beside.prefix(decoder)
    if best is not None and keeps_alone(best, partial(sure, prefix), partial(refusal, prefix)):
        return alone[0], alone[0].prefix(decoder)
    return beside, prefix
