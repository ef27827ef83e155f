"""Ablate parts of a segment's memory: what the decoder makes of the rest, beside what it makes of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ccf_core
from app.documents.memory_cache import Memories
from app.errors import NotAnswerable, WorkbenchError
from app.parsers.normalise import ranges
from app.types import CancelCheck, never
from ccf_core.analysis.cut import Cut
from ccf_core.answering.prompt import question_prompt
from ccf_core.metrics import rouge_l

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory
    from ccf_core.model.prefix import Prefix

ANSWER_TOKENS = 64
QUESTION_TOKENS = 512
_RANGE = re.compile(r"\s*(\d{1,6})\s*(?:[-\u2013]\s*(\d{1,6})\s*)?")


class BadNumbers(WorkbenchError):
    """Numbers and ranges were written in a way that cannot be read."""


@dataclass(frozen=True)
class AblationResult:
    """What the decoder makes of a memory.

    slots, kv_bytes : what its cache holds of the memory.
    rouge_l : of a reconstruction, against the original; of an answer, against the first answer: the intact memory's, or
        that of the adapter in use.
    nats : mean loss a token, teacher-forced, on the original, or on the first answer; 0 if that is empty.
    """

    text: str
    slots: int
    kv_bytes: int
    rouge_l: float
    nats: float


@dataclass(frozen=True)
class AblationView:
    """The same segment read from its intact memory and from the ablated one; ``question`` is "" for a reconstruction.

    off : what was switched off, in words.
    """

    document: str
    segment: int
    ratio: int
    question: str
    off: str
    intact: AblationResult
    operated: AblationResult


class Ablation:
    def __init__(self, memories: Memories) -> None:
        self.memories = memories

    def ablate(
        self, sha256: str, segment: int, ratio: int, cut: Cut, question: str = "", cancelled: CancelCheck = never
    ) -> AblationView:
        """Ask a segment's memory with parts switched off, or (no question) reconstruct it, beside the intact one.

        Raises:
            DocumentNotFound, NoSegment: there is no such document, no such segment.
            NotAnswerable: no such ratio, or the question is too long.
            NoSuchPart, Cancelled: of ccf_core.
        """
        memory = self.memories.recall(sha256, ratio, [segment], cancelled=cancelled).memory
        original = self.memories.segmented(sha256, cancelled).segment(segment)
        ccf = self.memories.model.load()
        with self.memories.model.hold(cancelled):
            read = 2 * memory.slots, 2 * max(ANSWER_TOKENS, len(original))
            intact, operated = self.memories.model.compute(
                ccf, _operated, memory, cut, question, original, tokens=read, cancelled=cancelled
            )
        return AblationView(sha256, segment, ratio, question.strip(), described(cut), intact, operated)


def _operated(
    ccf: CCF, memory: KVMemory, cut: Cut, question: str, original: Sequence[int], cancelled: CancelCheck
) -> Iterator[AblationResult]:
    """Yield what the decoder makes of the intact memory, then of the ablated one."""
    reading = Reading(ccf, question, original, cancelled)
    prefixes = [ccf_core.ablate(ccf, memory, Cut()), ccf_core.ablate(ccf, memory, cut)]
    # With nothing switched off there is one memory to read.
    outputs = [reading.read(prefixes[0])]
    outputs.append(reading.read(prefixes[1]) if cut else outputs[0])
    target = reading.target(outputs[0])
    for prefix, ids in zip(prefixes, outputs, strict=True):
        yield reading.judge(prefix, ids, target)


class Reading:
    """One segment, asked or (without a question) reconstructed from what a decoder reads of it.

    Raises NotAnswerable: the question is too long.
    """

    def __init__(self, ccf: CCF, question: str, original: Sequence[int], cancelled: CancelCheck) -> None:
        self.ccf = ccf
        self.question = question.strip()
        self.original = original
        self.cancelled = cancelled
        self.prompt = question_prompt(ccf.tokenizer, self.question) if self.question else [ccf.config.repeat_token]
        if len(self.prompt) > QUESTION_TOKENS:
            raise NotAnswerable(f"The question has {len(self.prompt)} tokens; ask in at most {QUESTION_TOKENS}.")

    def read(self, prefix: Prefix) -> list[int]:
        """Decode the token ids of the answer or of the reconstruction, greedily."""
        if self.question:
            return ccf_core.answer_from(self.ccf, prefix, self.question, ANSWER_TOKENS, self.cancelled)
        return ccf_core.reconstruct_from(self.ccf, prefix, len(self.original), self.cancelled)

    def target(self, first: Sequence[int]) -> Sequence[int]:
        """Return what outputs are scored against: the original, or the answer that was given first."""
        return first if self.question else self.original

    def judge(self, prefix: Prefix, ids: Sequence[int], target: Sequence[int]) -> AblationResult:
        decoder = self.ccf.decoder if self.question else self.ccf.repeater
        nats = -float(decoder.score(prefix, self.prompt, target).mean()) if target else 0.0
        score = rouge_l(target, ids) if target else float(not ids)
        tokenizer = self.ccf.tokenizer
        text = str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return AblationResult(text.strip() if self.question else text, prefix.length, prefix.nbytes, score, nats)


def described(cut: Cut) -> str:
    """Describe what is switched off, in words."""
    parts = []
    if cut.levels:
        parts.append("levels " + ", ".join(f"{level}x" for level in sorted(cut.levels, reverse=True)))
    if cut.slots:
        parts.append(f"slots {ranges(cut.slots)}")
    if cut.heads:
        where = f" of layers {ranges(cut.layers)}" if cut.layers else " of every layer"
        parts.append(f"heads {ranges(cut.heads)}{where}")
    elif cut.layers:
        parts.append(f"layers {ranges(cut.layers)}")
    return "; ".join(parts) or "nothing"


def numbers(written: str) -> frozenset[int]:
    """Parse numbers and ranges: ``"0-3, 7"`` -> {0, 1, 2, 3, 7}. Raises BadNumbers."""
    found: set[int] = set()
    for part in filter(str.strip, written.split(",")):
        match = _RANGE.fullmatch(part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise BadNumbers(f"“{part.strip()}” is no number and no range: write them like 0-3, 7.")
        found |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)
