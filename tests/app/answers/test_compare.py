"""One question under several settings."""

from __future__ import annotations

import pytest

from app.answers.compare import Compared
from app.errors import NoDocument, NotAnswerable
from app.types import AnswerView
from app.workbench import Workbench
from store import DocumentNotFound

QUESTION = "Where were the ships?"


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(400), "Log").document.sha256


def answers(steps: list[Compared]) -> dict[str, AnswerView]:
    return {step.setting: step.answer for step in steps if step.answer}


def test_every_setting_answers_as_if_asked_alone(workbench: Workbench, document: str) -> None:
    settings = ["none", "truncated", "focus", "32x", "4x", "full"]
    steps = list(workbench.comparing.compare(QUESTION, [document], settings, max_new_tokens=8))
    found = answers(steps)
    assert list(found) == ["full", "4x", "32x", "focus", "truncated", "none"]
    for setting, (reader, ratio) in {
        "full": ("full", 4), "4x": ("memory", 4), "32x": ("memory", 32), "truncated": ("truncated", 8),
        "focus": ("focus", 8), "none": ("none", 4),
    }.items():  # fmt: skip
        *_, alone = workbench.asking.ask(QUESTION, [document], ratio, reader, max_new_tokens=8)
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
    long = workbench.intake.ingest_text(prose(900), "Long").document.sha256
    steps = list(workbench.comparing.compare(QUESTION, [long], ["full", "32x"], max_new_tokens=4))
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
        next(workbench.comparing.compare(question, [document], chosen))


def test_no_document_and_a_missing_one(workbench: Workbench) -> None:
    with pytest.raises(NoDocument):
        next(workbench.comparing.compare(QUESTION, [], ["full", "4x"]))
    with pytest.raises(DocumentNotFound):
        next(workbench.comparing.compare(QUESTION, ["0" * 64], ["4x"]))


def test_stopping_cuts_the_answer_and_leaves_out_the_rest(workbench: Workbench, document: str) -> None:
    looks = iter(range(1000))
    steps = list(
        workbench.comparing.compare(QUESTION, [document], ["full", "4x", "8x"], cancelled=lambda: next(looks) > 6)
    )
    found = answers(steps)
    assert list(found) == ["full"]
    assert found["full"].notes == ("The answer was stopped before its end.",)


def test_leaving_early_gives_the_model_back(workbench: Workbench, document: str) -> None:
    steps = workbench.comparing.compare(QUESTION, [document], ["4x"])
    assert next(steps).piece
    steps.close()
    *_, answer = workbench.asking.ask(QUESTION, [document], 4)
    assert isinstance(answer, AnswerView)
