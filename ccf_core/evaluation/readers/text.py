"""Readers of text that is chosen for the question: by its words, or because the evaluation knows the passage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccf_core.focus import relevance
from ccf_core.focus.budget import pieces, ranked
from ccf_core.readers.base import Question, Reader, Reading


class BM25(Reader):
    """Reads the segments that BM25 finds best, the last one cut where the budget ends, in the order of the text."""

    reads_text = True
    by_question = True
    on_request = True

    def best(self, question: Question) -> dict[int, Sequence[int]]:
        """Choose the text: segment -> tokens that are read of it, within budget and window, in their order."""
        texts, limit = question.texts, question.text_limit
        left = question.budget if limit is None else min(question.budget, limit)
        read: dict[int, Sequence[int]] = {}
        segments = pieces([len(text) for text in texts])
        for index in ranked(relevance.words(self.tokenizer, question.text, texts, segments)):
            if left > 0:
                read[index] = texts[index][:left]
                left -= len(read[index])
        return dict(sorted(read.items()))

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [Reading([token for text in self.best(q).values() for token in text]) for q in questions]


class Gold(Reader):
    """Reads the passage that was asked about, whatever it takes."""

    reads_text = True
    by_question = True
    on_request = True

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [Reading(question.gold) for question in questions]
