"""Who wants a text to go on has it continued from its graded memory, as an answer that says so."""

from __future__ import annotations

import pytest

from app.answers.continuation import wants_more
from app.settings import Settings
from app.types import AnswerView
from app.workbench import Workbench
from ccf_core import CCF

GO_ON = "Go on with this text."


@pytest.mark.parametrize(
    "wish",
    [
        GO_ON,
        "go on with  this text",
        "Please continue the story.",
        "What comes next?",
        "what happens next in the story?",
        "How does the text go on?",
        "Keep writing this document!",
    ],
)
def test_a_wish_for_more_is_recognised(wish: str) -> None:
    assert wants_more(wish)


@pytest.mark.parametrize(
    "question",
    [
        "What comes next after the third step?",
        "What happens next Tuesday?",
        "Continue",
        "Does the text go on?",
        "Who wants to go on with this text?",
        "How does the engine continue?",
        "",
    ],
)
def test_a_question_about_the_document_is_none(question: str) -> None:
    assert not wants_more(question)


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(200, 1), "Log").document.sha256


def final(pieces) -> AnswerView:
    *_, answer = pieces
    assert isinstance(answer, AnswerView)
    return answer


@pytest.mark.parametrize(("reader", "read"), [("memory", "graded"), ("focus", "graded"), ("full", "full")])
def test_the_text_goes_on_from_its_end(
    workbench: Workbench, settings: Settings, document: str, reader: str, read: str
) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    text = ccf.segment(workbench.library.text(document))
    memory = ccf.compress(workbench.library.text(document)).quantize()
    expected = ccf.continue_text(memory, text.input_ids, 20, budget=text.slots(8), reader=read)
    answer = final(workbench.asking.ask(GO_ON, [document], 8, reader, max_new_tokens=20))
    assert answer.text == expected.text.strip() and answer.text
    assert (answer.reader, answer.kv_bytes, answer.evidence) == (read, expected.kv_bytes, ())
    assert "goes on where the text ends" in answer.notes[0]
    assert ("from memory" in answer.notes[0]) == (read == "graded")


def test_no_earlier_turns_are_read(workbench: Workbench, document: str) -> None:
    chat = workbench.conversations.new("Ships", [document]).id
    first, again = (
        final(workbench.asking.ask(GO_ON, [document], 8, max_new_tokens=8, chat=chat, history="all")) for _ in range(2)
    )
    assert (first.turns, again.turns) == (0, 0)
    assert first.text == again.text
    assert [message.content for message in workbench.conversations.messages(chat)][:2] == [GO_ON, first.text]


def test_without_a_document_it_is_asked_like_anything_else(workbench: Workbench) -> None:
    answer = final(workbench.asking.ask("What comes next?", [], reader="none", max_new_tokens=8))
    assert answer.reader == "none"
    assert not any("goes on" in note for note in answer.notes)
