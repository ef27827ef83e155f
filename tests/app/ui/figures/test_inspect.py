"""The data and the legibility of the figures of Inspect, and the HTML beside them."""

from __future__ import annotations

import re

import pytest

from app.look_panels import operation, pair, shaded_text, strip, summary
from app.looking import AttentionView, MapView, SlotView, SummaryView
from app.maps import LEVEL_STYLE, MAX_COLUMNS, binned, heat_map, pyramid, slot_scatter
from app.operating import Operation, Outcome
from app.pairing import Pair

SLOTS = tuple(
    SlotView(i, level, end)
    for i, (level, end) in enumerate([(32, 32), (32, 40), (16, 16), (8, 8), (8, 24), (4, 4), (4, 12)])
)
WORDS = ("The ", "<b>fog</b> ", "`hid` ", "${ships} ", "again.")
VIEW = AttentionView(
    "sha", 3, 4, WORDS, SLOTS, tuple((0.5, 0.02 * i, 0.1, 0.2, 0.2 - 0.02 * i) for i in range(7)), 0.5, "It rained."
)
POINTS = MapView("sha", 8, (0.0, 1.0, 2.0), (3.0, 4.0, 5.0), (0, 0, 1), (32, 8, 32), (0.5, 0.25), 3)
HOSTILE = "<img src=x onerror=alert(1)>"


def figures():
    return [heat_map(VIEW), pyramid(SLOTS, 40, 4, VIEW), slot_scatter(POINTS), slot_scatter(POINTS, "segment")]


def test_a_heat_map_has_a_row_a_slot_and_a_column_a_word() -> None:
    [cells] = heat_map(VIEW).data
    assert cells.z.tolist() == [pytest.approx(row) for row in VIEW.weights]
    assert cells.zmax == pytest.approx(0.2)  # the sink's 0.5 does not set the scale
    assert (cells.text[6][4], cells.y[6]) == ("again.", "slot 6 (level 4x, ends at token 12)")
    ticks = heat_map(VIEW).layout.yaxis
    assert (list(ticks.ticktext), list(ticks.tickvals)) == (["32x", "16x", "8x", "4x"], [0.5, 2, 3.5, 5.5])


def test_more_words_than_columns_are_joined_and_lose_nothing() -> None:
    count = 3 * MAX_COLUMNS + 5
    words, weights = binned([f"w{i} " for i in range(count)], [[1 / count] * count, [float(i) for i in range(count)]])
    assert len(words) == len(weights[0]) == MAX_COLUMNS
    assert "".join(words) == "".join(f"w{i} " for i in range(count))
    assert sum(weights[0]) == pytest.approx(1)
    assert sum(weights[1]) == pytest.approx(count * (count - 1) / 2)
    assert binned(WORDS, [[1.0] * 5]) == (list(WORDS), [[1.0] * 5])


def test_the_bars_of_a_level_and_the_coarser_ones_tile_the_segment() -> None:
    figure = pyramid(SLOTS, 40, 4)
    bars = {
        b.name: sorted((start, start + width) for start, width in zip(b.base, b.x, strict=True)) for b in figure.data
    }
    assert bars["32x"] == [(0, 32), (32, 40)]
    assert bars["16x"] == [(0, 16)]
    assert bars["8x"] == [(0, 8), (16, 24)]
    assert bars["4x"] == [(0, 4), (8, 12)]
    assert list(figure.layout.yaxis.categoryarray) == ["4x", "8x", "16x", "32x"]
    assert figure.layout.xaxis.range == (0, 40)


def test_the_pyramid_names_the_words_that_a_slot_looks_at_most() -> None:
    [bar] = pyramid(SLOTS[2:3], 40, 16, VIEW).data
    assert bar.customdata[0][2] == (
        "<br>looks most at “$".replace("$", "&#36;") + "&#123;ships&#125;”, “again.”, “&#96;hid&#96;”"
    )


def test_points_are_coloured_by_level_or_by_segment() -> None:
    by_level, by_segment = slot_scatter(POINTS), slot_scatter(POINTS, "segment")
    for figure in (by_level, by_segment):
        assert {(t.name, x, y) for t in figure.data for x, y in zip(t.x, t.y, strict=True)} == {
            ("32x", 0, 3), ("32x", 2, 5), ("8x", 1, 4),
        }  # fmt: skip
    assert len({(t.marker.color, t.marker.symbol) for t in by_level.data}) == 2
    assert list(by_segment.data[0].marker.color) == [0, 1]
    assert by_segment.data[0].marker.cmax == 1


def test_figures_are_legible_on_light_and_dark_pages() -> None:
    for figure in figures():
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert figure.layout.font.color == "#7A848C"
    assert len({colour for colour, _ in LEVEL_STYLE}) == len({symbol for _, symbol in LEVEL_STYLE}) == len(LEVEL_STYLE)


def test_words_cannot_bring_markup_into_a_figure() -> None:
    for figure in figures()[:2]:
        assert "<b>fog" not in figure.to_json().replace("\\u003c", "<").replace("\\u003e", ">")


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
    outcome = Outcome(HOSTILE, 8, 1024, 0.5, 1.25)
    for html in (
        summary(SummaryView("sha", 0, 8, "Say it.", HOSTILE, HOSTILE, 8, True)),
        operation(Operation("sha", 0, 8, "Who?", HOSTILE, outcome, outcome)),
        pair(Pair("sha", 0, 8, "Who?", "nothing", (HOSTILE, HOSTILE), outcome, outcome)),
        pair(f"Loading {HOSTILE}"),
    ):
        assert "<img" not in html
        assert "&lt;img" in html
    html = operation(Operation("sha", 0, 8, "", "layers 0-3", outcome, outcome))
    assert "Intact memory" in html and "Operated memory" in html and "the original" in html
    assert "1.250" in html and "1.00 KiB" in html


def test_two_adapters_have_the_same_table_and_their_names() -> None:
    outcome = Outcome("Fog.", 8, 1024, 0.5, 1.25)
    html = pair(Pair("sha", 3, 8, "", "layers 0", ("adapter", "second"), outcome, outcome))
    assert "Segment 3 at 8x under two adapters. Switched off in both: layers 0." in html
    assert "“adapter (in use)” are in “second”" in html
    assert html.count("<td>1.00 KiB</td>") == 2 and "the original" in html
    assert "the answer under the adapter in use" in pair(
        Pair("s", 3, 8, "Who?", "nothing", ("a", "b"), outcome, outcome)
    )
