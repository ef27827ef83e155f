"""The reader of a memory that is continued: coarser the farther back, the last tokens as text."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ccf_core.answering.evidence import evidence
from ccf_core.model.prefix import slot_segments
from ccf_core.readers.base import Question, Reading
from ccf_core.readers.memory import Memory


class Graded(Memory):
    """Reads far segments coarsely, near ones finely and the last tokens as text, all in the question's budget.

    Text takes half of the decoder's window at most. See ``KVMemory.graded``, which raises BudgetTooSmall.
    """

    reads_text = True
    as_small_as_memory = True
    grades_memory = True
    on_request = True

    def _reading(self, question: Question) -> Reading:
        memory = question.memory
        assert memory is not None
        tokens = [(i, token) for i, text in enumerate(question.texts) for token in text]
        slots, tail = memory.graded(question.budget, most_text=self.decoder.window // 2)
        last = tokens[len(tokens) - tail :]
        # Segments without slots are the last ones, so those with slots keep their numbers.
        segments = [*(slot_segments(slots) if slots else ()), *(i for i, _ in last)]
        read = Reading([token for _, token in last], evidence=partial(evidence, segments=segments))
        if slots is None:
            return read
        return replace(read, cache=partial(self.decoder.prefix, slots, tail), cached=slots.slots, slots=slots)
