"""Pruned caches and mean-pooled memories in the tasks: measured as the codec's own doors read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType

import pytest

from ccf_core import READERS, MemoryMismatch, metrics
from ccf_core.answering.prompt import question_prompt
from ccf_core.baselines import BASELINES
from ccf_core.evaluation.memories import memories_at
from ccf_core.evaluation.readers.base import readings, settings
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import perplexity, qa, reconstruct
from ccf_core.readers.base import Question

OPTIONS = Options(ratios=(4, 16))


@pytest.fixture(scope="module")
def pooled(make_subject: Callable[..., Subject]) -> Subject:
    return make_subject(compressor="mean_pool")


def short(qa_rows: list[Row]) -> list[Row]:
    return [row for row in qa_rows if row["answers"] and not metrics.is_long(row["answers"])]


def test_every_task_knows_the_contracts_readers(subject: Subject) -> None:
    assert set(READERS) - {"graded"} <= set(qa.READERS) and "graded" in perplexity.READERS
    assert {"base_repeat_attention", "base_sink_recent", "base_key_norm"} <= set(qa.READERS)
    for task in (qa, perplexity, reconstruct):
        assert {"memory", "mean_pool", *BASELINES} <= set(task.READERS)
        named = [reader for reader, _ in settings(task.READERS, OPTIONS, subject)]
        assert not {"mean_pool", *BASELINES} & set(named)


@pytest.mark.parametrize("reader", [*BASELINES, "base_repeat_attention", "base_sink_recent", "base_key_norm"])
def test_qa_asks_pruned_caches_as_the_codec_does(subject: Subject, qa_rows: list[Row], reader: str) -> None:
    ccf, rows = subject.ccf, short(qa_rows)
    _, measured = qa.evaluate(subject, rows, dataclasses.replace(OPTIONS, readers=(reader,)))
    for ratio in OPTIONS.ratios:
        expected = []
        for row in rows:
            memory, ids = ccf.compress(row["context"]).at(ratio), ccf.segment(row["context"]).input_ids
            if reader in BASELINES:
                text = ccf.answer(row["question"], memory, max_new_tokens=32, reader=reader, input_ids=ids).text
            else:
                pruning = BASELINES[reader.removeprefix("base_")](ccf.tokenizer)
                prefix = pruning.compress(subject.plain, ids, memory.nbytes)
                prompt = question_prompt(ccf.tokenizer, row["question"])
                (out,) = subject.plain.generate([prefix], [prompt], max_new_tokens=32)
                text = ccf.tokenizer.decode(out, skip_special_tokens=True).strip()
            expected.append(metrics.f1(row["answers"], text))
        (told,) = [row for row in measured if (row["ratio"], row["source"]) == (ratio, "all")]
        assert told["reader"] == reader
        assert told["metrics"]["f1"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)


@pytest.mark.parametrize("reader", BASELINES)
def test_perplexity_after_a_pruned_cache(subject: Subject, text_rows: list[Row], reader: str) -> None:
    ccf = subject.ccf
    _, rows = perplexity.evaluate(subject, text_rows, dataclasses.replace(OPTIONS, readers=("full", reader), k=(4,)))
    told = {row["ratio"]: row["metrics"]["nats"] for row in rows if row["reader"] == reader}
    assert set(told) == {4, 16}
    for ratio in told:
        nats = []
        for _, before, after in perplexity.windows(subject, text_rows, OPTIONS, 4):
            memory = ccf.compress(before.input_ids).at(ratio)
            prefix = ccf.prefix_for(reader, memory, before.input_ids)
            nats.append(-ccf.decoder.score(prefix, after[:1], after[1:]).mean())
        assert told[ratio] == pytest.approx(float(sum(nats)) / len(nats), abs=1e-3)


@pytest.mark.parametrize("reader", BASELINES)
def test_reconstruction_from_a_pruned_cache(subject: Subject, text_rows: list[Row], reader: str) -> None:
    ccf = subject.ccf
    _, rows = reconstruct.evaluate(subject, text_rows, dataclasses.replace(OPTIONS, ratios=(8,), readers=(reader,)))
    chosen = reconstruct.samples(subject, text_rows, OPTIONS)
    assert [(row["reader"], row["ratio"], row["sample"]) for row in rows] == [
        (reader, 8, s) for s in reconstruct.SAMPLES
    ]
    for row in rows:
        expected = []
        for _, segment in chosen[row["sample"]]:
            ids = segment.input_ids
            prefix = ccf.prefix_for(reader, ccf.compress(ids).at(8), ids)
            prompt = [ccf.config.repeat_token]
            (out,) = ccf.decoder.generate([prefix], [prompt], max_new_tokens=len(ids), exactly=True)
            expected.append(metrics.rouge_l(ids, out))
        assert row["metrics"]["rouge_l"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_mean_pooled_memories_are_made_once_a_ratio(pooled: Subject, qa_rows: list[Row]) -> None:
    ccf, rows = pooled.ccf, short(qa_rows)
    _, measured = qa.evaluate(pooled, rows, OPTIONS)
    told = {(row["reader"], row["ratio"]): row["metrics"]["f1"] for row in measured if row["source"] == "all"}
    assert {reader for reader, _ in told} == {"mean_pool", "full", "truncated", "none", "base_full"}
    for ratio in OPTIONS.ratios:
        expected = []
        for row in rows:
            memory = ccf.compress(row["context"], finest=ratio).quantize()
            text = ccf.answer(row["question"], memory, max_new_tokens=32, reader="mean_pool").text
            expected.append(metrics.f1(row["answers"], text))
        assert told["mean_pool", ratio] == pytest.approx(sum(expected) / len(expected), abs=1e-4)


@pytest.mark.parametrize("task", [perplexity, reconstruct])
def test_the_other_tasks_read_mean_pooled_memories(pooled: Subject, text_rows: list[Row], task: ModuleType) -> None:
    _, rows = task.evaluate(pooled, text_rows, OPTIONS)
    assert {row["ratio"] for row in rows if row["reader"] == "mean_pool"} == {4, 16}
    assert "memory" not in {row["reader"] for row in rows}


def test_memories_at_each_ratio(subject: Subject, pooled: Subject, text_rows: list[Row]) -> None:
    for one in (subject, pooled):
        documents = [one.ccf.segment(row["text"]) for row in text_rows]
        made = memories_at(one.ccf, documents, (4, 16), "bfloat16", lambda message: None)
        for ratio, memories in made.items():
            assert [m.ratio for m in memories] == [ratio] * len(documents)
            assert [m.slots for m in memories] == [d.slots(ratio) for d in documents]
    with pytest.raises(MemoryMismatch):
        made[4][0].at(16)


def test_memories_of_the_other_kind_are_refused(subject: Subject, pooled: Subject, qa_rows: list[Row]) -> None:
    for one, reader in ((subject, "mean_pool"), (pooled, "memory")):
        with pytest.raises(EvaluationError, match="another adapter"):
            qa.evaluate(one, qa_rows, dataclasses.replace(OPTIONS, readers=(reader,)))


def test_a_text_longer_than_the_window_is_pruned_as_far_as_it_is_read(subject: Subject) -> None:
    document = subject.ccf.segment("fog " * 3000)
    options = dataclasses.replace(OPTIONS, ratios=(4, 32))
    question = Question([5, 6], document, 3, window=1024)
    for ratio, (reading,) in readings(subject, "sink_recent", options.ratios, [question], options):
        prefix = reading.cache()
        assert prefix is not None and ratio is not None
        assert prefix.length == reading.positions == min(document.slots(ratio), 896)
        assert prefix.next_position == 896
