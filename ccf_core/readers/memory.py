"""Readers of memories: all of a document's slots, at one ratio."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ccf_core.answering.evidence import evidence
from ccf_core.errors import MemoryMismatch
from ccf_core.model.prefix import slot_segments
from ccf_core.readers.base import Question, Reader, Reading


class Memory(Reader):
    """Reads the slots of the question's memory."""

    reads_slots = True
    compressor = "slots"

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [self._reading(question) for question in questions]

    def _reading(self, question: Question) -> Reading:
        memory = question.memory
        assert memory is not None
        shares = partial(evidence, segments=slot_segments(memory))
        return Reading(cache=partial(self.decoder.prefix, memory), cached=memory.slots, slots=memory, evidence=shares)


class MeanPool(Memory):
    """Reads a memory and insists that it is mean-pooled: its slots are means over blocks of text."""

    compressor = "mean_pool"

    def _reading(self, question: Question) -> Reading:
        if question.memory is not None and question.memory.header.nested:
            raise MemoryMismatch("This adapter's memories are made of slots: read them as 'memory'.")
        return super()._reading(question)
