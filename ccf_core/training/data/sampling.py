"""Draws what one training example asks of the model: which segments are encoded, what is decoded from which slots.

Plain numpy, no model. An example is drawn from a seeded generator alone, so that any batch can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from ccf_core.config import CCFConfig
from ccf_core.training.cloze import draw_cloze
from ccf_core.training.data import TrainingData
from ccf_core.training.facts import state

#: Most positions (slots read and tokens) of a decoder sequence in an ordinary and in a long batch.
LONGEST = (1536, 8704)


class Kind(IntEnum):
    """What a target token teaches."""

    RECONSTRUCT = 0
    CONTINUE = 1
    ANSWER = 2
    FULL = 3  # plain language modelling and answering on raw text: full context has to stay good


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
    distil_share : continuations and answers that are also done from raw text and learn from what that predicts;
        distil : the part of their target that is its distribution (the rest is the true token).
    emphasis : weight of digits and capitalised words in reconstructions, relative to other tokens.
    strides : how often positions are squeezed by 1, 1/2, 1/4, …
    weights : of all targets of each Kind in a batch.
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
    emphasis: float = 1.0
    strides: tuple[float, ...] = (0.6, 0.1, 0.1, 0.1, 0.1)
    weights: tuple[float, ...] = (1.0, 1.2, 0.6, 0.2)


@dataclass(frozen=True)
class Decoded:
    """One decoder sequence: it reads the slots of ``segments`` (placed in that order), then ``input_ids``.

    ``targets[i]`` is what follows ``input_ids[i]``, -1 where nothing is asked. ``shift`` is the power of two by
    which positions are squeezed. ``teacher`` (another sequence of the example, offset): what that sequence predicts
    at ``offset + i`` is to be learnt at i.
    """

    kind: Kind
    segments: tuple[int, ...]
    input_ids: np.ndarray
    targets: np.ndarray
    shift: int = 0
    teacher: tuple[int, int] | None = None


@dataclass(frozen=True)
class Example:
    ratio: int
    segments: list[np.ndarray] = field(default_factory=list)
    decoded: list[Decoded] = field(default_factory=list)


def cut(length: int, rng: np.random.Generator, segment_length: int, ragged: bool) -> list[tuple[int, int]]:
    """[start, end) of segments: full ones and the rest, or all at random lengths from 1 to segment_length - 1."""
    bounds, start = [], 0
    while start < length:
        step = int(rng.integers(1, segment_length)) if ragged and segment_length > 1 else segment_length
        bounds.append((start, min(start + step, length)))
        start += step
    return bounds


class Sampler:
    """Draws examples from tokenized data."""

    def __init__(self, data: TrainingData, config: CCFConfig, mix: Mix) -> None:
        self.data, self.config, self.mix = data, config, mix
        lengths = data.texts.lengths().astype(np.float64)
        self.text_weights = np.cumsum(lengths / lengths.sum()) if lengths.sum() else None
        if self.text_weights is None and not len(data.contexts):
            raise ValueError("there is nothing to train on: give text rows, question rows or both")

    def draw(self, rng: np.random.Generator, long: bool = False) -> Example:
        ratio = int(rng.choice(self.config.ratios, p=self.mix.ratios))
        asks = len(self.data.contexts) and (self.text_weights is None or rng.random() < self.mix.question_share)
        return self._questions(rng, ratio, long) if asks else self._text(rng, ratio, long)

    def _text(self, rng: np.random.Generator, ratio: int, long: bool) -> Example:
        assert self.text_weights is not None
        mix = self.mix
        text = self.data.texts[int(np.searchsorted(self.text_weights, rng.random(), side="right"))]
        window = mix.long_window >> int(rng.integers(3)) if long else mix.window
        start = int(rng.integers(0, max(1, len(text) - window // 2)))
        ids = text[start : start + window].astype(np.int64)
        if stated := self._facts(rng):
            statements = [self.data.statements[fact].astype(np.int64) for fact in stated]
            ids = state(statements, ids, self.data.vocabulary.ends, window, rng)
        if rng.random() < mix.full_share:
            return Example(ratio, [], [self._raw_text(rng, ids)] if len(ids) > 1 else [])
        bounds = cut(len(ids), rng, self.config.segment_length, rng.random() < mix.ragged)
        example = Example(ratio, [ids[a:b] for a, b in bounds])
        order = rng.permutation(len(bounds))
        for index in sorted(order[: mix.reconstructed].tolist()):
            segment = example.segments[index]
            begun = np.concatenate(([self.config.repeat_token], segment[:-1]))
            example.decoded.append(Decoded(Kind.RECONSTRUCT, (index,), begun, segment))
        shift = self._shift(rng)
        if len(bounds) > 1 and rng.random() < mix.continue_share:
            teacher = None
            if rng.random() < mix.distil_share:
                teacher = len(example.decoded)
                example.decoded.append(Decoded(Kind.FULL, (), ids[:-1], ids[1:]))
            for index in sorted((1 + rng.permutation(len(bounds) - 1)[: mix.continuations]).tolist()):
                segment, at = example.segments[index], bounds[index][0]
                if len(segment) > 1:
                    taught = None if teacher is None else (teacher, at)
                    self._read(rng, example, Kind.CONTINUE, index, segment[:-1], segment[1:], shift, taught)
        if stated:
            self._ask_facts(rng, example, ids, stated, shift, long)
        elif rng.random() < mix.cloze_share:
            self._ask_clozes(rng, example, ids, mix.clozes, shift)
        return example

    def _facts(self, rng: np.random.Generator) -> list[int]:
        """Which facts the text is to hold, none for most texts."""
        known = len(self.data.statements)
        if not known or rng.random() >= self.mix.fact_share:
            return []
        return rng.integers(known, size=1 + int(rng.integers(self.mix.facts))).tolist()

    def _ask_facts(
        self, rng: np.random.Generator, example: Example, ids: np.ndarray, facts: list[int], shift: int, long: bool
    ) -> None:
        data = self.data
        distilled = rng.random() < self.mix.distil_share
        for fact in facts:
            prompt, answer = data.fact_prompts[fact].astype(np.int64), data.fact_answers[fact].astype(np.int64)
            if rng.random() < self.mix.unanswerable:
                prompt = data.fact_prompts[int(rng.integers(len(data.fact_prompts)))].astype(np.int64)
                answer = data.vocabulary.abstain.astype(np.int64)
            teacher = self._read_in_full(example, ids, prompt, answer, long) if distilled else None
            self._ask(rng, example, prompt, answer, shift, teacher)
            distilled = False

    def _ask_clozes(self, rng: np.random.Generator, example: Example, ids: np.ndarray, count: int, shift: int) -> None:
        for _ in range(count):
            if cloze := draw_cloze(ids, self.data.vocabulary, rng):
                self._ask(rng, example, *cloze, shift, None)

    def _raw_text(self, rng: np.random.Generator, ids: np.ndarray) -> Decoded:
        """Plain language modelling; or a segment, the repeat token, and the segment again."""
        if rng.random() >= self.mix.copy_share:
            return Decoded(Kind.FULL, (), ids[:-1], ids[1:])
        shown = ids[: self.config.segment_length]
        again = np.concatenate((shown, [self.config.repeat_token], shown[:-1]))
        return Decoded(Kind.FULL, (), again, np.concatenate((np.full(len(shown), -1), shown)))

    def _questions(self, rng: np.random.Generator, ratio: int, long: bool) -> Example:
        data, mix = self.data, self.mix
        joined = rng.random() < mix.joined_share
        room = mix.long_window if long else 2 * mix.window
        many = 1 + int(rng.integers(mix.joined * (4 if long else 1))) if joined or long else 1
        contexts: list[int] = []
        for which in rng.integers(len(data.contexts), size=many).tolist():
            size = len(data.contexts[which])
            if which not in contexts and (size <= room or not contexts):
                contexts.append(which)
                room -= size
        texts = [data.contexts[which].astype(np.int64) for which in contexts]
        ragged = rng.random() < mix.ragged / 2
        segments = [t[a:b] for t in texts for a, b in cut(len(t), rng, self.config.segment_length, ragged)]
        raw = np.concatenate(texts)
        full = rng.random() < mix.full_share
        example = Example(ratio, [] if full else segments)
        shift = self._shift(rng)
        asked = [q for which in contexts for q in range(data.question_of[which], data.question_of[which + 1])]
        distilled = full or rng.random() < mix.distil_share
        for question in rng.permutation(asked)[: 1 if full else mix.questions]:
            prompt, answer = data.prompts[question].astype(np.int64), data.answers[question].astype(np.int64)
            if rng.random() < mix.unanswerable and len(data.contexts) > len(contexts):
                prompt = self._foreign_prompt(rng, contexts)
                answer = data.vocabulary.abstain.astype(np.int64)
            teacher = self._read_in_full(example, raw, prompt, answer, long or full) if distilled else None
            if not full:
                self._ask(rng, example, prompt, answer, shift, teacher)
            distilled = False
        if not full and rng.random() < mix.cloze_share:
            self._ask_clozes(rng, example, raw, max(0, mix.questions - len(asked)), shift)
        return example

    def _read_in_full(
        self, example: Example, raw: np.ndarray, prompt: np.ndarray, answer: np.ndarray, long: bool
    ) -> tuple[int, int] | None:
        """Add a sequence that answers from raw text, if that fits; (its index, where its prompt begins)."""
        read = np.concatenate((raw, prompt))
        if len(read) + len(answer) > LONGEST[long]:
            return None
        targets = np.concatenate((np.full(len(read) - 1, -1), answer))
        example.decoded.append(Decoded(Kind.FULL, (), np.concatenate((read, answer[:-1])), targets))
        return len(example.decoded) - 1, len(raw)

    def _foreign_prompt(self, rng: np.random.Generator, contexts: list[int]) -> np.ndarray:
        """A question asked of a context that is none of these."""
        data = self.data
        while (other := int(rng.integers(len(data.contexts)))) in contexts:
            pass
        return data.prompts[int(rng.integers(data.question_of[other], data.question_of[other + 1]))].astype(np.int64)

    def _ask(
        self, rng: np.random.Generator, example: Example, prompt: np.ndarray, answer: np.ndarray, shift: int,
        teacher: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        ids = np.concatenate((prompt, answer[:-1]))
        targets = np.concatenate((np.full(len(prompt) - 1, -1), answer))
        self._read(rng, example, Kind.ANSWER, len(example.segments), ids, targets, shift, teacher)

    def _read(
        self, rng: np.random.Generator, example: Example, kind: Kind, count: int, ids: np.ndarray, targets: np.ndarray,
        shift: int, teacher: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        """Add a sequence that reads the first ``count`` segments: as slots, or one or two of them as text."""
        seen = list(range(count))
        if count > 1 and rng.random() < self.mix.raw_share:
            raw = sorted(rng.permutation(count)[: int(rng.integers(1, 3))].tolist())
            seen = [i for i in seen if i not in raw]
            text = np.concatenate([example.segments[i] for i in raw])
            ids, targets = np.concatenate((text, ids)), np.concatenate((np.full(len(text), -1), targets))
            teacher = teacher and (teacher[0], teacher[1] - len(text))
        if seen:
            example.decoded.append(Decoded(kind, tuple(seen), ids, targets, shift, teacher))

    def _shift(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.mix.strides), p=self.mix.strides))
