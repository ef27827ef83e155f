"""Timing a document on a tiny model: which steps are taken and kept, never how long they take."""

from __future__ import annotations

import json

import pytest

from app import ledger
from app.errors import NoDocument, NotAnswerable
from app.settings import MEMORY_DTYPES
from app.timing import KIND, Timed, Times
from app.views import RatioSavings, Savings
from app.workbench import Workbench
from ccf_core import Cancelled
from store import DocumentNotFound


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.ingest_text(prose(200), "Log").document.sha256


def test_every_length_is_timed_and_the_last_step_is_on_record(workbench: Workbench, document: str) -> None:
    timing = workbench.measuring.timing
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
    list(workbench.measuring.timing.measure(document))
    (run,) = workbench.store.runs.list(KIND)
    assert run.config["document"] == document
    assert workbench.text(document)[:20] not in json.dumps(run.config | run.results)


def test_what_was_timed_elsewhere_is_not_this_machines(workbench: Workbench, document: str, sql) -> None:
    list(workbench.measuring.timing.measure(document))
    sql("UPDATE runs SET config = replace(config, '\"cpu\"', '\"cuda\"')")
    assert workbench.measuring.timing.last(document) is None


def test_timing_encodes_and_keeps_nothing_new(workbench: Workbench, document: str) -> None:
    before = workbench.savings(document)
    list(workbench.measuring.timing.measure(document))
    assert workbench.savings(document) == before


def test_a_stopped_timing_ends_and_is_not_recorded(workbench: Workbench, document: str) -> None:
    stopped = False
    steps = workbench.measuring.timing.measure(document, 8, lambda: stopped)
    next(steps)
    next(steps)
    stopped = True
    with pytest.raises(Cancelled):
        next(steps)
    assert workbench.measuring.timing.last(document) is None
    assert list(workbench.ask("Where?", [document], max_new_tokens=2))  # the model is free again


def test_what_cannot_be_timed_is_a_sentence(workbench: Workbench, document: str) -> None:
    timing = workbench.measuring.timing
    for sha, ratio, error in ((None, 8, NoDocument), ("0" * 64, 8, DocumentNotFound), (document, 5, NotAnswerable)):
        with pytest.raises(error):
            next(timing.measure(sha, ratio))


VIEW = Savings(
    "0" * 64, 4_000, 1_000, 20_480_000, 3_000_000, (RatioSavings(8, 125, 5_120_000, 1_280_000, 4.0),), "int4"
)  # fmt: skip


def test_the_table_has_each_dtype_and_what_is_stored() -> None:
    html = ledger.table(VIEW, "float32")
    assert html.count('<th scope="row">') == 2
    for cell in ("39.1 MiB", "19.5 MiB", "4.88 MiB", "2.44 MiB", "1.22 MiB", "8.0"):
        assert f"<td>{cell}</td>" in html
    assert "Stored, int4" in html and "half a byte a number" in html
    assert ledger.STORED.keys() == set(MEMORY_DTYPES)
    assert "four bytes a number, as on this machine" in html and "two bytes a number, as" not in html


def test_the_outcome_says_what_was_measured_and_when_it_pays() -> None:
    point = Timed(500, 2.0, 1.5, 0.1)
    times = Times("0" * 64, 8, (point,), 500, 500, "cpu", "float32", "2026-01-02T03:04:05+00:00")
    html = ledger.outcome(times, 900)
    for said in ("1.40 s", "2 questions", "500 of 900 tokens", "2026-01-02 03:04 UTC"):
        assert said in html
    never = ledger.outcome(Times("0" * 64, 8, (Timed(5, 1.0, 0.1, 0.2),), 5, 5), 5)
    assert "never" in never and "-0.10 s" in never
    assert "Not timed yet" in ledger.outcome(None, 5)
    assert "<progress" in ledger.progress(Times("0" * 64, 8, (), 0, 100))
