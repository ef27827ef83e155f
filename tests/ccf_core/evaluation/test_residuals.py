"""The reader ``residual``: many documents at once are what each is alone, and it is compared row by row."""

from __future__ import annotations

import pytest

from ccf_core import MemoryMismatch, residual
from ccf_core.evaluation import metrics, qa, readers, reconstruct, residuals
from ccf_core.evaluation.data import Row
from ccf_core.evaluation.subject import Options, Subject

OPTIONS = Options(ratios=(4, 32), readers=("memory", "residual", "repeat_attention"))


def test_documents_together_are_what_each_is_alone(subject: Subject, text_rows: list[Row]) -> None:
    documents = [subject.ccf.segment(row["text"]) for row in text_rows]
    made = residuals.make(subject, documents, OPTIONS)
    for ratio in OPTIONS.ratios:
        for document, found in zip(documents, made[ratio], strict=True):
            memory = subject.ccf.compress(document.input_ids).quantize().at(ratio)
            alone = residual.residual(subject.ccf.decoder, memory, document.input_ids)
            assert (found.ends, found.raw, found.nbytes) == (alone.ends, alone.raw, alone.nbytes)
            assert found.length == readers.slots_at(document, ratio)
    assert sum(found.tokens for found in made[4]) > 0 == sum(found.tokens for found in made[32])


def test_reconstruct_compares_it_at_equal_bytes(subject: Subject, text_rows: list[Row]) -> None:
    _, rows = reconstruct.evaluate(subject, text_rows, OPTIONS)
    told = {(row["reader"], row["ratio"], row["sample"]): row for row in rows}
    for sample in reconstruct.SAMPLES:
        row = told["residual", 4, sample]
        for other in reconstruct.RIVALS:
            for metric in reconstruct.COMPARED:
                difference = row["metrics"][metric] - told[other, 4, sample]["metrics"][metric]
                assert row["metrics"][f"{metric}_minus_{other}"] == pytest.approx(difference, abs=1e-4)
                low, high = row["ci95"][f"{metric}_minus_{other}"]
                assert low <= difference + 1e-4 and difference - 1e-4 <= high
        assert 0 < row["metrics"]["raw_share"] <= 0.5
        assert "rouge_l_minus_memory" not in told["memory", 4, sample]["metrics"]
        assert told["residual", 32, sample]["metrics"]["rouge_l_minus_memory"] == 0
        assert told["residual", 32, sample]["metrics"]["raw_share"] == 0


def test_qa_asks_it_and_tells_the_difference(subject: Subject, qa_rows: list[Row]) -> None:
    short = [row for row in qa_rows if row["answers"] and not metrics.is_long(row["answers"])][:6]
    _, rows = qa.evaluate(subject, short, OPTIONS)
    told = {(row["reader"], row["ratio"]): row["metrics"] for row in rows if row["source"] == "all"}
    for other in ("memory", "repeat_attention"):
        difference = told["residual", 4]["f1"] - told[other, 4]["f1"]
        assert told["residual", 4][f"f1_minus_{other}"] == pytest.approx(difference, abs=1e-4)
    assert told["residual", 32]["f1"] == told["memory", 32]["f1"]


def test_it_runs_only_if_it_is_named_and_reads_slots_alone(make_subject, text_rows: list[Row]) -> None:
    named = [reader for reader, _ in readers.settings(reconstruct.READERS, Options(ratios=(4,)))]
    assert named == ["memory"]
    pooled = make_subject(compressor="mean_pool")
    with pytest.raises(MemoryMismatch, match="slots"):
        reconstruct.evaluate(pooled, text_rows, Options(ratios=(4,), readers=("residual",)))
