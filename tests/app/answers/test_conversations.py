"""Which questions see the conversation, and how much of it."""

from __future__ import annotations

import pytest

from app.answers.conversations import MAX_TURNS, leans_back
from app.settings import Settings
from app.types import AnswerView
from app.workbench import Workbench
from ccf_core import CCF

FIRST = "Where were the ships?"
SECOND = "And when did it happen?"


@pytest.fixture
def document(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(), "Log").document.sha256


def asked(workbench: Workbench, question: str, document: str, chat: int, **more: object) -> AnswerView:
    # The tiny model has room for some 120 tokens, of about a character each.
    limits = {"max_new_tokens": 4} | more
    *_, answer = workbench.asking.ask(question, [document], 8, chat=chat, **limits)  # type: ignore[arg-type]
    assert isinstance(answer, AnswerView)
    return answer


@pytest.mark.parametrize(
    "question", ["When was it built?", "And then?", "Why?", "What about 2021?", "Did she pay them?"]
)
def test_questions_that_lean_on_others(question: str) -> None:
    assert leans_back(question)


@pytest.mark.parametrize(
    "question", ["When was the boat built?", "How much does it cost to cross the bridge?", "Who was first that Friday?"]
)
def test_questions_that_stand_alone(question: str) -> None:
    assert not leans_back(question)


def test_a_follow_up_is_answered_after_the_turns_before_it(workbench: Workbench, settings: Settings, document) -> None:
    chat = workbench.conversations.new("Ships").id
    first = asked(workbench, FIRST, document, chat)
    second = asked(workbench, SECOND, document, chat)
    assert (first.turns, second.turns) == (0, 1)
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    expected = ccf.answer(SECOND, workbench.memories.recall(document, 8).memory, 4, history=[(FIRST, first.text)])
    assert (second.text, second.evidence[0].score) == (expected.text, expected.evidence[0].score)


def test_the_conversation_is_read_always_or_never_on_demand(workbench: Workbench, document) -> None:
    chat = workbench.conversations.new("Ships").id
    turns = [asked(workbench, "Fog?", document, chat, history="all", max_new_tokens=2).turns for _ in range(5)]
    assert turns == [0, 1, 2, MAX_TURNS, MAX_TURNS]
    assert asked(workbench, SECOND, document, chat, history="none").turns == 0


def test_turns_that_do_not_fit_are_left_out_oldest_first(workbench: Workbench, document) -> None:
    chat = workbench.conversations.new("Ships").id
    for _ in range(3):
        asked(workbench, "The ships in the fog and the harbour master? " * 3, document, chat, max_new_tokens=2)
    assert 0 <= asked(workbench, SECOND, document, chat, max_new_tokens=20).turns < 3


def test_asking_again_takes_the_place_of_the_last_answer(workbench: Workbench, document) -> None:
    chat = workbench.conversations.new("Ships").id
    asked(workbench, FIRST, document, chat)
    asked(workbench, SECOND, document, chat)
    again = asked(workbench, SECOND, document, chat, replace_last=True)
    assert again.turns == 1
    messages = workbench.conversations.messages(chat)
    assert [m.content for m in messages if m.role == "user"] == [FIRST, SECOND]
    assert messages[-1].answer == again


def test_nothing_of_a_deleted_document_comes_back_as_an_earlier_turn(workbench: Workbench, document, prose) -> None:
    chat = workbench.conversations.new("Ships").id
    asked(workbench, FIRST, document, chat)
    other = workbench.intake.ingest_text(prose(100, 7), "Other").document.sha256
    workbench.library.delete(document)
    assert asked(workbench, SECOND, other, chat, history="all").turns == 0


def test_a_conversation_is_exported_whole(workbench: Workbench, document) -> None:
    chat = workbench.conversations.new("Ships\nand more " + "words " * 40)
    assert chat.title.startswith("Ships and more words")
    assert chat.title.endswith("…")
    assert len(chat.title) <= 60
    answers = [asked(workbench, question, document, chat.id) for question in (FIRST, SECOND)]
    markdown = workbench.conversations.export(chat.id)
    assert markdown.count("| read | ratio |") == 2
    for answer in answers:
        assert answer.evidence[0].text.split()[0] in markdown
    assert '"turns": 1' in workbench.conversations.export(chat.id, "json")
