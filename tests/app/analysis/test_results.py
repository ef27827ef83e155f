"""Scores on the page come from results of the adapter in use alone; and what is measured of a document here."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from app.analysis.results import RESULTS, sentences_for, spread
from app.errors import NoDocument
from app.workbench import Workbench
from ccf_core import Cancelled

SEGMENTS = {"sample": "full", "ratio": 8, "n": 7, "metrics": {"rouge_l": 0.91234}}
ANSWERS = {"reader": "memory", "source": "all", "ratio": 4, "n": 30, "metrics": {"f1": 0.38815}}


def result(task: str, adapter: str, rows: list[dict]) -> str:
    data = {"name": "rows.jsonl", "sha256": "0"}
    return json.dumps({"task": task, "adapter": adapter, "half": "B", "data": data, "rows": rows})


def test_only_results_of_the_adapter_in_use_are_told(tmp_path: Path):
    (tmp_path / "reconstruct.json").write_text(
        result("reconstruct", "mine", [SEGMENTS, SEGMENTS | {"sample": "tails"}])
    )
    (tmp_path / "qa.json").write_text(result("qa", "another", [ANSWERS]))
    assert sentences_for("mine", tmp_path) == [
        "Measured on rows.jsonl, half B, greedy: reconstruction ROUGE-L 0.912 at 8x (7 segments)."
    ]
    assert sentences_for("unknown", tmp_path) == []


def test_baselines_of_the_same_task_are_not_told(tmp_path: Path):
    (tmp_path / "reconstruct-baselines.json").write_text(result("reconstruct", "mine", [SEGMENTS]))
    (tmp_path / "qa-baselines.json").write_text(result("qa", "mine", [ANSWERS | {"reader": "key_norm"}]))
    assert sentences_for("mine", tmp_path) == []


def test_questions_with_and_without_an_answer_are_counted_apart(tmp_path: Path):
    memory = ANSWERS | {"unanswerable": 10, "metrics": {"f1": 0.38815, "abstain_f1": 0.7}}
    full = memory | {"reader": "full", "ratio": None, "metrics": {"f1": 0.42}}
    one_source = memory | {"source": "stories"}
    truncated = full | {"reader": "truncated", "ratio": 4}
    (tmp_path / "qa.json").write_text(result("qa", "mine", [memory, full, one_source, truncated]))
    assert sentences_for("mine", tmp_path) == [
        "Measured on rows.jsonl, half B, greedy: answers' F1 0.388 memory 4x, 0.420 full context "
        "(20 questions that have an answer); of 10 that have none, 30% got one all the same at 4x."
    ]
    (tmp_path / "qa.json").write_text(result("qa", "mine", [ANSWERS]))
    assert sentences_for("mine", tmp_path)[0].endswith("0.388 memory 4x (30 questions that have an answer).")


def test_both_shipped_results_can_be_told():
    for adapter in {json.loads((RESULTS / f"{task}.json").read_text())["adapter"] for task in ("reconstruct", "qa")}:
        assert len(sentences_for(adapter)) == 2


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(400), "Log").document.sha256


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [0]), (8, list(range(8))), (9, [0, 1, 2, 3, 5, 6, 7, 8]), (71, list(range(0, 71, 10)))]
)
def test_measured_segments_are_spread_from_the_first_to_the_last(count: int, chosen: list[int]) -> None:
    assert spread(count) == chosen


def test_a_document_is_measured_as_it_comes_and_recorded(workbench: Workbench, document: str) -> None:
    *steps, last = workbench.results.measure(document)
    segments = spread(len(workbench.library.segments(document)))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, last.done) == (0, last.total) == (0, 4 * len(segments))
    for ratio, scores in last.scores.items():
        alone = {one.segment: one.rouge_l for one in workbench.fidelity.reconstruct_all(document, ratio, segments)}
        assert dict(scores) == alone
    (run,) = workbench.results.runs()
    assert run.config["document"] == document
    assert run.config["segments"] == segments
    assert run.results["rouge_l"] == {
        f"{ratio}x": round(fmean(score for _, score in scores), 5) for ratio, scores in last.scores.items()
    }
    assert workbench.results.title(run) == "Log"
    workbench.library.delete(document)
    assert workbench.results.title(run) == "a deleted document"
    assert "Log" not in json.dumps([run.config, run.results])


def test_a_cancelled_measurement_is_not_recorded(workbench: Workbench, document: str) -> None:
    seen = []
    with pytest.raises(Cancelled):
        for step in workbench.results.measure(document, cancelled=lambda: len(seen) > 2):
            seen.append(step)
    assert workbench.results.runs() == []


def test_measuring_needs_a_document(workbench: Workbench) -> None:
    with pytest.raises(NoDocument):
        next(workbench.results.measure(None))


def test_only_results_of_the_adapter_in_use_are_shown(workbench: Workbench, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workbench.results, "folder", tmp_path)
    assert workbench.results.shipped() == {}
    workbench.model.load()
    own = {"task": "qa", "adapter": workbench.model.info()["adapter"], "rows": []}
    (tmp_path / "qa.json").write_text(json.dumps(own), encoding="utf-8")
    (tmp_path / "needle.json").write_text(json.dumps(own | {"adapter": "0" * 64}), encoding="utf-8")
    assert workbench.results.shipped() == {"qa": own}
