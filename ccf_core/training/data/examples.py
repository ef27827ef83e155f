"""What one training example is, and the shares and distributions of what is drawn. Plain numpy, no model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from ccf_core.errors import TrainingError
from ccf_core.memory.segments import slot_count

#: Most positions (slots read and tokens) of a decoder sequence in an ordinary and in a long batch.
LONGEST = (1536, 8704)


class Kind(IntEnum):
    """What a target token teaches."""

    RECONSTRUCT = 0
    CONTINUE = 1
    ANSWER = 2
    FULL = 3  # plain language modelling on raw text, or repeating it: full context has to stay good
    READ = 4  # answers from raw text
    ASK = 5  # the words of a question after a memory, as a frozen reader of the text expects them


@dataclass(frozen=True)
class Mix:
    """Shares and distributions of what is drawn. Defaults are those of the shipped adapter.

    ratios : how often each ratio is drawn, finest first.
    window, long_window : most tokens of a document in an ordinary and in a long batch; one batch of ``long_every``
        is long (0: none).
    ragged : share of texts (half of it for questions) whose segments have random lengths from 1 on.
    reconstructed : most segments of an example that are reconstructed.
    continue_share, continuations : texts with continuations, and how many; cloze_share, clozes : likewise.
    fact_share, facts : texts into which made-up facts are put and asked for, and how many at most.
    question_share : examples from question rows; questions : most of them asked of one context.
    joined_share, joined : question examples that read several contexts, and how many at most.
    unanswerable : share of questions put to documents that do not hold the answer.
    raw_share : continuations and answers that read a segment or two as text, after the slots of the rest.
    full_share : examples that read raw text only; copy_share : of those from texts, the ones that repeat it.
    distil_share : answers that are also made from raw text, and learn from what is predicted there;
        distil : the share of that prediction in their target (the rest is the true token).
    distil_text : likewise, continuations; and of raw text that is read for itself, what learns from a frozen reader.
    distil_all : longest context, in tokens, of whose questions all are done from raw text, not only the first.
    reader : raw text is read by a frozen decoder of its own, which teaches; held_share : share of the raw text that
        the decoder in training reads as well, and learns to read as the frozen one does.
    match : weight of how far the hidden states of what is taught are from the teacher's, in the loss.
    balance : a token of an answer of n tokens weighs n ** -balance.
    emphasis : weight of digits and capitalised words in reconstructions, relative to other tokens.
    strides : how often positions are squeezed by 1, 1/2, 1/4, …
    weights : of all targets of each Kind in a batch. (The shipped adapter's FULL held READ too.)
    """

    ratios: tuple[float, ...] = (0.30, 0.35, 0.20, 0.15)
    window: int = 1024
    long_window: int = 8192
    long_every: int = 8
    ragged: float = 0.30
    reconstructed: int = 8
    continue_share: float = 0.6
    continuations: int = 3
    cloze_share: float = 0.6
    clozes: int = 4
    fact_share: float = 0.25
    facts: int = 4
    question_share: float = 0.2
    questions: int = 4
    joined_share: float = 0.5
    joined: int = 8
    unanswerable: float = 0.08
    raw_share: float = 0.2
    full_share: float = 0.06
    copy_share: float = 0.2
    distil_share: float = 0.5
    distil: float = 0.8
    distil_text: float = 0.5
    distil_all: int = 0
    reader: bool = False
    held_share: float = 1.0
    match: float = 0.0
    balance: float = 0.0
    emphasis: float = 1.0
    strides: tuple[float, ...] = (0.6, 0.1, 0.1, 0.1, 0.1)
    weights: tuple[float, ...] = (1.0, 1.2, 0.6, 0.2, 0.1, 0.0)

    def __post_init__(self) -> None:
        """Raise TrainingError for numbers that nothing can be drawn with."""
        kinds = ", ".join(kind.name.lower() for kind in Kind)
        if len(self.weights) != len(Kind) or not all(weight >= 0 for weight in self.weights):
            raise TrainingError(f"--mix-weights must be {len(Kind)} numbers of 0 or more: {kinds}.")
        for name, shares in (("ratios", self.ratios), ("strides", self.strides)):
            if min(shares, default=0) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-8):
                raise TrainingError(f"--mix-{name} must be shares from 0 to 1 that add up to 1.")
        for name, least in {"window": 8, "long_window": 8, "facts": 1, "joined": 1}.items():
            if getattr(self, name) < least:
                raise TrainingError(f"--mix-{name.replace('_', '-')} must be {least} or more.")


@dataclass(frozen=True)
class Decoded:
    """One decoder sequence: it reads the slots of ``segments`` (placed in that order), then ``input_ids``.

    ``targets[i]`` is what follows ``input_ids[i]``, -1 where nothing is asked. ``shift`` is the power of two by
    which positions are squeezed. ``teacher`` (another sequence of the example, offset): what that sequence predicts
    at ``offset + i`` is to be learnt at i. A ``frozen`` sequence is read by the frozen reader alone. Targets before
    position ``asked`` are words of a question, of Kind.ASK.
    """

    kind: Kind
    segments: tuple[int, ...]
    input_ids: np.ndarray
    targets: np.ndarray
    shift: int = 0
    teacher: tuple[int, int] | None = None
    frozen: bool = False
    asked: int = 0


@dataclass(frozen=True)
class Example:
    """Segments that are encoded at one ratio, and the sequences that are decoded from their slots."""

    ratio: int
    segments: list[np.ndarray] = field(default_factory=list)
    decoded: list[Decoded] = field(default_factory=list)

    @property
    def slots(self) -> int:
        """Count the slots of all segments."""
        return sum(slot_count(len(segment), self.ratio) for segment in self.segments)

    def slots_read(self, decoded: Decoded) -> int:
        """Count the slots that a sequence reads."""
        return sum(slot_count(len(self.segments[i]), self.ratio) for i in decoded.segments)
