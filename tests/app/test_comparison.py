"""The HTML of Compare and Lab: what it says, and that nothing in it is markup of a document's."""

from __future__ import annotations

from app import comparison, laboratory, render
from app.comparison import Card
from app.measuring import Measured
from app.views import AnswerView, TimingsView

EVIL = "<img src=x onerror=alert(1)>"


def answer(text: str, kv_bytes: int = 50) -> AnswerView:
    timings = TimingsView(0.5, 0.25, 12.34)
    return AnswerView("What?", text, "full", 4, (), (), timings, kv_bytes, 100, 0, 0)


def test_a_card_shows_answer_difference_and_cost() -> None:
    found = [Card("full", "", answer("Two red ships", 100)), Card("8x", "", answer("Two ships", 25))]
    html = comparison.cards(found, ended=True)
    assert "memory 8x" in html and "differs from full context" in html
    assert '<del class="ccf-del">red</del>' in html
    assert "0.75 s" in html and "25% of full" in html
    table = comparison.costs(found, "float32")
    assert table.count('<th scope="row">') == 2
    assert "twice the bytes" in table and "twice the bytes" not in comparison.costs(found, "bfloat16")
    assert comparison.costs([Card("8x")], None) == ""


def test_equal_answers_are_said_to_be_equal() -> None:
    html = comparison.cards([Card("full", "", answer("Two  ships")), Card("4x", "", answer("Two ships"))], ended=True)
    assert "same as full context" in html
    assert "<ins" not in html.split("Against")[0]


def test_running_failed_and_left_out_settings_look_different() -> None:
    found = [Card("full", error="Too long."), Card("4x", "Two"), Card("8x")]
    running, ended = comparison.cards(found, ended=False), comparison.cards(found, ended=True)
    assert "Asking memory 4x, 1 of 3 done" in running and "waiting" in running
    assert 'role="alert"' in running and "Too long." in running
    assert "left out: stopped" in ended and "cmp-now" not in ended


def test_nothing_from_a_document_is_markup() -> None:
    found = [Card("full", "", answer(EVIL)), Card("4x", EVIL), Card("8x", "", answer(EVIL + " more"))]
    measured = Measured("0" * 64, {4: ((0, 0.5),)}, 1, 4)
    for html in (
        comparison.cards(found, ended=False),
        laboratory.progress(EVIL, measured),
        render.inline_diff(EVIL, f"{EVIL} more"),
    ):
        assert "<img" not in html


def test_inline_diff_keeps_words_apart() -> None:
    html = render.inline_diff("Patience", "The Lady")
    assert "</del> <ins" in html
    assert "<del" not in render.inline_diff("same words", "same words")


def test_progress_says_how_far() -> None:
    html = laboratory.progress("Log", Measured("0" * 64, {4: ((0, 0.5), (1, 1.0)), 8: ()}, 2, 4))
    assert "2 of 4" in html and "0.750" in html and "<progress" in html
    assert "<progress" not in laboratory.progress("Log", Measured("0" * 64, {4: ((0, 1.0),)}, 1, 1))
