"""The data and the legibility of the figures of Inspect."""

from __future__ import annotations

import pytest

from app.analysis.attention import AttentionView, MapView, SlotView
from app.ui.figures.inspect import LEVEL_STYLE, MAX_COLUMNS, binned, heat_map, pyramid, slot_scatter

SLOTS = tuple(
    SlotView(i, level, end)
    for i, (level, end) in enumerate([(32, 32), (32, 40), (16, 16), (8, 8), (8, 24), (4, 4), (4, 12)])
)
WORDS = ("The ", "<b>fog</b> ", "`hid` ", "${ships} ", "again.")
VIEW = AttentionView(
    "sha", 3, 4, WORDS, SLOTS, tuple((0.5, 0.02 * i, 0.1, 0.2, 0.2 - 0.02 * i) for i in range(7)), 0.5, "It rained."
)
POINTS = MapView("sha", 8, (0.0, 1.0, 2.0), (3.0, 4.0, 5.0), (0, 0, 1), (32, 8, 32), (0.5, 0.25), 3)


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
