"""Readers of pruned caches: the full cache of a text, cut down to the best positions of every head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from ccf_core.answering import batching
from ccf_core.answering.batching import DecodeRequest
from ccf_core.baselines import KeyNorm, Pruning, Random, Ranked, RepeatAttention, SinkRecent
from ccf_core.memory.layout import usable
from ccf_core.readers.base import Question, Reader, Reading


class PrunedReader(Reader):
    """Keeps of a text's cache as many positions as the memory has slots, chosen by ``method`` before any question."""

    reads_text = True
    as_small_as_memory = True
    on_request = True
    method: ClassVar[type[Pruning]]

    @classmethod
    def text_tokens(cls, tokens: int, slots: int) -> int:
        return tokens

    def prepare(self, questions: Sequence[Question]) -> list[Ranked]:
        """Rank the positions of every document; the best ones are kept on the CPU.

        Of a long document only what fits the window beside a question is read, unless there is no limit: what the
        method has ``seen``.
        """
        pruning = self.method(self.tokenizer, self.seed)
        budgets = {question.document: question.budget for question in questions}
        limits = {q.document: None if q.window is None else usable(q.window) for q in questions}
        texts = [pruning.seen(document.input_ids, limits[document]) for document in budgets]
        kept = list(budgets.values())
        ranked: dict[int, Ranked] = {}
        rows, tokens = (256, 65_536) if batching.on_gpu(self.decoder) else (8, 8_192)
        for batch in batching.batches([DecodeRequest(text) for text in texts], self.batch_size or rows, tokens):
            best = pruning.rank(self.decoder, [texts[i] for i in batch], [kept[i] for i in batch])
            ranked |= {i: one.to("cpu") for i, one in zip(batch, best, strict=True)}
            self.report(f"{len(ranked)} of {len(texts)} texts pruned")
        by_document = {document: ranked[i] for i, document in enumerate(budgets)}
        return [by_document[question.document] for question in questions]

    def read(self, questions: Sequence[Question], prepared: Sequence[Ranked]) -> list[Reading]:
        device = self.decoder.model.device
        kept = [min(question.budget, best.length) for question, best in zip(questions, prepared, strict=True)]
        return [
            Reading(cache=partial(best.prefix, count, device), cached=count)
            for best, count in zip(prepared, kept, strict=True)
        ]


class SinkRecentReader(PrunedReader):
    """The first tokens and the last ones."""

    method = SinkRecent


class RandomReader(PrunedReader):
    """Positions drawn at random."""

    method = Random


class KeyNormReader(PrunedReader):
    """Keys of low norm."""

    method = KeyNorm


class RepeatAttentionReader(PrunedReader):
    """Keys that the decoder looks at while it repeats the text."""

    method = RepeatAttention
