"""Focus, or progressive reading: a whole document coarsely, its best segments finer, and the very best as text.

What is read how is a plan of numbers (``focus.budget``) by what the parts are worth (``focus.relevance``); ``read``
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

from ccf_core.answering.answer import Evidence
from ccf_core.answering.evidence import evidence
from ccf_core.answering.prompt import abstention
from ccf_core.errors import MemoryMismatch
from ccf_core.focus.budget import Piece, pieces, plan, ranked
from ccf_core.focus.relevance import worth
from ccf_core.memory.grades import TEXT
from ccf_core.memory.memory import KVMemory
from ccf_core.model.decoder import Decoder, end_tokens
from ccf_core.model.prefix import Prefix, slot_segments

#: Share of the full cache that is spent unless a budget is given.
SHARE = 6
#: Tokens of a piece of text, chosen on development data: docs/experiments.md.
PIECE = 64
#: Text that is read alone takes the budget ÷ so much, likewise.
ALONE = 2
#: Tokens of an answer by which two readings are compared, likewise.
DRAFT = 16


@dataclass(frozen=True)
class Focus:
    """A budget: at most ``budget`` positions of cache, a sixth of the document's tokens if None.

    Text is read of at most ``segments`` segments, of as many as the budget affords if 0, and in pieces of ``piece``
    tokens, in whole segments if 0.
    """

    budget: int | None = None
    segments: int = 0
    piece: int = PIECE

    def positions(self, tokens: int) -> int:
        return tokens // SHARE if self.budget is None else self.budget


def cut(input_ids: Sequence[int], lengths: Sequence[int]) -> list[Sequence[int]]:
    """Cut a document's tokens into its segments; ValueError if there are not as many as these have."""
    if sum(lengths) != len(input_ids):
        raise ValueError(f"the memory is of {sum(lengths)} tokens: give these as input_ids, not {len(input_ids)}")
    return [input_ids[a:b] for a, b in pairwise(accumulate(lengths, initial=0))]


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
        slots = memory.mixed(ratios)
        as_slots = [i for i, ratio in enumerate(ratios) if ratio != TEXT]
        segments = [as_slots[i] for i in slot_segments(slots)] if slots else []
        segments += [piece.segment for piece in read for _ in range(len(piece))]
        text = tuple(token for piece in read for token in texts[piece.segment][piece.start : piece.end])
        return cls(slots, text, tuple(segments), tuple(ratios))

    def slots_prefix(self, decoder: Decoder) -> Prefix | None:
        """Place the slots, with positions kept for the text that follows."""
        return decoder.prefix(self.slots, len(self.text)) if self.slots else None

    def prefix(self, decoder: Decoder) -> Prefix:
        """Read slots and text into one prefix."""
        slots = self.slots_prefix(decoder)
        if slots and not self.text:
            return slots
        return decoder.read_text(self.text, after=slots)

    def evidence(self, attention: Tensor) -> tuple[Evidence, ...]:
        """List what was read: text first, then from fine to coarse, by the share of ``attention`` to each position.

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
    """Raise MemoryMismatch for memories that cannot be read at several ratios."""
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
    """Plan what may be read: text behind slots, and if there are both also text alone, in half of the budget.

    scores : what each piece of text is worth.  slot : what a slot costs of the budget, in tokens.
    Text takes half of the decoder's window at most.
    """
    tokens = [len(text) for text in texts]
    every = pieces(tokens, settings.piece)
    best = [every[i] for i in ranked(scores)]
    budget = settings.positions(sum(tokens))
    ratios = [ratio for ratio in memory.ratios if ratio != TEXT]
    spend = partial(plan, best, tokens=tokens, ratios=ratios, segments=settings.segments, most_text=decoder.window // 2)
    beside = Focused.of(memory, texts, *spend(budget=budget, slot=slot))
    text, _ = spend(budget=budget // ALONE, slot=0)
    if not (beside.slots and beside.text and text):
        return [beside]
    return [beside, Focused.of(memory, texts, text, [TEXT] * len(tokens))]


def confidence(draft: Sequence[int], logprobs: Tensor, abstained: Sequence[int]) -> float:
    """Measure how sure the decoder is of an answer that begins with ``draft``: the mean of ``logprobs``, the
    log-probabilities of its tokens in nats; -inf if it is empty or begins with the abstention, ``abstained``."""
    if not draft or list(draft[: len(abstained)]) == list(abstained):
        return float("-inf")
    return float(logprobs.mean())


def drafted(draft: Sequence[int], ends: Sequence[int]) -> list[int]:
    """List the tokens whose log-probabilities ``confidence`` takes: the end of a shorter answer is one."""
    return [*draft, *(ends[:1] if len(draft) < DRAFT else ())]


def prefers_text_only(text_confidence: float, slots_confidence: Callable[[], float]) -> bool:
    """Decide whether text alone is read, and not text behind slots.

    It is if the decoder's ``confidence`` after text alone is the higher one, or if text alone gives no answer: text
    refuses for good reasons more often than slots do.
    """
    return text_confidence == float("-inf") or text_confidence > slots_confidence()


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
    slot: Fraction | int = 1,
) -> tuple[Focused, Prefix]:
    """Choose what is read of a document for one question, and read it.

    question : what was asked, for ``relevance.worth``.  prompt : its tokens, after earlier turns if there are any.
    memory : down to the finest ratio that may be read.  input_ids : the tokens that it was made of.
    cancelled : once it is true the text is not read alone.  slot : what a slot costs of the budget, in tokens.
    The caches of the two readings are held one after the other.

    Raises ValueError if these are not as many; MemoryMismatch for a mean-pooled memory.
    """
    check(memory)
    texts = cut(input_ids, [len(span) for span in memory.spans])
    cache_positions = settings.positions(len(input_ids))
    scores = worth(decoder, tokenizer, question, memory, texts, settings.piece, cache_positions)
    beside_slots, *text_only = readings(decoder, memory, texts, scores, settings, slot)
    abstained, ends = abstention(tokenizer), end_tokens(decoder.model)

    def confidence_after(prefix: Prefix) -> float:
        ((*draft,),) = decoder.generate([prefix], [prompt], max_new_tokens=DRAFT)
        return confidence(draft, decoder.score(prefix, prompt, drafted(draft, ends)), abstained)

    text_confidence = confidence_after(text_only[0].prefix(decoder)) if text_only and not cancelled() else None
    prefix = beside_slots.prefix(decoder)
    if text_confidence is not None and prefers_text_only(text_confidence, partial(confidence_after, prefix)):
        return text_only[0], text_only[0].prefix(decoder)
    return beside_slots, prefix
