"""Streams: chunks after what is kept of all before them, checked against a plain computation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from math import exp

import pytest
import torch

from ccf_core.baselines import SinkRecent
from ccf_core.evaluation.report.page import drawing, table
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import stream
from ccf_core.memory.memory import KVMemory

#: Segments of the tiny model have 32 tokens, so chunks 128; its window is 1,024.
CHUNK = 128
OPTIONS = Options(ratios=(8, 32), lengths=(256, 512), memory_dtype="bfloat16")


@pytest.fixture(scope="module")
def measured(subject: Subject, long_rows: list[Row]) -> list[dict]:
    n, rows = stream.evaluate(subject, long_rows[:1], OPTIONS)
    assert n == 1
    return rows


def of(rows: list[dict], reader: str, ratio: int | None, length: int) -> dict[str, float]:
    (row,) = [row for row in rows if (row["reader"], row["ratio"], row["length"]) == (reader, ratio, length)]
    return row["metrics"]


def nats(logits: torch.Tensor, ids: tuple[int, ...]) -> list[float]:
    """Of every token of ``ids`` but the first, whose logits are those of the token before it."""
    chances = logits.log_softmax(-1)
    return [-float(chances[i, token]) for i, token in enumerate(ids[1:])]


def test_perplexity_of_one_text_by_a_plain_computation(
    subject: Subject, long_rows: list[Row], measured: list[dict], plain_forward: Callable
) -> None:
    ccf = subject.ccf
    text = ccf.segment(long_rows[0]["text"]).input_ids
    for length in OPTIONS.lengths:
        chunks = [text[start : start + CHUNK] for start in range(0, length, CHUNK)]
        for ratio in OPTIONS.ratios:
            found: list[float] = []
            for number, chunk in enumerate(chunks):
                # Each chunk compressed by itself, and the memories joined, whatever the task does.
                earlier = [ccf.compress(list(c)).quantize("bfloat16").at(ratio) for c in chunks[:number]]
                memory = KVMemory.join(earlier) if earlier else None
                found += nats(plain_forward(ccf.model, memory, list(chunk))[0], chunk)
            told = of(measured, "memory", ratio, length)
            assert told["perplexity"] == pytest.approx(exp(sum(found) / len(found)), rel=1e-3)
            assert told["nats"] == pytest.approx(sum(found) / len(found), abs=1e-3)
        logits, _ = plain_forward(ccf.model, None, list(text[:length]))
        chances = logits.log_softmax(-1)
        found = [-float(chances[i - 1, text[i]]) for i in range(length) if i % CHUNK]
        assert of(measured, "full", None, length)["perplexity"] == pytest.approx(exp(sum(found) / len(found)), rel=1e-3)


@pytest.mark.parametrize("reader", ["truncated", "sink_recent"])
def test_what_else_is_kept_has_as_many_positions_as_the_memory(
    subject: Subject, long_rows: list[Row], reader: str
) -> None:
    ccf, length = subject.ccf, 512
    options = dataclasses.replace(OPTIONS, ratios=(8,), readers=(reader,), lengths=(length,))
    _, (row,) = stream.evaluate(subject, long_rows[:1], options)
    text, found = ccf.segment(long_rows[0]["text"]).input_ids, []
    for start in range(0, length, CHUNK):
        kept, chunk = start // 8, text[start : start + CHUNK]
        if reader == "truncated":
            prefix = ccf.decoder.read_text(text[:kept]) if start else None
        else:
            budget = kept * ccf.decoder.kv_bytes
            prefix = SinkRecent(ccf.tokenizer).compress(ccf.decoder, text[:start], budget) if start else None
        found += (-ccf.decoder.score(prefix, chunk[:1], chunk[1:])).tolist()
    assert row["metrics"]["perplexity"] == pytest.approx(exp(sum(found) / len(found)), rel=1e-3)


def test_beyond_the_window_there_is_no_full_context_and_the_last_tokens_are_the_last(
    subject: Subject, long_rows: list[Row]
) -> None:
    rows = [{"source": "s", "text": " ".join(row["text"] for row in long_rows[:2])}]
    length = 10 * CHUNK
    options = dataclasses.replace(OPTIONS, ratios=(8,), lengths=(8 * CHUNK, length), readers=("full", "sink_recent"))
    _, told = stream.evaluate(subject, rows, options)
    assert [(row["reader"], row["length"]) for row in told] == [
        ("full", 8 * CHUNK), ("sink_recent", 8 * CHUNK), ("sink_recent", length)
    ]  # fmt: skip
    text, limit = list(range(2000)), 896
    assert SinkRecent.seen(text, limit) == [0, 1, 2, 3, *range(2000 - 892, 2000)]
    assert SinkRecent.seen(text[:limit], limit) == text[:limit] and SinkRecent.seen(text, None) == text


def test_texts_that_are_too_short_count_for_the_lengths_that_they_have(subject: Subject, long_rows: list[Row]) -> None:
    short = {"source": "s1", "title": "short", "text": long_rows[0]["text"][:1500]}
    tokens = len(subject.ccf.segment(short["text"]).input_ids)
    assert 256 <= tokens < 1024
    options = dataclasses.replace(OPTIONS, lengths=(256, 1024), readers=("none",))
    n, rows = stream.evaluate(subject, [long_rows[0], short], options)
    assert n == 2 and [(row["length"], row["n"]) for row in rows] == [(256, 2), (1024, 1)]
    _, limited = stream.evaluate(subject, [*long_rows, short], dataclasses.replace(options, limit=2))
    assert [(row["length"], row["n"]) for row in limited] == [(256, 2), (1024, 2)]
    with pytest.raises(EvaluationError, match="No text has 1024 tokens"):
        stream.evaluate(subject, [short], dataclasses.replace(options, lengths=(1024,)))
    for length in (CHUNK, 300):
        with pytest.raises(
            EvaluationError, match=f"--lengths {length} cannot be streamed: give multiples of 128 from 256 on"
        ):
            stream.evaluate(subject, [short], dataclasses.replace(options, lengths=(length,)))


def test_mean_pooled_memories_are_streamed_too(make_subject: Callable[..., Subject], long_rows: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, readers=("mean_pool",))
    _, rows = stream.evaluate(make_subject(compressor="mean_pool"), long_rows[:1], options)
    assert [(row["ratio"], row["length"]) for row in rows] == [(8, 256), (32, 256), (8, 512), (32, 512)]
    assert all(row["metrics"]["perplexity"] > 1 for row in rows)


def test_a_perplexity_is_no_share(measured: list[dict]) -> None:
    told = of(measured, "memory", 8, 256)["perplexity"]
    assert f"| {told:.2f} [" in table(measured)
    assert drawing({"task": "stream", "rows": measured}) == ""
