"""What the page shows of an answer that says that there is none."""

from __future__ import annotations

import pytest

from app import panels
from app.asking import abstained
from app.views import AnswerView, TimingsView


def answer(text: str, *notes: str) -> AnswerView:
    timings = TimingsView(0.1, 0.2, 9.0)
    return AnswerView("Who?", text, "memory", 4, ("a",), (), timings, 100, 400, 90, 50, notes)


@pytest.mark.parametrize("text", ["Not in the document.", "That is not mentioned."])
def test_an_abstention_is_muted(text: str) -> None:
    assert abstained(text)
    shown = panels.said(answer(text))
    assert shown.startswith('<span class="wb-abstained">')
    assert shown.endswith("\\.</span>")


@pytest.mark.parametrize("text", ["Halden Cell Works", "In the document, on page 3", "*two* <b>crowns</b>"])
def test_an_answer_is_shown_plainly_and_escaped(text: str) -> None:
    assert not abstained(text)
    assert "<" not in panels.said(answer(text))


def test_an_empty_answer_says_nothing_of_the_document() -> None:
    assert not abstained("")
    assert panels.said(answer("")) == r"\(no answer\)"


def test_a_muted_answer_is_escaped_too() -> None:
    shown = panels.said(answer("<img src=x> is not in the document"))
    assert shown.startswith('<span class="wb-abstained">&lt;img')


def test_notes_stand_under_the_answer() -> None:
    assert "does not answer this" in panels.cost(answer("Not in the document.", "The adapter does not answer this."))
