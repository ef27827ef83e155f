"""Draws what one training example asks of the model: which segments are encoded, what is decoded from which slots.

Plain numpy, no model. An example is drawn from a seeded generator alone, so that any batch can be made again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from ccf_core.config import CCFConfig
from ccf_core.training.data import TrainingData


class Kind(IntEnum):
    """What a target token teaches."""

    RECONSTRUCT = 0
    CONTINUE = 1
    ANSWER = 2
    FULL = 3  # plain language modelling and answering on raw text: full context has to stay good


@dataclass(frozen=True)
class Mix:
    """Shares and distributions of what is drawn. Defaults are those of the shipped adapter."""

    ratios: tuple[float, ...] = (0.30, 0.35, 0.20, 0.15)
    window: int = 1024
    ragged: float = 0.30
    continuations: int = 3
    continue_share: float = 0.5
    question_share: float = 0.45
    questions: int = 4
    full_share: float = 0.10
    strides: tuple[float, ...] = (0.6, 0.1, 0.1, 0.1, 0.1)
    weights: tuple[float, ...] = (1.0, 0.4, 0.5, 0.2)


@dataclass(frozen=True)
class Decoded:
    """One decoder sequence: it reads the slots of ``segments`` (placed in that order), then ``input_ids``.

    ``targets[i]`` is what follows ``input_ids[i]``, -1 where nothing is asked. ``shift`` is the power of two by
    which positions are squeezed.
    """

    kind: Kind
    segments: tuple[int, ...]
    input_ids: np.ndarray
    targets: np.ndarray
    shift: int = 0


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

    def draw(self, rng: np.random.Generator) -> Example:
        ratio = int(rng.choice(self.config.ratios, p=self.mix.ratios))
        asks = len(self.data.contexts) and (self.text_weights is None or rng.random() < self.mix.question_share)
        return self._questions(rng, ratio) if asks else self._text(rng, ratio)

    def _text(self, rng: np.random.Generator, ratio: int) -> Example:
        assert self.text_weights is not None
        text = self.data.texts[int(np.searchsorted(self.text_weights, rng.random(), side="right"))]
        start = int(rng.integers(0, max(1, len(text) - self.mix.window // 2)))
        ids = text[start : start + self.mix.window].astype(np.int64)
        if rng.random() < self.mix.full_share:
            return Example(ratio, [], [Decoded(Kind.FULL, (), ids[:-1], ids[1:])] if len(ids) > 1 else [])
        bounds = cut(len(ids), rng, self.config.segment_length, rng.random() < self.mix.ragged)
        example = Example(ratio, [ids[a:b] for a, b in bounds])
        for index, segment in enumerate(example.segments):
            begun = np.concatenate(([self.config.repeat_token], segment[:-1]))
            example.decoded.append(Decoded(Kind.RECONSTRUCT, (index,), begun, segment))
        if len(bounds) > 1 and rng.random() < self.mix.continue_share:
            shift = self._shift(rng)
            later = rng.permutation(np.arange(1, len(bounds)))[: self.mix.continuations]
            for index in sorted(later.tolist()):
                segment = example.segments[index]
                if len(segment) > 1:
                    seen = tuple(range(index))
                    example.decoded.append(Decoded(Kind.CONTINUE, seen, segment[:-1], segment[1:], shift))
        return example

    def _questions(self, rng: np.random.Generator, ratio: int) -> Example:
        data = self.data
        which = int(rng.integers(len(data.contexts)))
        context = data.contexts[which].astype(np.int64)
        first, last = data.question_of[which], data.question_of[which + 1]
        asked = first + rng.permutation(last - first)[: self.mix.questions]
        full = rng.random() < self.mix.full_share
        ragged = rng.random() < self.mix.ragged / 2
        bounds = [] if full else cut(len(context), rng, self.config.segment_length, ragged)
        example = Example(ratio, [context[a:b] for a, b in bounds])
        shift = self._shift(rng)
        for question in asked[:1] if full else asked:
            prompt, answer = data.prompts[question].astype(np.int64), data.answers[question].astype(np.int64)
            read = np.concatenate((context, prompt)) if full else prompt
            ids = np.concatenate((read, answer[:-1]))
            targets = np.concatenate((np.full(len(read) - 1, -1), answer))
            if full:
                example.decoded.append(Decoded(Kind.FULL, (), ids, targets))
            else:
                example.decoded.append(Decoded(Kind.ANSWER, tuple(range(len(bounds))), ids, targets, shift))
        return example

    def _shift(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.mix.strides), p=self.mix.strides))
