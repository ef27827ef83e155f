"""Peers: every reader within the bytes of the memory, what it holds, and what is told of it."""

from __future__ import annotations

import dataclasses
import random

import pytest

from ccf_core import metrics
from ccf_core.baselines import BASELINES
from ccf_core.evaluation.report.page import drawing, markdown
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import evidence, latency, peers

OPTIONS = Options(ratios=(4, 16), limit=3)
CODED = ("truncated_int8", "truncated_int4", "truncated_int2")
SAME_BYTES = ("memory", "focus", "bm25", *BASELINES, *CODED)
WHOLE = ("full", "full_int8", "full_int4", "full_int2", "base_full")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    rng = random.Random(0)
    words = [f"{a}{b}" for a in ("har", "mas", "fog", "oslo", "ship") for b in ("bour", "ter", "lin", "den")]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 40))) + f" code{i}." for i in range(18)]
    asked = [
        {"context": text, "question": f"What of code{i}?", "answers": [f"code{i}"]} for i, text in enumerate(texts)
    ]
    return [*asked, {**asked[0], "answers": []}, {**asked[0], "answers": ["word " * 40]}]


@pytest.fixture(scope="module")
def measured(subject: Subject, rows: list[Row]) -> list[dict]:
    n, told = peers.evaluate(subject, rows, OPTIONS)
    assert n == 3
    return told


def readers_of(subject: Subject, rows: list[Row], options: Options) -> peers.Peers:
    asked = [row for row in rows if row["answers"] and not metrics.is_long(row["answers"])][:3]
    drawn = evidence.joined(asked, list(dict.fromkeys(row["context"] for row in rows)), 0)
    documents = {c: subject.ccf.segment(c) for _, contexts, _ in drawn for c in contexts}
    return peers.Peers(subject, evidence.about(subject, drawn, documents, True, options), options)


def test_one_table_tells_every_reader_at_every_ratio(measured: list[dict]) -> None:
    at_ratio = [(reader, ratio) for reader in SAME_BYTES for ratio in OPTIONS.ratios]
    assert [(row["reader"], row["ratio"]) for row in measured] == [
        *at_ratio,
        *((reader, None) for reader in (*WHOLE, "none")),
    ]
    for row in measured:
        told = row["metrics"]
        assert {"f1", "em", "held_bytes", "kv_bytes", "compress_s", "first_token_s"} <= told.keys()
        assert ("f1_minus_memory" in told) == (row["ratio"] is not None and row["reader"] != "memory")
        assert {name for name in told if name.endswith(("_bytes", "_s"))}.isdisjoint(row["ci95"])
        assert "f1" in row["ci95"]
        assert told["first_token_s"] > 0


def test_none_is_over_the_bytes_of_the_memory(subject: Subject, measured: list[dict]) -> None:
    told = {(row["reader"], row["ratio"]): row["metrics"] for row in measured}
    for ratio in OPTIONS.ratios:
        memory = told["memory", ratio]
        assert memory["kv_bytes"] > memory["held_bytes"]
        for reader in ("bm25", *BASELINES):
            held = told[reader, ratio]
            assert memory["held_bytes"] - subject.ccf.decoder.kv_bytes < held["held_bytes"]
            assert held["kv_bytes"] == held["held_bytes"] <= memory["held_bytes"]
        for reader in CODED:
            assert told[reader, ratio]["held_bytes"] <= memory["held_bytes"]
        assert told["truncated_int8", ratio]["kv_bytes"] == pytest.approx(memory["kv_bytes"])
    held = [told[reader, None]["held_bytes"] for reader in WHOLE]
    assert held[0] == held[4] > held[1] > held[2] > held[3]
    assert told["none", None]["held_bytes"] == 0 < told["memory", 4]["held_bytes"] < told["full", None]["held_bytes"]


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_what_is_read_is_what_is_counted(subject: Subject, rows: list[Row], dtype: str) -> None:
    """In every document, not on the whole; what a job puts into the cache is as many positions as it says."""
    options = dataclasses.replace(OPTIONS, memory_dtype=dtype)
    made = readers_of(subject, rows, options)
    position = subject.ccf.decoder.kv_bytes
    for (reader, ratio), _, readings in made.all():
        for q, reading in zip(made.questions, readings, strict=True):
            request = reading.request(q.prompt, q.new)
            prefix = request.prefix()
            assert (prefix.length if prefix else 0) == request.cached
            positions = request.cached + len(request.prompt) - len(q.prompt)
            assert reading.held_bytes(position) <= positions * position
            if reader in SAME_BYTES:
                coarsest = q.memory.at(q.memory.header.ratios[-1]).nbytes
                allowed = max(made.budget(q, ratio), coarsest if reader == "focus" else 0)
                assert reading.held_bytes(position) <= allowed


def test_what_is_timed_singly_is_what_is_scored(subject: Subject, rows: list[Row]) -> None:
    made = readers_of(subject, rows, OPTIONS)
    for (name, ratio), (q, *_), (reading, *_) in made.all():
        reader, decoder = subject.reader(name, OPTIONS), subject.decoder(name)
        kept = latency.compress(subject, reader, ratio, q, OPTIONS)
        assert (kept is not None) == (name in (*BASELINES, *CODED, *WHOLE))
        assert kept is None or kept.nbytes == reading.positions * decoder.kv_bytes
        token = latency.first_token(reader, q, kept)
        request = reading.request(q.prompt)
        assert decoder.generate([request.prefix()], [request.prompt], max_new_tokens=1, exactly=True) == [[token]]


def test_focus_reads_text_where_the_bytes_allow_it(subject: Subject, rows: list[Row]) -> None:
    made = readers_of(subject, rows, dataclasses.replace(OPTIONS, ratios=(4,), readers=("focus",)))
    ((_, _, readings),) = made.all()
    assert {bool(reading.cached) for reading in readings} == {True, False}
    assert any(len(reading.text) for reading in readings)


def test_readers_can_be_chosen(subject: Subject, rows: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, ratios=(8,), limit=1, readers=("sink_recent", "none"))
    _, told = peers.evaluate(subject, rows, options)
    assert [(row["reader"], row["ratio"]) for row in told] == [("sink_recent", 8), ("none", None)]


def test_the_result_is_a_table_and_a_figure(measured: list[dict]) -> None:
    result = {
        "task": "peers", "data": {"name": "rows.jsonl"}, "n": 3, "seed": 0, "adapter": "a" * 64, "base": {"id": "tiny"},
        "dtype": "float32", "device": "cpu", "memory_dtype": "int8", "seconds": 1.5, "command": "python",
        "rows": measured,
    }  # fmt: skip
    header = next(line for line in markdown(result).splitlines() if line.startswith("| reader"))
    for column in ("ratio", "f1", "held_bytes", "kv_bytes", "compress_s", "first_token_s"):
        assert f" {column} |" in header
    assert "<svg" in drawing(result)


def test_mean_pooled_memories_are_refused(make_subject, rows: list[Row]) -> None:
    with pytest.raises(EvaluationError, match="compresses into slots"):
        peers.evaluate(make_subject(compressor="mean_pool"), rows, OPTIONS)
