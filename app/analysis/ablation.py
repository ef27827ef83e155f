"""Surgery on a segment's memory: what the decoder makes of the rest, beside what it makes of all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import NotAnswerable, WorkbenchError
from app.memories import Memories
from app.views import Cancelled
from ccf_core import CCF, KVMemory
from ccf_core.answer import question_prompt
from ccf_core.decoder import Prefix
from ccf_core.evaluation.metrics import rouge_l
from ccf_core.surgery import Cut, answer_from, operate, reconstruct_from

ANSWER_TOKENS = 64
QUESTION_TOKENS = 512
_RANGE = re.compile(r"\s*(\d{1,6})\s*(?:[-\u2013]\s*(\d{1,6})\s*)?")


class BadNumbers(WorkbenchError):
    """Numbers and ranges were written in a way that cannot be read."""


@dataclass(frozen=True)
class Outcome:
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
class Operation:
    """The same segment read from its intact memory and from an operated one; ``question`` is "" for a reconstruction.

    off : what was switched off, in words.
    """

    document: str
    segment: int
    ratio: int
    question: str
    off: str
    intact: Outcome
    operated: Outcome


class Operating:
    def __init__(self, memories: Memories) -> None:
        self.memories = memories

    def operate(
        self, sha256: str, segment: int, ratio: int, cut: Cut, question: str, cancelled: Cancelled
    ) -> Operation:
        """See ``Looking.operate``."""
        memory = self.memories.recall(sha256, ratio, [segment], cancelled=cancelled).memory
        original = self.memories.segmented(sha256, cancelled).segment(segment)
        ccf = self.memories.model.load()
        with self.memories.model.turn(cancelled):
            read = 2 * memory.slots, 2 * max(ANSWER_TOKENS, len(original))
            intact, operated = self.memories.model.compute(
                ccf, _operated, memory, cut, question, original, tokens=read, cancelled=cancelled
            )
        return Operation(sha256, segment, ratio, question.strip(), described(cut), intact, operated)


def _operated(
    ccf: CCF, memory: KVMemory, cut: Cut, question: str, original: Sequence[int], cancelled: Cancelled
) -> Iterator[Outcome]:
    """What the decoder makes of the intact memory, then of the operated one."""
    reading = Reading(ccf, question, original, cancelled)
    prefixes = [operate(ccf, memory, Cut()), operate(ccf, memory, cut)]
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

    def __init__(self, ccf: CCF, question: str, original: Sequence[int], cancelled: Cancelled) -> None:
        self.ccf = ccf
        self.question = question.strip()
        self.original = original
        self.cancelled = cancelled
        self.prompt = question_prompt(ccf.tokenizer, self.question) if self.question else [ccf.config.repeat_token]
        if len(self.prompt) > QUESTION_TOKENS:
            raise NotAnswerable(f"The question has {len(self.prompt)} tokens; ask in at most {QUESTION_TOKENS}.")

    def read(self, prefix: Prefix) -> list[int]:
        """Token ids of the answer or of the reconstruction, greedily."""
        if self.question:
            return answer_from(self.ccf, prefix, self.question, ANSWER_TOKENS, self.cancelled)
        return reconstruct_from(self.ccf, prefix, len(self.original), self.cancelled)

    def target(self, first: Sequence[int]) -> Sequence[int]:
        """What outputs are judged by: the original, or the answer that was given first."""
        return first if self.question else self.original

    def judge(self, prefix: Prefix, ids: Sequence[int], target: Sequence[int]) -> Outcome:
        nats = -float(self.ccf.decoder.score(prefix, self.prompt, target).mean()) if target else 0.0
        score = rouge_l(target, ids) if target else float(not ids)
        tokenizer = self.ccf.tokenizer
        text = str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return Outcome(text.strip() if self.question else text, prefix.length, prefix.nbytes, score, nats)


def described(cut: Cut) -> str:
    """What is switched off, in words."""
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
    """``"0-3, 7"`` -> {0, 1, 2, 3, 7}. Raises BadNumbers."""
    found: set[int] = set()
    for part in filter(str.strip, written.split(",")):
        match = _RANGE.fullmatch(part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise BadNumbers(f"“{part.strip()}” is no number and no range: write them like 0-3, 7.")
        found |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)


def ranges(chosen: frozenset[int]) -> str:
    """{0, 1, 2, 3, 7} -> ``"0-3, 7"``."""
    runs: list[list[int]] = []
    for number in sorted(chosen):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
