"""The HTML of Compare and Lab: what it says, and that nothing in it is markup of a document's."""

from __future__ import annotations

from app import comparison, laboratory, render, report
from app.charts import Chart
from app.comparison import Card
from app.measuring import Measured
from app.plots import Amount, bytes_chart
from app.views import AnswerView, TimingsView
from store import Run

EVIL = "<img src=x onerror=alert(1)>"


def answer(text: str, kv_bytes: int = 50) -> AnswerView:
    timings = TimingsView(0.5, 0.25, 12.34)
    return AnswerView("What?", text, "full", 4, (), (), timings, kv_bytes, 100, 0, 0)


def test_a_card_shows_answer_difference_and_cost() -> None:
    found = [Card("full", "", answer("Two red ships", 100)), Card("8x", "", answer("Two ships", 25))]
    html = comparison.cards(found, True, "bfloat16")
    assert "memory 8x" in html and "differs from full context" in html
    assert '<del class="ccf-del">red</del>' in html
    assert "0.75 s" in html and "<dd>25%</dd>" in html
    table = comparison.costs(found, "bfloat16")
    assert table.count('<th scope="row">') == 2
    assert "<td>100%</td>" in table and "<td>25%</td>" in table
    assert comparison.costs([Card("8x")], None) == ""


def test_shares_of_full_context_are_taken_in_the_decoders_own_dtype() -> None:
    table = comparison.costs([Card("full", "", answer("Two", 200)), Card("8x", "", answer("Two", 25))], "float32")
    assert "<td>100%</td>" in table and "<td>12%</td>" in table
    assert "computes in float32" in table and "is 100 B" in table


def test_equal_answers_are_said_to_be_equal() -> None:
    found = [Card("full", "", answer("Two  ships")), Card("4x", "", answer("Two ships"))]
    html = comparison.cards(found, True, "bfloat16")
    assert "same as full context" in html
    assert "<ins" not in html.split("Against")[0]


def test_running_failed_and_left_out_settings_look_different() -> None:
    found = [Card("full", error="Too long."), Card("4x", "Two"), Card("8x")]
    running, ended = (comparison.cards(found, ended, "bfloat16") for ended in (False, True))
    assert "Asking memory 4x, 1 of 3 done" in running and "waiting" in running
    assert 'role="alert"' in running and "Too long." in running
    assert "left out: stopped" in ended and "cmp-now" not in ended


def test_nothing_from_a_document_is_markup() -> None:
    found = [Card("full", "", answer(EVIL)), Card("4x", EVIL), Card("8x", "", answer(EVIL + " more"))]
    measured = Measured("0" * 64, {4: ((0, 0.5),)}, 1, 4)
    for html in (
        comparison.cards(found, False, "bfloat16"),
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


def test_runs_say_what_was_measured_and_what_came_out() -> None:
    here = {"document": "0" * 64, "device": "cpu", "dtype": "float32", "adapter": "abcdef0123"}
    point = {"tokens": 1000, "compress_s": 3.0, "full_s": 2.5, "memory_s": 0.5}
    runs = [
        (Run(2, "times", here, {"points": [point]}, "2026-01-02T03:04:05"), EVIL),
        (Run(1, "reconstruct", here | {"segments": [0, 3]}, {"rouge_l": {"4x": 0.9}, "seconds": 7.0}, "2026"), "Log"),
    ]
    shipped = {"task": "qa", "data": {"name": "qa"}, "half": "B", "n": 600, "device": "cpu", "dtype": "bfloat16"}
    html = laboratory.runs(runs, {"qa-baselines": shipped | {"adapter": "abc", "seconds": 5.0, "rows": []}})
    for said in ("1,000 tokens", "full context 2.50 s", "paid for after 2", "2 segments", "ROUGE-L 4x 0.900", "7 s"):
        assert said in html
    assert "qa-baselines" in html and "600 questions" in html
    assert "<img" not in html


def test_figures_are_saved_as_one_page_that_needs_nobody() -> None:
    charts = [Chart(EVIL, "first & last", bytes_chart([Amount("Text", 9, "text")])) for _ in range(2)]
    html = report.page("Savings", EVIL, charts)
    assert "<img src=x" not in html and "first &amp; last" in html
    assert html.count("Plotly.newPlot(") >= 2
    assert '<script src="http' not in html and '"modeBarButtons": [["toImage"]]' in html
    assert len(html) < 2 * len(report.page("Savings", "", charts[:1]))
