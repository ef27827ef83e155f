"""Readers of plain text: all of it, its beginning, nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from ccf_core.memory.segments import Segmented
from ccf_core.model.prefix import Prefix
from ccf_core.readers.base import Question, Reader, Reading

#: A document of more tokens than this is read once for all of its questions; a shorter one is cheaper in a batch.
SHARED_FROM = 512


class Full(Reader):
    """Reads the whole text, cut where the window ends beside the longest question that is asked of it."""

    reads_text = True
    whole_text = True

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        by_document: dict[Segmented, list[Question]] = {}
        for question in questions:
            by_document.setdefault(question.document, []).append(question)

        # Batches go through documents one after another, so the last ones read are all that is worth keeping.
        @lru_cache(maxsize=2)
        def read_once(ids: tuple[int, ...]) -> Prefix:
            return self.decoder.read_text(ids)

        shared: dict[Segmented, Reading] = {}
        for document, asked in by_document.items():
            ids = document.input_ids[: fitting(asked)]
            if len(asked) > 1 and len(ids) > SHARED_FROM:
                shared[document] = Reading(cache=partial(read_once, ids), cached=len(ids))
        return [shared.get(q.document) or Reading(q.document.input_ids[: q.text_limit]) for q in questions]


def fitting(questions: Sequence[Question]) -> int | None:
    """Count the tokens of a document that fit beside the longest of some questions; None for any number."""
    limits = [question.text_limit for question in questions if question.text_limit is not None]
    return min(limits, default=None)


class Truncated(Reader):
    """Reads the first tokens of the text, as many as the memory has slots."""

    reads_text = True
    as_small_as_memory = True

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [Reading(q.document.input_ids[: q.text_limit][: q.budget]) for q in questions]


class NoDocument(Reader):
    """Reads nothing: what the model answers from the question alone."""

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [Reading()] * len(questions)
