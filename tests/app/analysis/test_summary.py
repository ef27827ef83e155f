"""Summaries of segments, on a tiny random model."""

from __future__ import annotations

import pytest

from app.analysis.summary import SUMMARY_QUESTION
from ccf_core.analysis.ablation import answer_from


@pytest.mark.parametrize("ratio", [4, 16])
def test_a_summary_is_the_answer_of_the_segments_memory_alone(workbench, codec, sha256, ratio: int) -> None:
    view = workbench.summaries.summarise(sha256, 2, ratio)
    memory = codec.compress(workbench.library.text(sha256)).quantize().at(ratio).select([2])
    assert view.summary == codec.answer(SUMMARY_QUESTION, memory, 80).text
    assert (view.slots, view.key_sentence) == (
        memory.slots, workbench.attention.view(sha256, 2, ratio).key_sentence,
    )  # fmt: skip


def test_an_abstention_is_barred_and_said(workbench, codec, sha256, monkeypatch) -> None:
    free = workbench.summaries.summarise(sha256, 2, 4)
    assert free.summary and not free.abstained
    barred = []

    def watched(*args, **kwargs):
        barred.append(kwargs["barred"])
        return answer_from(*args, **kwargs)

    monkeypatch.setattr("ccf_core.answer_from", watched)
    monkeypatch.setattr("app.analysis.summary.ABSTENTION", free.summary)
    workbench.memories.forget(sha256)
    assert workbench.summaries.summarise(sha256, 2, 4).abstained
    assert barred == [(), codec.tokenizer(free.summary, add_special_tokens=False)["input_ids"][:1]]
