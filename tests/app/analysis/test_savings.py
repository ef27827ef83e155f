"""Timing a document on a tiny model: which steps are taken and kept, never how long they take."""

from __future__ import annotations

import json

import pytest

from app.analysis.savings import KIND, Timed, Times
from app.errors import NoDocument, NotAnswerable
from app.settings import MEMORY_DTYPES
from app.types import RatioSavings, SavingsView
from app.ui.html import savings
from app.workbench import Workbench
from ccf_core import Cancelled
from store import DocumentNotFound

TOKEN_KV_BYTES = 2 * 2 * 2 * 8 * 2  # layers, keys and values, kv_heads, head_dim, bytes of bf16


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(200), "Log").document.sha256


def test_every_length_is_timed_and_the_last_step_is_on_record(workbench: Workbench, document: str) -> None:
    timing = workbench.timing
    assert timing.last(document) is None
    steps = list(timing.measure(document, 16))
    assert [len(step.points) for step in steps[:3]] == [0, 1, 2]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    final = steps[-1]
    assert final.done == final.total == sum(point.tokens for point in final.points)
    assert final.points[-1].tokens <= timing.limit()
    assert all(min(point.compress_s, point.full_s, point.memory_s) > 0 for point in final.points)
    assert timing.last(document) == final
    assert (final.ratio, final.device, final.dtype) == (16, "cpu", "float32")


def test_a_run_names_its_document_by_digest_alone(workbench: Workbench, document: str) -> None:
    list(workbench.timing.measure(document))
    (run,) = workbench.store.runs.list(KIND)
    assert run.config["document"] == document
    assert workbench.library.text(document)[:20] not in json.dumps(run.config | run.results)


def test_what_was_timed_elsewhere_is_not_this_machines(workbench: Workbench, document: str, sql) -> None:
    list(workbench.timing.measure(document))
    sql("UPDATE runs SET config = replace(config, '\"cpu\"', '\"cuda\"')")
    assert workbench.timing.last(document) is None


def test_timing_encodes_and_keeps_nothing_new(workbench: Workbench, document: str) -> None:
    before = workbench.savings.sizes(document)
    list(workbench.timing.measure(document))
    assert workbench.savings.sizes(document) == before


def test_a_stopped_timing_ends_and_is_not_recorded(workbench: Workbench, document: str) -> None:
    stopped = False
    steps = workbench.timing.measure(document, 8, lambda: stopped)
    next(steps)
    next(steps)
    stopped = True
    with pytest.raises(Cancelled):
        next(steps)
    assert workbench.timing.last(document) is None
    assert list(workbench.asking.ask("Where?", [document], max_new_tokens=2))  # the model is free again


def test_what_cannot_be_timed_is_a_sentence(workbench: Workbench, document: str) -> None:
    timing = workbench.timing
    for sha, ratio, error in ((None, 8, NoDocument), ("0" * 64, 8, DocumentNotFound), (document, 5, NotAnswerable)):
        with pytest.raises(error):
            next(timing.measure(sha, ratio))


VIEW = SavingsView(
    "0" * 64, 4_000, 1_000, 20_480_000, 3_000_000, (RatioSavings(8, 125, 5_120_000, 1_280_000, 4.0),), "int4"
)  # fmt: skip


def test_the_table_has_each_dtype_and_what_is_stored() -> None:
    html = savings.table(VIEW, "float32")
    assert html.count('<th scope="row">') == 2
    for cell in ("39.1 MiB", "19.5 MiB", "4.88 MiB", "2.44 MiB", "1.22 MiB", "8.0"):
        assert f"<td>{cell}</td>" in html
    assert "Stored, int4" in html and "half a byte a number" in html
    assert savings.STORED.keys() == set(MEMORY_DTYPES)
    assert "four bytes a number, as on this machine" in html and "two bytes a number, as" not in html


def test_the_outcome_says_what_was_measured_and_when_it_pays() -> None:
    point = Timed(500, 2.0, 1.5, 0.1)
    times = Times("0" * 64, 8, (point,), 500, 500, "cpu", "float32", "2026-01-02T03:04:05+00:00")
    html = savings.outcome(times, 900)
    for said in ("1.40 s", "2 questions", "500 of 900 tokens", "2026-01-02 03:04 UTC"):
        assert said in html
    never = savings.outcome(Times("0" * 64, 8, (Timed(5, 1.0, 0.1, 0.2),), 5, 5), 5)
    assert "never" in never and "-0.10 s" in never
    assert "Not timed yet" in savings.outcome(None, 5)
    assert "<progress" in savings.progress(Times("0" * 64, 8, (), 0, 100))


def test_savings_count_what_is_there(workbench: Workbench, sha256) -> None:
    savings = workbench.savings.sizes(sha256)
    document = workbench.library.document(sha256)
    assert savings.text_bytes == len(workbench.library.text(sha256).encode())
    assert savings.tokens == document.tokens
    assert savings.full_kv_bytes == savings.tokens * TOKEN_KV_BYTES
    assert [row.ratio for row in savings.ratios] == [4, 8, 16, 32]
    for row in savings.ratios:
        memory = workbench.memories.recall(sha256, row.ratio).memory
        assert row.slots == memory.slots
        assert row.kv_bytes == memory.slots * TOKEN_KV_BYTES * 2
        assert row.factor == savings.full_kv_bytes / row.kv_bytes
        assert row.stored_bytes > memory.nbytes
    assert savings.ratios[0].stored_bytes == savings.stored_bytes == document.stored_bytes


def test_savings_of_a_half_stored_document_count_only_what_is_stored(workbench: Workbench, sha256, sql) -> None:
    sql("DELETE FROM memories")
    savings = workbench.savings.sizes(sha256)
    assert (savings.stored_bytes, savings.ratios[0].stored_bytes) == (0, 0)
    assert savings.ratios[0].slots > 0
