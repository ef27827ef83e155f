"""The reader that spends a budget where the question needs it: see ``ccf_core.focus.focus``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from ccf_core.answering import batching
from ccf_core.answering.prompt import abstention
from ccf_core.focus import focus, relevance
from ccf_core.focus.focus import Focused
from ccf_core.model.decoder import end_tokens
from ccf_core.readers.base import Question, Reader, Reading


class FocusReader(Reader):
    """Reads the document coarsely and its best segments finer and as text, or the best text alone.

    A single question is read as ``ccf_core.focus.focus.read`` reads it; several are planned and drafted in batches.
    """

    reads_slots = True
    reads_text = True
    by_question = True
    on_request = True
    rivals: ClassVar[tuple[str, ...]] = ("bm25", "focus_no_slots")

    def prepare(self, questions: Sequence[Question]) -> Sequence[list[float] | None]:
        """Score every piece of each question's document; for a single question ``read`` does that."""
        for question in questions:
            assert question.memory is not None
            focus.check(question.memory)
        return [None] if len(questions) == 1 else self.scores(questions)

    def read(self, questions: Sequence[Question], prepared: Sequence[list[float] | None]) -> list[Reading]:
        if len(questions) == 1 and prepared[0] is None:
            return [self._read_one(questions[0])]
        return [self._reading(kept) for kept in self.choose(questions, self.plans(questions, prepared))]

    def scores(self, questions: Sequence[Question]) -> list[list[float]]:
        """Score every piece of each question's document: ``ccf_core.focus.relevance.worth``."""
        # More than a reading's budget: how many segments are asked at once changes the time alone.
        scores, cache_positions = [], batching.cache_tokens(self.decoder)
        for q in questions:
            assert q.memory is not None
            piece = self.focus.piece
            scores.append(
                relevance.worth(self.decoder, self.tokenizer, q.text, q.memory, q.texts, piece, cache_positions)
            )
            if len(scores) % 100 == 0:
                self.report(f"what {len(scores)} of {len(questions)} questions need")
        return scores

    def plans(self, questions: Sequence[Question], prepared: Sequence[list[float] | None]) -> list[list[Focused]]:
        """Plan what may be read for each question: ``ccf_core.focus.focus.readings``."""
        plans = []
        for q, scores in zip(questions, prepared, strict=True):
            assert q.memory is not None and scores is not None
            plans.append(focus.readings(self.decoder, q.memory, q.texts, scores, self._spending(q), q.slot))
        return plans

    def choose(self, questions: Sequence[Question], plans: Sequence[Sequence[Focused]]) -> list[Focused]:
        """Choose of each question's plans the one after which the decoder is surer of its answer."""
        abstained, ends = abstention(self.tokenizer), end_tokens(self.decoder.model)
        several = [i for i, plan in enumerate(plans) if len(plan) > 1]
        requests = [self._reading(each).request(questions[i].prompt, focus.DRAFT) for i in several for each in plans[i]]
        drafts = batching.generate(self.decoder, requests, self.report, rows=self.batch_size)
        targets = [focus.drafted(draft, ends) for draft in drafts]
        scored = [replace(r, new=0, target=target) for r, target in zip(requests, targets, strict=True)]
        logprobs = batching.score(self.decoder, scored, self.report, rows=self.batch_size)
        sure = [focus.confidence(draft, found, abstained) for draft, (found, _) in zip(drafts, logprobs, strict=True)]
        chosen = [plan[0] for plan in plans]
        for i, with_slots, text_only in zip(several, sure[::2], sure[1::2], strict=True):
            chosen[i] = plans[i][focus.prefers_text_only(text_only, partial(float, with_slots))]
        return chosen

    def _read_one(self, q: Question) -> Reading:
        assert q.memory is not None
        focused, prefix = focus.read(
            self.decoder, self.tokenizer, q.text, q.prompt, q.memory, q.document.input_ids, self._spending(q),
            self.cancelled, q.slot,
        )  # fmt: skip
        return Reading(cache=lambda: prefix, cached=prefix.length, slots=focused.slots, evidence=focused.evidence)

    def _reading(self, focused: Focused) -> Reading:
        slots = focused.slots
        if slots is None:
            return Reading(focused.text, evidence=focused.evidence)
        cache = partial(focused.slots_prefix, self.decoder)
        return Reading(focused.text, cache, slots.slots, slots, focused.evidence)

    def _spending(self, question: Question) -> focus.Focus:
        return replace(self.focus, budget=question.budget)
