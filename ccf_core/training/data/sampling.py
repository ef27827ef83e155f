"""Draws what one training example asks of the model: which segments are encoded, what is decoded from which slots.

Plain numpy, no model. An example is drawn from a seeded generator alone, so that any batch can be made again.
"""

from __future__ import annotations

import numpy as np

from ccf_core.config import CCFConfig
from ccf_core.errors import TrainingError
from ccf_core.training.data.cloze import draw_cloze
from ccf_core.training.data.dataset import Ragged, TrainingData
from ccf_core.training.data.examples import LONGEST, Decoded, Example, Kind, Mix
from ccf_core.training.data.synthetic_facts import state


def cut(length: int, rng: np.random.Generator, segment_length: int, ragged: bool) -> list[tuple[int, int]]:
    """Cut a text into segments [start, end): full ones and the rest, or all at random lengths below segment_length."""
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
            raise TrainingError("There is nothing to train on: give rows of text, of questions, or both.")
        weights = data.context_weights
        self.context_weights = np.cumsum(weights / weights.sum()) if len(weights) else None
        self.opening, self.closing = _shared_ends(data.prompts)

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
            return self._full_text(rng, ratio, ids, stated, long)
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
            if rng.random() < mix.distil_text:
                teacher = self._add_full(rng, example, Kind.FULL, ids[:-1], ids[1:])
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
        """Draw the facts that the text is to hold, none for most texts."""
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
            teacher = self._read_in_full(rng, example, ids, prompt, answer, long) if distilled else None
            self._ask(rng, example, prompt, answer, shift, teacher)
            distilled = False

    def _ask_clozes(self, rng: np.random.Generator, example: Example, ids: np.ndarray, count: int, shift: int) -> None:
        for _ in range(count):
            if cloze := draw_cloze(ids, self.data.vocabulary, rng):
                self._ask(rng, example, *cloze, shift, None)

    def _full_text(
        self, rng: np.random.Generator, ratio: int, ids: np.ndarray, facts: list[int], long: bool
    ) -> Example:
        """Ask for a fact or a cloze after the raw text; else for the text itself."""
        data, example = self.data, Example(ratio)
        if facts:
            prompt, answer = data.fact_prompts[facts[0]].astype(np.int64), data.fact_answers[facts[0]].astype(np.int64)
            self._read_in_full(rng, example, ids, prompt, answer, long, alone=True)
        elif rng.random() < self.mix.cloze_share and (cloze := draw_cloze(ids, data.vocabulary, rng)):
            self._read_in_full(rng, example, ids, *cloze, long, alone=True)
        elif len(ids) > 1:
            raw = self._raw_text(rng, ids)
            if self.mix.reader and rng.random() < self.mix.distil_text:
                self._add_full(rng, example, raw.kind, raw.input_ids, raw.targets, alone=True)
            else:
                example.decoded.append(raw)
        return example

    def _raw_text(self, rng: np.random.Generator, ids: np.ndarray) -> Decoded:
        """Ask for plain language modelling; or for a segment, the repeat token, and the segment again."""
        if rng.random() >= self.mix.copy_share:
            return Decoded(Kind.FULL, (), ids[:-1], ids[1:])
        shown = ids[: self.config.segment_length]
        again = np.concatenate((shown, [self.config.repeat_token], shown[:-1]))
        return Decoded(Kind.FULL, (), again, np.concatenate((np.full(len(shown), -1), shown)))

    def _questions(self, rng: np.random.Generator, ratio: int, long: bool) -> Example:
        data, mix = self.data, self.mix
        joined = rng.random() < mix.joined_share
        budget = mix.long_window if long else 2 * mix.window
        many = 1 + int(rng.integers(mix.joined * (4 if long else 1))) if joined or long else 1
        contexts: list[int] = []
        for which in self._draw_contexts(rng, many):
            size = len(data.contexts[which])
            if which not in contexts and (size <= budget or not contexts):
                contexts.append(which)
                budget -= size
        texts = [data.contexts[which].astype(np.int64) for which in contexts]
        ragged = rng.random() < mix.ragged / 2
        segments = [t[a:b] for t in texts for a, b in cut(len(t), rng, self.config.segment_length, ragged)]
        raw = np.concatenate(texts)
        full = rng.random() < mix.full_share
        example = Example(ratio, [] if full else segments)
        shift = self._shift(rng)
        asked = [q for which in contexts for q in range(data.question_of[which], data.question_of[which + 1])]
        distilled = full or rng.random() < mix.distil_share
        only_first = len(raw) > mix.distil_all
        for question in rng.permutation(asked)[: 1 if full else mix.questions]:
            prompt, answer = data.prompts[question].astype(np.int64), data.answers[question].astype(np.int64)
            if rng.random() < mix.unanswerable and len(data.contexts) > len(contexts):
                prompt = self._foreign_prompt(rng, contexts)
                answer = data.vocabulary.abstain.astype(np.int64)
            teacher = None
            if distilled:
                teacher = self._read_in_full(rng, example, raw, prompt, answer, long or full, alone=full)
            if not full:
                self._ask(rng, example, prompt, answer, shift, teacher)
            distilled = distilled and not only_first
        if not full and rng.random() < mix.cloze_share:
            self._ask_clozes(rng, example, raw, max(0, mix.questions - len(asked)), shift)
        return example

    def _draw_contexts(self, rng: np.random.Generator, count: int) -> list[int]:
        if self.context_weights is None:
            drawn = rng.integers(len(self.data.contexts), size=count)
        else:
            drawn = np.searchsorted(self.context_weights, rng.random(count), side="right")
        return np.minimum(drawn, len(self.data.contexts) - 1).tolist()

    def _add_full(
        self, rng: np.random.Generator, example: Example, kind: Kind, ids: np.ndarray, targets: np.ndarray,
        alone: bool = False,
    ) -> int:  # fmt: skip
        """Add a sequence that reads raw text, and return the index of the one that teaches.

        A frozen reader, if there is one, teaches; the decoder in training reads the same beside it and learns from it,
        in ``held_share`` of the cases, or always if the example is ``alone``, without slots.
        """
        index = len(example.decoded)
        if not self.mix.reader:
            example.decoded.append(Decoded(kind, (), ids, targets))
            return index
        example.decoded.append(Decoded(kind, (), ids, targets, frozen=True))
        if alone or rng.random() < self.mix.held_share:
            example.decoded.append(Decoded(kind, (), ids, targets, teacher=(index, 0)))
        return index

    def _read_in_full(
        self, rng: np.random.Generator, example: Example, raw: np.ndarray, prompt: np.ndarray, answer: np.ndarray,
        long: bool, alone: bool = False,
    ) -> tuple[int, int] | None:  # fmt: skip
        """Add a sequence that answers from raw text, if that fits; (its index, where its prompt begins)."""
        read = np.concatenate((raw, prompt))
        if len(read) + len(answer) > LONGEST[long]:
            return None
        targets = np.concatenate((np.full(len(read) - 1, -1), answer))
        return self._add_full(rng, example, Kind.READ, np.concatenate((read, answer[:-1])), targets, alone), len(raw)

    def _foreign_prompt(self, rng: np.random.Generator, contexts: list[int]) -> np.ndarray:
        """Draw a question that is asked of a context outside ``contexts``."""
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
        if teacher and self.mix.weights[Kind.ASK]:
            words = slice(self.opening - 1, len(prompt) - self.closing)
            targets[words] = ids[1:][words]
        asked = len(prompt) - 1
        self._read(rng, example, Kind.ANSWER, len(example.segments), ids, targets, shift, teacher, asked)

    def _read(
        self, rng: np.random.Generator, example: Example, kind: Kind, count: int, ids: np.ndarray, targets: np.ndarray,
        shift: int, teacher: tuple[int, int] | None, asked: int = 0,
    ) -> None:  # fmt: skip
        """Add a sequence that reads the first ``count`` segments: as slots, or one or two of them as text."""
        seen = list(range(count))
        if count > 1 and rng.random() < self.mix.raw_share:
            raw = sorted(rng.permutation(count)[: int(rng.integers(1, 3))].tolist())
            seen = [i for i in seen if i not in raw]
            text = np.concatenate([example.segments[i] for i in raw])
            ids, targets = np.concatenate((text, ids)), np.concatenate((np.full(len(text), -1), targets))
            teacher = teacher and (teacher[0], teacher[1] - len(text))
            asked += len(text)
        if seen:
            example.decoded.append(Decoded(kind, tuple(seen), ids, targets, shift, teacher, asked=asked))

    def _shift(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.mix.strides), p=self.mix.strides))


def _shared_ends(prompts: Ragged) -> tuple[int, int]:
    """Count the tokens that all of some prompts begin with, and end with: the template around a question."""
    some = [prompts[i] for i in np.unique(np.linspace(0, max(0, len(prompts) - 1), 64).astype(int)) if len(prompts)]

    def shared(items: list[np.ndarray]) -> int:
        shortest = min(map(len, items), default=0)
        alike = [len({int(item[i]) for item in items}) == 1 for i in range(shortest)]
        return alike.index(False) if False in alike else shortest

    return shared(some), shared([item[::-1] for item in some])
