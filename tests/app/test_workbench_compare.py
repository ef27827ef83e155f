"""One question under several settings, and a document on the axes of the measured curves."""

from __future__ import annotations

import json
from statistics import fmean

import pytest

from app.comparing import Compared
from app.errors import NoDocument, NotAnswerable
from app.measuring import spread
from app.views import AnswerView
from app.workbench import Workbench
from ccf_core import Cancelled
from store import DocumentNotFound

QUESTION = "Where were the ships?"


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.ingest_text(prose(400), "Log").document.sha256


def answers(steps: list[Compared]) -> dict[str, AnswerView]:
    return {step.setting: step.answer for step in steps if step.answer}


def test_every_setting_answers_as_if_asked_alone(workbench: Workbench, document: str) -> None:
    settings = ["none", "truncated", "focus", "32x", "4x", "full"]
    steps = list(workbench.compare(QUESTION, [document], settings, max_new_tokens=8))
    found = answers(steps)
    assert list(found) == ["full", "4x", "32x", "focus", "truncated", "none"]
    for setting, (reader, ratio) in {
        "full": ("full", 4), "4x": ("memory", 4), "32x": ("memory", 32), "truncated": ("truncated", 8),
        "focus": ("focus", 8), "none": ("none", 4),
    }.items():  # fmt: skip
        *_, alone = workbench.ask(QUESTION, [document], ratio, reader, max_new_tokens=8)
        assert (found[setting].text, found[setting].kv_bytes) == (alone.text, alone.kv_bytes)
        pieces = "".join(step.piece for step in steps if step.setting == setting)
        assert pieces.strip() == found[setting].text
    assert (
        found["none"].kv_bytes
        < found["32x"].kv_bytes
        < found["focus"].kv_bytes
        < found["4x"].kv_bytes
        < found["full"].kv_bytes
    )


def test_what_one_setting_cannot_do_is_its_own_error(workbench: Workbench, prose) -> None:
    long = workbench.ingest_text(prose(900), "Long").document.sha256
    steps = list(workbench.compare(QUESTION, [long], ["full", "32x"], max_new_tokens=4))
    (refused,) = [step for step in steps if step.error]
    assert refused.setting == "full"
    assert "ask the memory instead" in refused.error
    assert list(answers(steps)) == ["32x"]


@pytest.mark.parametrize(
    ("question", "chosen", "sentence"),
    [(" ", ["4x"], "no question"), ("What?", [], "at least one"), ("What?", ["4x", "5x"], "no setting '5x'")],
)
def test_what_cannot_be_compared_is_said_first(
    workbench: Workbench, document: str, question: str, chosen: list[str], sentence: str
) -> None:
    with pytest.raises(NotAnswerable, match=sentence):
        next(workbench.compare(question, [document], chosen))


def test_no_document_and_a_missing_one(workbench: Workbench) -> None:
    with pytest.raises(NoDocument):
        next(workbench.compare(QUESTION, [], ["full", "4x"]))
    with pytest.raises(DocumentNotFound):
        next(workbench.compare(QUESTION, ["0" * 64], ["4x"]))


def test_stopping_cuts_the_answer_and_leaves_out_the_rest(workbench: Workbench, document: str) -> None:
    looks = iter(range(1000))
    steps = list(workbench.compare(QUESTION, [document], ["full", "4x", "8x"], cancelled=lambda: next(looks) > 6))
    found = answers(steps)
    assert list(found) == ["full"]
    assert found["full"].notes == ("The answer was stopped before its end.",)


def test_leaving_early_gives_the_model_back(workbench: Workbench, document: str) -> None:
    steps = workbench.compare(QUESTION, [document], ["4x"])
    assert next(steps).piece
    steps.close()
    *_, answer = workbench.ask(QUESTION, [document], 4)
    assert isinstance(answer, AnswerView)


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [0]), (8, list(range(8))), (9, [0, 1, 2, 3, 5, 6, 7, 8]), (71, list(range(0, 71, 10)))]
)
def test_measured_segments_are_spread_from_the_first_to_the_last(count: int, chosen: list[int]) -> None:
    assert spread(count) == chosen


def test_a_document_is_measured_as_it_comes_and_recorded(workbench: Workbench, document: str) -> None:
    *steps, last = workbench.measuring.measure(document)
    segments = spread(len(workbench.segments(document)))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert (steps[0].done, last.done) == (0, last.total) == (0, 4 * len(segments))
    for ratio, scores in last.scores.items():
        alone = {one.segment: one.rouge_l for one in workbench.reconstruct_all(document, ratio, segments)}
        assert dict(scores) == alone
    (run,) = workbench.measuring.runs()
    assert run.config["document"] == document
    assert run.config["segments"] == segments
    assert run.results["rouge_l"] == {
        f"{ratio}x": round(fmean(score for _, score in scores), 5) for ratio, scores in last.scores.items()
    }
    assert workbench.measuring.title(run) == "Log"
    workbench.delete(document)
    assert workbench.measuring.title(run) == "a deleted document"
    assert "Log" not in json.dumps([run.config, run.results])


def test_a_cancelled_measurement_is_not_recorded(workbench: Workbench, document: str) -> None:
    seen = []
    with pytest.raises(Cancelled):
        for step in workbench.measuring.measure(document, cancelled=lambda: len(seen) > 2):
            seen.append(step)
    assert workbench.measuring.runs() == []


def test_measuring_needs_a_document(workbench: Workbench) -> None:
    with pytest.raises(NoDocument):
        next(workbench.measuring.measure(None))


def test_only_results_of_the_adapter_in_use_are_shown(workbench: Workbench, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(workbench.measuring, "folder", tmp_path)
    assert workbench.measuring.results() == {}
    workbench.load_model()
    own = {"task": "qa", "adapter": workbench.info()["adapter"], "rows": []}
    (tmp_path / "qa.json").write_text(json.dumps(own), encoding="utf-8")
    (tmp_path / "needle.json").write_text(json.dumps(own | {"adapter": "0" * 64}), encoding="utf-8")
    assert workbench.measuring.results() == {"qa": own}
