"""HTML of conversations and of places in a text: everything that came from outside is escaped."""

from __future__ import annotations

import re

import pytest

from app.answers.notes import abstained
from app.documents.library import Passage
from app.parsers import LeftOut
from app.types import AnswerView, EvidenceView, MessageView
from app.ui.html import ask
from ccf_core import Timings

EVIL = '<img src=x onerror=alert(1)> ${x} {{y}} `z` "q"'


def answer(text: str, *notes: str, **changes: object) -> AnswerView:
    timings = Timings(0.1, 0.2, 9.0)
    known = {"reader": "memory", "ratio": 4, "evidence": (), "turns": 0} | changes
    return AnswerView(
        "Who?", text, known["reader"], known["ratio"], ("a",), known["evidence"], timings, 100, 400, 90, 50, notes,
        known["turns"],
    )  # type: ignore[arg-type]  # fmt: skip


def shown(view: AnswerView, **more: object) -> str:
    messages = [MessageView("user", view.question, ""), MessageView("assistant", view.text, "", view)]
    return ask.conversation(messages, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["Not in the document.", "That is not mentioned."])
def test_an_abstention_is_muted(text: str) -> None:
    assert abstained(text)
    assert 'class="said ccf-text wb-abstained"' in shown(answer(text))


@pytest.mark.parametrize("text", ["Halden Cell Works", "In the document, on page 3"])
def test_an_answer_is_shown_plainly(text: str) -> None:
    assert "wb-abstained" not in shown(answer(text))
    assert f">{text}</p>" in shown(answer(text))


def test_an_empty_answer_says_nothing_of_the_document() -> None:
    assert "(no answer)" in shown(answer(""))
    assert "wb-abstained" not in shown(answer(""))


def test_whatever_is_said_is_escaped() -> None:
    evidence = (EvidenceView("f" * 64, EVIL, 1, 0.5, 10, 20, 2, EVIL, None, f"{EVIL}.pdf!"),)
    pages = [
        shown(answer(EVIL, EVIL, evidence=evidence), asked=EVIL, so_far=EVIL),
        shown(answer("x"), trouble=EVIL),
        ask.suggestions([(EVIL, EVIL)]),
        ask.original(
            Passage("f" * 64, EVIL, EVIL, EVIL, EVIL, 0, 0, 0, 1, ((1, 0),), EVIL + "!", (LeftOut(EVIL, EVIL),))
        ),
    ]
    for page in pages:
        assert "<img" not in page
        assert not re.search(r"[`${}]", page)
        assert "&lt;img" in page


def test_costs_and_notes_stand_under_the_answer() -> None:
    page = shown(answer("Not in the document.", "The adapter says so.", ratio=16, turns=2))
    assert "The adapter says so." in page
    cells = re.findall(r'<div title="[^"]+"><dt>(.*?)</dt><dd>(.*?)</dd></div>', page)
    assert dict(cells) == {
        "read": "memory at 16x and 2 earlier turns",
        "first token": "0.30 s",
        "then": "9.0 tokens/s",
        "KV held": "100 B",
        "full context, bf16": "400 B",
    }


@pytest.mark.parametrize(
    ("reader", "read"),
    [
        ("full", "the full text"),
        ("focus", "by focus, in the bytes of 4x"),
        ("truncated", "the first tokens, in the bytes of 4x"),
        ("none", "nothing"),
    ],
)
def test_what_was_read_is_said(reader: str, read: str) -> None:
    assert f"<dd>{read}</dd>" in ask.cost(answer("x", reader=reader))


def test_evidence_names_its_place_and_the_weak_are_folded() -> None:
    items = tuple(EvidenceView("f" * 64, "Log", i, 0.5 / (i + 1), 10 * i, 10 * i + 9, 3, "…") for i in range(5))
    page = ask.evidence(items)
    before, folded = page.split("<details")
    assert before.count("data-act=") == 3
    assert folded.count("data-act=") == 2
    assert 'data-start="10" data-end="19"' in before
    assert "page 3 · segment 1" in before
    assert ask.evidence(()) == ""


def test_only_the_last_answer_can_be_asked_again_and_not_while_one_is_written() -> None:
    both = [
        m
        for text in ("a", "b")
        for m in (MessageView("user", "q", ""), MessageView("assistant", text, "", answer(text)))
    ]
    assert ask.conversation(both).count('data-act="again"') == 1
    assert 'data-act="again"' not in ask.conversation(both, "next?", "so far")
    assert "so far" in ask.conversation(both, "next?", "so far")
    assert ask.EMPTY in ask.conversation([])


def test_a_long_conversation_shows_its_end() -> None:
    many = [MessageView("user", f"question {i}", "") for i in range(90)]
    page = ask.conversation(many)
    assert "question 89" in page
    assert "question 5<" not in page
    assert "the export has them all" in page


def test_a_place_is_marked_once_for_each_page_it_runs_over() -> None:
    view = Passage("f" * 64, "Log", "one ", "two three", " four", 100, 100, 7, 2, ((2, 0), (3, 8)))
    page = ask.original(view)
    assert re.findall("<mark>(.*?)</mark>", page) == ["two ", "three"]
    assert re.findall(r'page-break">(page \d)<', page) == ["page 2", "page 3"]
    assert "characters 104 to 113" in page
    assert "100 characters before this" in page
    assert "7 characters after this" in page


def test_what_was_left_out_of_a_text_is_behind_a_click_and_not_among_the_text() -> None:
    parts = (LeftOut("Running headers", "Harbour log\n" * 2_000), LeftOut("Navigation", "Home <b>"))
    page = ask.original(Passage("f" * 64, "Log", "The fog.", "", "", 0, 0, 0, None, (), "log-7.html", parts))
    before, text = page.split('<div class="original-text"')
    assert '<summary dir="auto">Left out of this text: Running headers, Navigation</summary>' in before
    assert "<details open" not in page
    assert "not part of what was compressed" in before
    assert "Home &lt;b&gt;" in before
    assert "4,000 characters after this are not shown" in before
    assert ">log-7.html<" in before
    assert "Harbour log" not in text
    plain = ask.original(Passage("f" * 64, "Log", "The fog.", "", "", 0, 0, 0, None, ()))
    assert "Left out" not in plain


@pytest.mark.parametrize(("filename", "shown"), [("report_7.pdf", False), ("scan-0001.pdf", True), ("", False)])
def test_a_file_is_named_where_its_name_says_more_than_the_title(filename: str, shown: bool) -> None:
    page = ask.evidence([EvidenceView("f" * 64, "Report 7", 0, 1.0, 0, 9, None, "…", None, filename)])
    assert (f">{filename or None}<" in page) == shown
    assert ("chip-file" in page) == shown


def test_evidence_of_focus_says_how_each_segment_was_read() -> None:
    items = tuple(EvidenceView("f" * 64, "Log", i, 0.5, 0, 9, None, "…", ratio) for i, ratio in enumerate((1, 4)))
    shown = ask.evidence(items)
    assert "What it read" in shown and "Where it looked" not in shown
    assert "segment 0 · as text" in shown and "segment 1 · at 4x" in shown
