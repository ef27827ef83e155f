"""Figures, read back as XML: every point stands where its numbers say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from ccf_core.evaluation.report import figure
from ccf_core.evaluation.report.figure import Level, Line, Point, svg

NS = "{http://www.w3.org/2000/svg}"
LINES = [
    Line("memory <int8>", [Point(4 * 2**i, v, v - 0.05, v + 0.05) for i, v in enumerate((0.9, 0.8, 0.7, 0.6))]),
    Line("tails & ends", [Point(8, 0.5, 0.4, 0.6), Point(4, 0.6, 0.5, 0.7)]),
]


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    return ElementTree.fromstring(svg("F1 & ratio", "F1", LINES, [Level("full", 0.8), Level("none", 0.1)]))


def of_class(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (element for element in root.iter() if element.get("class") == name)


def scale(root: ElementTree.Element) -> tuple[float, float]:
    """(y of 0, pixels of 1), from the labels of the axis."""
    told = [(float((e.text or "").rstrip("%")) / 100, float(e.get("y", "")) - 4) for e in of_class(root, "y")]
    (low, bottom), (high, top) = min(told), max(told)
    pixels = (top - bottom) / (high - low)
    return bottom - low * pixels, pixels


def test_points_lie_on_the_scale_of_the_axis(root: ElementTree.Element) -> None:
    zero, pixels = scale(root)
    drawn = [line.get("points", "").split() for line in root.iter(f"{NS}polyline")]
    assert [len(points) for points in drawn] == [4, 2]
    for line, points in zip(LINES, drawn, strict=True):
        ordered = sorted(line.points, key=lambda p: p.ratio)
        for point, at in zip(ordered, points, strict=True):
            assert float(at.split(",")[1]) == pytest.approx(zero + pixels * point.value, abs=0.1)


def test_the_axis_of_ratios_is_logarithmic(root: ElementTree.Element) -> None:
    xs = [float(at.split(",")[0]) for at in next(root.iter(f"{NS}polyline")).get("points", "").split()]
    steps = [b - a for a, b in itertools.pairwise(xs)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2)
    assert [element.text for element in of_class(root, "x")] == ["4x", "8x", "16x", "32x"]


def test_intervals_and_levels_are_drawn(root: ElementTree.Element) -> None:
    zero, pixels = scale(root)
    ends = {(e.get("y1"), e.get("y2")) for e in of_class(root, "interval")}
    for point in (p for line in LINES for p in line.points):
        low, high = (zero + pixels * value for value in (point.low, point.high))
        assert any(
            math.isclose(float(a), low, abs_tol=0.1) and math.isclose(float(b), high, abs_tol=0.1) for a, b in ends
        )
    levels = [float(e.get("y1", "")) for e in of_class(root, "level")]
    assert levels == pytest.approx([zero + pixels * value for value in (0.8, 0.1)], abs=0.1)


def test_lines_are_named_and_differ_in_shape_and_colour() -> None:
    many = [Line(f"reader {i}", [Point(4, 0.5, 0.5, 0.5)]) for i in range(8)]
    root = ElementTree.fromstring(svg("t", "y", many))
    names = list(of_class(root, "name"))
    assert {e.findtext(f"{NS}text") for e in names} == {line.name for line in many}
    ys = sorted(float(e.find(f"{NS}text").get("y", "")) for e in names)  # type: ignore[union-attr]
    assert all(b - a > 15 for a, b in itertools.pairwise(ys)) and ys[-1] < figure.HEIGHT
    lines = list(of_class(root, "line"))
    assert len({line.get("stroke") for line in lines}) == 8
    shapes = {tuple(len(sign.get("points", "").split()) for sign in line.iter(f"{NS}polygon")) for line in lines}
    assert len(shapes) >= 5


def test_names_are_escaped_and_nothing_is_painted_behind(root: ElementTree.Element) -> None:
    texts = {e.text for e in root.iter(f"{NS}text")}
    assert {"memory <int8>", "tails & ends", "full", "none", "F1 & ratio"} <= texts
    assert not list(root.iter(f"{NS}rect"))
    assert {e.get("fill") for e in root.iter(f"{NS}text") if e.get("fill")} == {figure.INK}


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a point"):
        svg("t", "y", [], [Level("full", 1.0)])


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_single_value_has_an_axis(value: float) -> None:
    root = ElementTree.fromstring(svg("t", "y", [Line("one", [Point(4, value, value, value)])]))
    assert len(list(of_class(root, "y"))) >= 2
