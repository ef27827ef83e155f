"""The HTML of Inspect: what it says, and that nothing in it is markup of a document's."""

from __future__ import annotations

import re

from app.analysis.ablation import AblationResult, AblationView
from app.analysis.adapter_pair import PairView
from app.analysis.attention import AttentionView, SlotView
from app.analysis.summary import SummaryView
from app.ui.html.inspect import ablation, adapter_pair, shaded_text, strip, summary

SLOTS = tuple(
    SlotView(i, level, end)
    for i, (level, end) in enumerate([(32, 32), (32, 40), (16, 16), (8, 8), (8, 24), (4, 4), (4, 12)])
)
WORDS = ("The ", "<b>fog</b> ", "`hid` ", "${ships} ", "again.")
VIEW = AttentionView(
    "sha", 3, 4, WORDS, SLOTS, tuple((0.5, 0.02 * i, 0.1, 0.2, 0.2 - 0.02 * i) for i in range(7)), 0.5, "It rained."
)
HOSTILE = "<img src=x onerror=alert(1)>"


def test_the_strip_has_a_button_a_segment_that_says_its_score() -> None:
    html = strip([1.0, 0.5, None], 1, 8)
    assert re.findall(r'data-segment="(\d)" title="([^"]*)"', html) == [
        ("0", "segment 0: ROUGE-L 1.000"), ("1", "segment 1: ROUGE-L 0.500"), ("2", "segment 2: not reconstructed yet"),
    ]  # fmt: skip
    assert re.findall(r'class="ccf-cell ccf-v(\w+)"[^>]*>([^<]*)<', html) == [
        ("9", "1.00"),
        ("5", ".50"),
        ("none", "·"),
    ]
    assert html.count("aria-current") == 1
    assert "2 of 3 segments reconstructed at 8x. Mean 0.750." in html


def test_words_are_shaded_by_the_attention_of_the_chosen_slots() -> None:
    def shades(chosen: str) -> list[int]:
        return [int(n) for n in re.findall(r'<span class="ccf-h(\d)" title', shaded_text(VIEW, chosen))]

    assert shades("slot:0") == [7, 0, 4, 7, 7]
    assert shades("slot:6") == [7, 5, 4, 7, 3]
    assert shades("level:16") == shades("slot:2")
    assert shades("all") == [7, 3, 4, 7, 5]
    assert "No such slot" in shaded_text(VIEW, "slot:99")
    assert "&lt;b&gt;fog&lt;/b&gt;" in shaded_text(VIEW, "all")


def test_a_summary_that_had_to_be_pressed_for_says_so() -> None:
    free, pressed = (
        summary(SummaryView("sha", 0, 8, "Say it.", "Fog.", "Fog hid.", 8, asked)) for asked in (False, True)
    )
    assert "Not in the document" not in free
    assert "Not in the document" in pressed and "barred" in pressed


def test_text_from_documents_and_models_is_escaped() -> None:
    outcome = AblationResult(HOSTILE, 8, 1024, 0.5, 1.25)
    for html in (
        summary(SummaryView("sha", 0, 8, "Say it.", HOSTILE, HOSTILE, 8, True)),
        ablation(AblationView("sha", 0, 8, "Who?", HOSTILE, outcome, outcome)),
        adapter_pair(PairView("sha", 0, 8, "Who?", "nothing", (HOSTILE, HOSTILE), outcome, outcome)),
        adapter_pair(f"Loading {HOSTILE}"),
    ):
        assert "<img" not in html
        assert "&lt;img" in html
    html = ablation(AblationView("sha", 0, 8, "", "layers 0-3", outcome, outcome))
    assert "Intact memory" in html and "Operated memory" in html and "the original" in html
    assert "1.250" in html and "1.00 KiB" in html


def test_two_adapters_have_the_same_table_and_their_names() -> None:
    outcome = AblationResult("Fog.", 8, 1024, 0.5, 1.25)
    html = adapter_pair(PairView("sha", 3, 8, "", "layers 0", ("adapter", "second"), outcome, outcome))
    assert "Segment 3 at 8x under two adapters. Switched off in both: layers 0." in html
    assert "“adapter (in use)” are in “second”" in html
    assert html.count("<td>1.00 KiB</td>") == 2 and "the original" in html
    assert "the answer under the adapter in use" in adapter_pair(
        PairView("s", 3, 8, "Who?", "nothing", ("a", "b"), outcome, outcome)
    )
