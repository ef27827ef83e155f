"""The reader ``focus`` without its slots: what the slots are worth."""

from __future__ import annotations

from collections.abc import Sequence

from ccf_core.readers.base import Question, Reading
from ccf_core.readers.focus import FocusReader


class FocusNoSlots(FocusReader):
    """Reads the text that ``focus`` would read alone, always, in half of the budget."""

    rivals = ()

    def prepare(self, questions: Sequence[Question]) -> Sequence[list[float] | None]:
        super().prepare(questions[:1])
        return self.scores(questions)

    def read(self, questions: Sequence[Question], prepared: Sequence[list[float] | None]) -> list[Reading]:
        return [Reading(plan[-1].text) for plan in self.plans(questions, prepared)]
