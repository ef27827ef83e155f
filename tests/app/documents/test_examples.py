"""The suggested questions, live: the shipped adapter makes of each what its label says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.answers.notes import ABSTAINED, abstained
from app.documents.examples import FOLDER, examples, suggestions_for
from app.settings import Settings
from app.types import AnswerView
from app.workbench import Workbench

pytestmark = [pytest.mark.model, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    settings = Settings(tmp_path_factory.mktemp("examples"), device="cpu", dtype="float32")
    with Workbench(settings) as workbench:
        yield workbench


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["file"])
def test_each_question_is_read_as_labelled(shipped: Workbench, example: dict) -> None:
    document = shipped.intake.ingest_file(FOLDER / example["file"]).document
    assert [q for q, _ in suggestions_for(document.title)] == [row["question"] for row in example["questions"]]
    for row in example["questions"]:
        *_, answer = shipped.asking.ask(row["question"], [document.sha256], 4)
        assert isinstance(answer, AnswerView)
        assert abstained(answer.text) == (row["at_4x"] == "abstains"), answer
        assert (ABSTAINED in answer.notes) == (row["at_4x"] == "abstains")
        if row["answer"] is not None:
            assert (row["answer"].lower() in answer.text.lower()) == (row["at_4x"] == "right"), answer
