"""Columns that a PDF draws line by line across the page, and tables that only look alike."""

from __future__ import annotations

import textwrap

import pytest

from app.parsers import read
from tests.app.parsers.hostile import pdf_of
from tests.app.parsers.test_pdf_text import placed

LEFT = (
    "Water was the only power that the valley had, and a wheel of four metres gave what nine horses give, by night as "
    "well as by day. In dry summers the owners took turns, the upper mill on even days and the lower one on odd days."
)
RIGHT = (
    "The turbine that came with the railway ended the turns, for it needs only a fifth of the water, and what it "
    "leaves runs through the fish pass. Still the owners meet each spring at the weir and look at the mark on the wall."
)
THIRD = (
    "Whoever opens a gate writes it down with the hour, for the bridge below the weir was once washed away when two of "
    "them opened at once, and nobody has forgotten who paid for the timber and for the work of the carpenters."
)


def across(*columns: str, width: int, starts: tuple[float, ...], lower: float = 0) -> bytes:
    """A page that draws the first line of each column, then the second of each, and so on."""
    wrapped = [textwrap.wrap(text, width) for text in columns]
    words = [
        (lines[row], starts[i], 700 - 14 * row - lower * i)
        for row in range(max(map(len, wrapped)))
        for i, lines in enumerate(wrapped)
        if row < len(lines)
    ]
    return pdf_of([placed(*words)])


@pytest.mark.parametrize("lower", [0, 3, 6])
@pytest.mark.parametrize("start", [255, 275, 320])
def test_two_columns_are_read_one_after_the_other(start: float, lower: float) -> None:
    data = across(LEFT, RIGHT, width=36, starts=(50, start), lower=lower)
    assert read(data, "x.pdf").text.split("\n") == [LEFT, RIGHT]


def test_three_columns_are_read_one_after_the_other() -> None:
    text = read(across(LEFT, RIGHT, THIRD, width=26, starts=(40, 220, 400)), "x.pdf").text
    assert text.replace("\n", " ") == f"{LEFT} {RIGHT} {THIRD}"


def test_what_crosses_the_gutter_stands_where_it_is() -> None:
    above = "The water of the valley and the people who have lived from it for two hundred years and more"
    below = "Printed in the town hall for everybody who asks for it, free of charge and without a licence"
    rows = list(zip(textwrap.wrap(LEFT, 36), textwrap.wrap(RIGHT, 36), strict=False))
    drawn = [(text, (50, 300)[i], 660 - 14 * row) for row, pair in enumerate(rows) for i, text in enumerate(pair)]
    text = read(pdf_of([placed((above, 50, 700), *drawn, (below, 50, 500))]), "x.pdf").text
    places = [text.index(part) for part in (above, LEFT[:30], "odd days", RIGHT[:30], "look at", below)]
    assert places == sorted(places)


def test_rows_of_a_table_stay_rows() -> None:
    rows = [
        ("Turbine and generator", "bought of the railway company", "1928"),
        ("Gates of larch wood", "made by the carpenter of the valley", "1931"),
        ("Iron for the bridge", "bought of the railway company", "1954"),
        ("Stones for the weir", "broken at the upper quarry", "1955"),
        ("Paint for the gates", "given by the town hall", "1961"),
        ("Lamps along the path", "made by the carpenter of the valley", "1964"),
    ]
    words = [
        (cell, (50, 200, 450)[i], 700 - 14 * row) for row, cells in enumerate(rows) for i, cell in enumerate(cells)
    ]
    assert read(pdf_of([placed(*words)]), "x.pdf").text.split("\n") == [" ".join(row) for row in rows]


def test_labels_and_their_values_stay_together() -> None:
    rows = [(f"item {word} of the list", f"the amount of {i}00 euro") for i, word in enumerate("abcdefgh", 1)]
    words = [(cell, (50, 300)[i], 700 - 14 * row) for row, cells in enumerate(rows) for i, cell in enumerate(cells)]
    assert read(pdf_of([placed(*words)]), "x.pdf").text.split("\n") == [" ".join(row) for row in rows]


def test_a_page_of_gaps_is_read() -> None:
    line = "[" + "(a) -1500 " * 2000 + "] TJ 0 -12 Td "
    text = read(pdf_of([("BT /F1 0.1 Tf 50 700 Td " + line * 10 + "ET").encode()]), "x.pdf").text
    assert text.count("a") == 20_000
