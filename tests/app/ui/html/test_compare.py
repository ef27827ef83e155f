"""The HTML of Compare: what it says, and that nothing in it is markup of a document's."""

from __future__ import annotations

from app.types import AnswerView
from app.ui.html import compare
from app.ui.html.compare import Card
from app.ui.html.diff import inline_diff
from ccf_core import Timings

EVIL = "<img src=x onerror=alert(1)>"


def answer(text: str, kv_bytes: int = 50) -> AnswerView:
    timings = Timings(0.5, 0.25, 12.34)
    return AnswerView("What?", text, "full", 4, (), (), timings, kv_bytes, 100, 0, 0)


def test_a_card_shows_answer_difference_and_cost() -> None:
    found = [Card("full", "", answer("Two red ships", 100)), Card("8x", "", answer("Two ships", 25))]
    html = compare.cards(found, True, "bfloat16")
    assert "memory 8x" in html and "differs from full context" in html
    assert '<del class="ccf-del">red</del>' in html
    assert "0.75 s" in html and "<dd>25%</dd>" in html
    table = compare.costs(found, "bfloat16")
    assert table.count('<th scope="row">') == 2
    assert "<td>100%</td>" in table and "<td>25%</td>" in table
    assert compare.costs([Card("8x")], None) == ""


def test_shares_of_full_context_are_taken_in_the_decoders_own_dtype() -> None:
    table = compare.costs([Card("full", "", answer("Two", 200)), Card("8x", "", answer("Two", 25))], "float32")
    assert "<td>100%</td>" in table and "<td>12%</td>" in table
    assert "computes in float32" in table and "is 100 B" in table


def test_equal_answers_are_said_to_be_equal() -> None:
    found = [Card("full", "", answer("Two  ships")), Card("4x", "", answer("Two ships"))]
    html = compare.cards(found, True, "bfloat16")
    assert "same as full context" in html
    assert "<ins" not in html.split("Against")[0]


def test_running_failed_and_left_out_settings_look_different() -> None:
    found = [Card("full", error="Too long."), Card("4x", "Two"), Card("8x")]
    running, ended = (compare.cards(found, ended, "bfloat16") for ended in (False, True))
    assert "Asking memory 4x, 1 of 3 done" in running and "waiting" in running
    assert 'role="alert"' in running and "Too long." in running
    assert "left out: stopped" in ended and "cmp-now" not in ended


def test_nothing_from_a_document_is_markup() -> None:
    found = [Card("full", "", answer(EVIL)), Card("4x", EVIL), Card("8x", "", answer(EVIL + " more"))]
    for html in (
        compare.cards(found, False, "bfloat16"),
        inline_diff(EVIL, f"{EVIL} more"),
    ):
        assert "<img" not in html
