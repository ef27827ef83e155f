"""The data and the marks of the figures that grow with length and with questions, and the times behind them."""

from __future__ import annotations

import math

import pytest

from app.analysis.savings import Timed, lengths
from app.types import RatioSavings, SavingsView
from app.ui.figures.savings import (
    BARS,
    COMPRESS,
    FULL,
    MEMORY,
    Amount,
    bytes_by_length,
    bytes_chart,
    seconds_by_length,
    seconds_by_questions,
)
from app.ui.format import readable_bytes

VIEW = SavingsView(
    "0" * 64, 4_000, 1_000, 20_000_000, 3_000_000,
    tuple(RatioSavings(r, 1_000 // r, 20_000 * 1_000 // r, 9, 1.0) for r in (4, 8, 20, 40)), "int8",
)  # fmt: skip
POINTS = [Timed(250, 1.0, 0.5, 0.1), Timed(500, 2.0, 1.5, 0.1)]


def by_name(figure) -> dict[str, list[tuple[float, float]]]:
    return {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in figure.data}


def test_bytes_grow_with_tokens_and_full_context_ends_where_the_model_does() -> None:
    lines = by_name(bytes_by_length(VIEW, 7_000))
    assert list(lines) == ["full context", "memory 4x", "memory 8x", "memory 20x", "memory 40x"]
    assert lines["full context"][0] == (0, 0)
    assert lines["full context"][-1] == (7_000, pytest.approx(7_000 * 20_000))
    assert lines["memory 4x"][-1] == (14_000, pytest.approx(14_000 * 5_000))


def test_bytes_mark_the_document_and_the_end_of_full_context() -> None:
    figure = bytes_by_length(VIEW, 7_000)
    assert [(a.x, a.text) for a in figure.layout.annotations] == [
        (7_000, "full context ends at 7,000"), (1_000, "this document"),
    ]  # fmt: skip
    low, high = figure.layout.yaxis.range
    assert low == 0 and all(max(trace.y) <= high for trace in figure.data)
    assert 2 < len(figure.layout.yaxis.tickvals) <= 7


def test_a_document_beyond_the_window_is_within_the_axis() -> None:
    figure = bytes_by_length(VIEW, 500)
    assert figure.layout.xaxis.range == (0, 2_000)
    assert by_name(figure)["full context"][-1][0] == 500


def test_seconds_are_those_measured() -> None:
    assert by_name(seconds_by_length(POINTS, 8)) == {
        "compressing, once": [(250, 1.0), (500, 2.0)],
        "first token, full context": [(250, 0.5), (500, 1.5)],
        "first token, memory 8x": [(250, 0.1), (500, 0.1)],
    }


def test_the_lines_cross_where_compression_is_paid_for() -> None:
    figure = seconds_by_questions(POINTS[-1], 8)
    full, memory = (dict(line) for line in by_name(figure).values())
    assert POINTS[-1].pays_after == 2
    assert full[1] < memory[1] and full[2] >= memory[2]
    assert memory[0] == 2.0
    assert figure.layout.annotations[0].text == "paid for after 2"


def test_what_never_pays_has_no_mark() -> None:
    point = Timed(100, 1.0, 0.1, 0.2)
    assert point.pays_after is None and point.saved_s == pytest.approx(-0.1)
    figure = seconds_by_questions(point, 8)
    assert figure.layout.annotations == ()
    assert figure.layout.xaxis.range == (0, 10)


def test_many_questions_keep_few_markers() -> None:
    figure = seconds_by_questions(Timed(100, 100.0, 1.1, 0.1), 8)
    assert figure.layout.xaxis.range == (0, 200)
    assert all(len(trace.x) <= 13 for trace in figure.data)


@pytest.mark.parametrize(
    ("ends", "most", "found"),
    [
        ([100], 4096, [1]),
        ([300], 100, [1]),
        ([256, 383], 4096, [1, 2]),
        ([256 * n for n in range(1, 41)], 4096, [2, 4, 8, 16]),
        ([256 * n for n in range(1, 8)], 4096, [1, 2, 4, 7]),
    ],
)
def test_lengths_halve_and_stay_within_what_is_read_in_full(ends: list[int], most: int, found: list[int]) -> None:
    assert lengths(ends, most) == found


def test_lines_differ_in_more_than_colour_and_backgrounds_are_transparent() -> None:
    assert len({style[1:] for style in (FULL, COMPRESS, *MEMORY)}) == 6
    for figure in (bytes_by_length(VIEW, 7_000), seconds_by_length(POINTS, 8), seconds_by_questions(POINTS[0], 8)):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


AMOUNTS = [
    Amount("Text", 41_000, "text"),
    Amount("Full context", 230_000_000, "full"),
    Amount("Memory 4x", 57_600_000, "memory"),
    Amount("Memory 8x", 28_800_000, "memory"),
    Amount("Database", 30_000_000, "stored"),
]


def test_every_amount_is_a_bar_with_its_own_bytes_and_label() -> None:
    figure = bytes_chart(AMOUNTS)
    bars = {label: (x, text) for bar in figure.data for label, x, text in zip(bar.y, bar.x, bar.text, strict=True)}
    assert bars == {a.label: (a.nbytes, readable_bytes(a.nbytes)) for a in AMOUNTS}


def test_bars_stand_in_the_given_order_from_the_top() -> None:
    assert list(bytes_chart(AMOUNTS).layout.yaxis.categoryarray) == [a.label for a in AMOUNTS][::-1]


@pytest.mark.parametrize("values", [[1], [1024, 1024], [40, 10**12], [a.nbytes for a in AMOUNTS]])
def test_the_log_axis_holds_every_bar_and_gives_each_a_length(values: list[int]) -> None:
    axis = bytes_chart([Amount(str(i), value, "memory") for i, value in enumerate(values)]).layout.xaxis
    low, high = axis.range
    assert axis.type == "log"
    assert all(low < math.log10(value) <= high for value in values if value > 1)
    assert len(axis.tickvals) == len(axis.ticktext)


def test_nothing_stored_yet_keeps_its_label_and_has_no_bar() -> None:
    bar = bytes_chart([Amount("Database", 0, "stored")]).data[0]
    assert (bar.y, bar.x, bar.text) == (("Database",), (None,), ("0 B",))


def test_no_amounts_give_an_empty_figure() -> None:
    assert len(bytes_chart([]).data) == 0


def test_the_bars_are_legible_on_light_and_dark_pages() -> None:
    layout = bytes_chart(AMOUNTS).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    red, green, blue = (int(layout.font.color[i : i + 2], 16) for i in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert 90 < luminance < 165


def test_kinds_differ_in_colour_and_no_two_kinds_in_colour_alone() -> None:
    assert len({colour for colour, _ in BARS.values()}) == len(BARS)
    labels = [label for bar in bytes_chart(AMOUNTS).data for label in bar.y]
    assert len(set(labels)) == len(labels) == len(AMOUNTS)
