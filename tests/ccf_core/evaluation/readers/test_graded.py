"""The reader ``graded`` in a task: all levels whatever is asked for, in the positions of the ratio that is."""

from __future__ import annotations

import dataclasses

import pytest

from ccf_core.evaluation.readers.base import readings
from ccf_core.evaluation.rows import Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import perplexity
from ccf_core.readers.base import Question

OPTIONS = Options(ratios=(8, 16), readers=("full", "none", "graded"), k=(4,))


def test_perplexity_after_a_graded_memory(subject: Subject, text_rows: list[Row]) -> None:
    ccf = subject.ccf
    _, rows = perplexity.evaluate(subject, text_rows, OPTIONS)
    told = {row["ratio"]: row["metrics"] for row in rows if row["reader"] == "graded"}
    assert set(told) == {8, 16} and all("gain_kept" in metrics for metrics in told.values())
    for ratio, metrics in told.items():
        nats = []
        for _, before, after in perplexity.windows(subject, text_rows, OPTIONS, 4):
            slots, tail = ccf.compress(before.input_ids).quantize().graded(before.slots(ratio))
            assert slots is not None and tail > 0
            prefix = ccf.decoder.read_text(before.input_ids[-tail:], after=ccf.decoder.prefix(slots, tail))
            nats.append(-ccf.decoder.score(prefix, after[:1], after[1:]).mean())
        assert metrics["nats"] == pytest.approx(float(sum(nats)) / len(nats), abs=1e-3)


def test_what_is_read_at_a_ratio_depends_on_no_other_ratio(subject: Subject, long_rows: list[Row]) -> None:
    document = subject.ccf.segment(subject.ccf.segment(long_rows[0]["text"]).input_ids[:800])
    question = Question([5, 6], document, 3, window=1024)
    given = dataclasses.replace(question, memory=subject.ccf.compress(document.input_ids, 32))
    found = {}
    for name, ratios, asked in (("alone", (4,), question), ("both", (4, 8), question), ("given", (4,), given)):
        read = readings(subject, "graded", ratios, [asked], dataclasses.replace(OPTIONS, ratios=ratios))
        (found[name],) = dict(read)[4]
    for reading in found.values():
        assert reading.slots is not None and min(level for _, level, _ in reading.slots.parts()) == 16
        assert [part[:2] for part in reading.slots.parts()] == [part[:2] for part in found["alone"].slots.parts()]
        assert reading.text == found["alone"].text == [*document.input_ids[-len(reading.text) :]]
        assert reading.positions == found["alone"].positions <= document.slots(4)


def test_the_coarsest_ratio_leaves_no_room_for_text(subject: Subject, text_rows: list[Row]) -> None:
    document = subject.ccf.segment(text_rows[3]["text"])
    options = dataclasses.replace(OPTIONS, ratios=(32,))
    ((_, (reading,)),) = readings(subject, "graded", (32,), [Question([5], document, 3)], options)
    assert reading.slots is not None and (reading.text, reading.positions) == ([], document.slots(32))
