"""The tasks on a tiny random model: what they measure is what the codec's own doors give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.answering.batching import DecodeRequest
from ccf_core.evaluation.memories import compress_all
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import perplexity, qa, reconstruct
from ccf_core.memory.dtypes import MEMORY_DTYPES

OPTIONS = Options(ratios=(4, 16))


def _silent(message: str) -> None:
    """Progress that nobody reads."""


def test_batches_hold_every_job_once_within_their_bounds() -> None:
    requests = [DecodeRequest([0] * (1 + i % 7), new=5, cached=i % 11) for i in range(40)]
    made = list(batching.batches(requests, rows=6, tokens=80))
    assert sorted(i for batch in made for i in batch) == list(range(40))
    for batch in made:
        widths = [max(of(requests[i]) for i in batch) for of in (lambda j: j.cached, lambda j: len(j.prompt))]
        assert len(batch) <= 6
        assert (sum(widths) + 5) * len(batch) <= 80


def test_a_job_larger_than_a_batch_is_not_lost() -> None:
    assert list(batching.batches([DecodeRequest([0] * 50), DecodeRequest([0])], rows=4, tokens=10)) == [[0], [1]]


def test_batched_generation_is_that_of_one_at_a_time(subject: Subject, text_ids: Callable) -> None:
    ccf = subject.ccf
    memories = [ccf.compress(text_ids(n, n)) for n in (5, 32, 70)]
    requests = [
        DecodeRequest([3, *text_ids(2 + i)], 4 + i, prefix=lambda m=m: ccf.decoder.prefix(m), cached=m.slots)
        for i, m in enumerate(memories)
    ] + [DecodeRequest(text_ids(9), 6)]
    together = batching.generate(ccf.decoder, requests, _silent, rows=8, exactly=True)
    alone = [
        ccf.decoder.generate([request.prefix()], [request.prompt], max_new_tokens=request.new, exactly=True)[0]
        for request in requests
    ]
    assert together == alone
    assert [len(ids) for ids in together] == [4, 5, 6, 6]


def test_batched_scores_are_those_of_one_at_a_time(subject: Subject, text_ids: Callable) -> None:
    decoder = subject.ccf.decoder
    memory = subject.ccf.compress(text_ids(70))
    requests = [
        DecodeRequest([3], target=text_ids(12), prefix=lambda: decoder.prefix(memory), cached=memory.slots),
        DecodeRequest(text_ids(30), target=text_ids(7)),
    ]
    scored = batching.score(decoder, requests, _silent, rows=2)
    for request, (chances, likeliest) in zip(requests, scored, strict=True):
        assert torch.allclose(chances, decoder.score(request.prefix(), request.prompt, request.target), atol=1e-4)
        hits = likeliest == torch.tensor(request.target)
        ahead = decoder.score(request.prefix(), [*request.prompt, *request.target[:-1]], likeliest[-1:].tolist())
        assert len(hits) == len(request.target) and ahead >= chances[-1] - 1e-4
        assert (chances[hits] > -torch.tensor(float(decoder.model.config.vocab_size)).log()).all()


def test_memories_made_together_are_those_made_one_by_one(subject: Subject, text_rows: list[Row]) -> None:
    ccf = subject.ccf
    documents = [ccf.segment(row["text"]) for row in text_rows]
    for document, memory in zip(documents, compress_all(ccf, documents, 4, "bfloat16", _silent), strict=True):
        alone = ccf.compress(document.input_ids)
        assert [len(s) for s in memory.spans] == [len(s) for s in alone.spans]
        for (_, _, ours), (_, _, theirs) in zip(memory.parts(), alone.parts(), strict=True):
            assert ours.k.dtype == torch.bfloat16
            assert torch.allclose(ours.k.float(), theirs.k, atol=0.05, rtol=0.01)


def test_reconstruct_measures_the_codecs_own_reconstruction(
    subject: Subject, text_rows: list[Row], plain_forward: Callable
) -> None:
    ccf = subject.ccf
    n, rows = reconstruct.evaluate(subject, text_rows, OPTIONS)
    chosen = reconstruct.samples(subject, text_rows, OPTIONS)
    assert n == len(chosen["full"]) + len(chosen["tails"])
    assert all(len(segment.input_ids) == 32 for _, segment in chosen["full"])
    assert all(0 < len(segment.input_ids) < 32 for _, segment in chosen["tails"])
    assert [(r["reader"], r["ratio"], r["sample"]) for r in rows] == [
        ("memory", ratio, sample) for ratio in (4, 16) for sample in ("full", "tails")
    ]
    for row in rows:
        expected, forced = [], []
        for _, segment in chosen[row["sample"]]:
            memory, ids = ccf.compress(segment.input_ids).quantize().at(row["ratio"]), list(segment.input_ids)
            (out,) = ccf.reconstruct_ids(memory)
            expected.append(metrics.rouge_l(ids, out))
            logits, _ = plain_forward(ccf.decoder.model, memory, [ccf.config.repeat_token, *ids[:-1]])
            forced.append((ids, logits.argmax(-1).tolist()))
        assert row["n"] == len(expected)
        bleu_4 = metrics.pooled([metrics.bleu_4(ids, written) for ids, written in forced])
        rouge_l = sum(metrics.rouge_l(ids, written) for ids, written in forced) / len(forced)
        assert row["metrics"]["bleu_4_forced"] == pytest.approx(bleu_4, abs=1e-4)
        assert row["metrics"]["rouge_l_forced"] == pytest.approx(rouge_l, abs=1e-4)
        assert row["metrics"]["exact_segment"] == sum(score == 1 for score in expected) / len(expected)
        assert row["metrics"]["rouge_l"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
        assert {"exact_token", "digit_recall", "capital_recall", "teacher_forced"} <= row["metrics"].keys()
        low, high = row["ci95"]["rouge_l"]
        assert low <= row["metrics"]["rouge_l"] <= high


def test_memories_of_several_dtypes_are_measured_beside_one_another(subject: Subject, text_rows: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, readers=tuple(f"memory_{dtype}" for dtype in MEMORY_DTYPES), ratios=(8,))
    _, rows = reconstruct.evaluate(subject, text_rows, options)
    by_reader = {row["reader"]: row for row in rows if row["sample"] == "full"}
    assert list(by_reader) == ["memory_bfloat16", "memory_int8", "memory_int4"]
    ccf = subject.ccf
    segments = [segment for _, segment in reconstruct.samples(subject, text_rows, options)["full"]]
    exact = by_reader["memory_bfloat16"]["metrics"]
    assert not any("minus" in name for name in exact)
    for reader, dtype in ((f"memory_{dtype}", dtype) for dtype in MEMORY_DTYPES):
        held = [ccf.compress(segment.input_ids).quantize(dtype).at(8) for segment in segments]
        told = by_reader[reader]["metrics"]
        assert told["bytes"] == pytest.approx(sum(m.nbytes for m in held) / sum(m.slots for m in held))
        for name in ("rouge_l", "teacher_forced") if dtype != "bfloat16" else ():
            assert told[f"{name}_minus_bfloat16"] == pytest.approx(told[name] - exact[name], abs=2e-5)
    _, alone = reconstruct.evaluate(subject, text_rows, dataclasses.replace(options, readers=("memory_int4",)))
    held_so = dataclasses.replace(options, readers=("memory",), memory_dtype="int4")
    _, as_int4 = reconstruct.evaluate(subject, text_rows, held_so)
    assert [row["metrics"] for row in alone] == [row["metrics"] for row in as_int4]


def test_a_limit_counts_each_sample(subject: Subject, text_rows: list[Row]) -> None:
    n, rows = reconstruct.evaluate(subject, text_rows, dataclasses.replace(OPTIONS, ratios=(8,), limit=2))
    assert n == 4
    assert [row["n"] for row in rows] == [2, 2]


def test_perplexity_of_the_kth_segment(subject: Subject, long_rows: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, k=(4, 16), limit=3)
    n, rows = perplexity.evaluate(subject, long_rows, options)
    settings = [("memory", 4), ("memory", 16), ("full", None), ("none", None), ("base_full", None), ("base_none", None)]
    assert [(r["k"], r["reader"], r["ratio"]) for r in rows] == [(k, *setting) for k in (4, 16) for setting in settings]
    assert n == 6 and {row["n"] for row in rows} == {3}
    for k in (4, 16):
        found = perplexity.windows(subject, long_rows, options, k)
        assert {(before.spans[-1].index, len(after)) for _, before, after in found} == {(k - 2, 32)}
        told = {(r["reader"], r["ratio"]): r["metrics"] for r in rows if r["k"] == k}
        for reader, ratio in settings:
            nats = []
            for _, before, after in found:
                decoder = subject.decoder(reader)
                prefix = decoder.prefix(subject.ccf.compress(before.input_ids).quantize().at(ratio)) if ratio else None
                prompt = [*(before.input_ids if reader.endswith("full") else ()), after[0]]
                nats.append(-decoder.score(prefix, prompt, after[1:]).mean())
            assert told[reader, ratio]["nats"] == pytest.approx(float(sum(nats)) / len(nats), abs=1e-3)
        none = min(told["none", None]["nats"], told["base_none", None]["nats"])
        full = min(told["full", None]["nats"], told["base_full", None]["nats"])
        kept = (none - told["memory", 4]["nats"]) / (none - full)
        assert told["memory", 4]["gain_kept"] == pytest.approx(kept, rel=2e-2, abs=1e-3)


def test_perplexity_uses_all_of_a_document_of_k_segments(subject: Subject, text_ids: Callable) -> None:
    row = {"source": "s", "text": subject.ccf.tokenizer.decode(text_ids(512))}
    tokens = len(subject.ccf.segment(row["text"]).input_ids)
    for k in (2, tokens // 32):
        assert len(perplexity.windows(subject, [row], OPTIONS, k)) == tokens // (k * 32)


@pytest.mark.parametrize("k", [0, 1, 33])
def test_a_k_that_cannot_be_measured_is_refused(subject: Subject, long_rows: list[Row], k: int) -> None:
    with pytest.raises(EvaluationError, match="from 2 to 32 segments of 32"):
        perplexity.evaluate(subject, long_rows, dataclasses.replace(OPTIONS, k=(k,)))


@pytest.mark.parametrize(
    ("task", "row"),
    [
        (reconstruct, {"text": ""}),
        (perplexity, {"text": "too short"}),
        (qa, {"context": "", "question": "?", "answers": ["a"]}),
    ],
)
def test_rows_without_anything_to_measure_are_refused(subject: Subject, task, row: Row) -> None:
    with pytest.raises(EvaluationError):
        task.evaluate(subject, [row], OPTIONS)
