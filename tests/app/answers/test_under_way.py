"""What is known of an answer while it is written, and what becomes of its chat if it cannot be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app.answers.under_way import UnderWay
from app.errors import NotAnswerable
from app.types import AnswerView
from app.workbench import Workbench


def test_an_answer_is_there_until_its_chat_has_it(workbench: Workbench, prose: Callable[..., str]) -> None:
    document = workbench.intake.ingest_text(prose(), "Log").document.sha256
    chat = workbench.conversations.new("Ships", [document]).id
    answer = UnderWay(chat, "Where were the ships?", again=False, fresh=True, switch=threading.Event())
    book = workbench.under_way
    book.begin(answer)
    assert book.find(chat) is answer
    for piece in book.noted(answer, workbench.asking.ask(answer.question, [document], chat=chat)):
        there = bool(workbench.conversations.messages(chat))
        assert isinstance(piece, AnswerView) == there == (book.find(chat) is None)
    assert answer.text.strip() == workbench.conversations.messages(chat)[-1].content
    assert book.find(None) is None


@pytest.mark.parametrize("fresh", [True, False])
def test_trouble_is_kept_until_it_is_let_go_and_an_empty_chat_is_not(workbench: Workbench, fresh: bool) -> None:
    def failing() -> Iterator[str]:
        yield "Seven"
        raise NotAnswerable("There is too much fog.")

    chat = workbench.conversations.new("Ships").id
    answer = UnderWay(chat, "Where?", again=False, fresh=fresh, switch=threading.Event())
    book = workbench.under_way
    book.begin(answer)
    with pytest.raises(NotAnswerable):
        list(book.noted(answer, failing()))
    assert book.find(chat) is answer
    assert (answer.text, answer.trouble) == ("Seven", "There is too much fog.")
    assert bool(workbench.conversations.list()) != fresh
    book.let_go(answer)
    assert book.find(chat) is None


def test_what_nobody_foresaw_leaves_nothing_under_way(workbench: Workbench) -> None:
    def failing() -> Iterator[str]:
        yield "Seven"
        raise ZeroDivisionError

    answer = UnderWay(workbench.conversations.new("Ships").id, "Where?", False, True, threading.Event())
    workbench.under_way.begin(answer)
    with pytest.raises(ZeroDivisionError):
        list(workbench.under_way.noted(answer, failing()))
    assert workbench.under_way.find(answer.chat) is None
