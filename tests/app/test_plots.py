"""The data, the axis and the legibility of the figures."""

from __future__ import annotations

import math

import pytest

from app.plots import STYLE, Amount, bytes_chart, readable_bytes

AMOUNTS = [
    Amount("Text", 41_000, "text"),
    Amount("Full context", 230_000_000, "full"),
    Amount("Memory 4x", 57_600_000, "memory"),
    Amount("Memory 8x", 28_800_000, "memory"),
    Amount("Database", 30_000_000, "stored"),
]


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [(0, "0 B"), (999, "999 B"), (23_040, "22.5 KiB"), (1_268_777, "1.21 MiB"), (150 * 1024**3, "150 GiB")],
)
def test_bytes_are_said_in_three_figures(nbytes: int, said: str) -> None:
    assert readable_bytes(nbytes) == said


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


def test_legible_on_light_and_dark_pages() -> None:
    layout = bytes_chart(AMOUNTS).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    red, green, blue = (int(layout.font.color[i : i + 2], 16) for i in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert 90 < luminance < 165


def test_kinds_differ_in_colour_and_no_two_kinds_in_colour_alone() -> None:
    assert len({colour for colour, _ in STYLE.values()}) == len(STYLE)
    labels = [label for bar in bytes_chart(AMOUNTS).data for label in bar.y]
    assert len(set(labels)) == len(labels) == len(AMOUNTS)
