"""The Lab's figures on results of known numbers, and on the shipped ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.ui.figures.lab import PRUNED, charts
from app.ui.figures.rate_curves import STYLE, Curve, Level, Point, curve, heat_map, level, ratio_figure
from tests.app.ui.results import QA, result, row

RESULTS = Path(__file__).parents[4] / "assets" / "results"


def test_a_curve_has_the_rows_asked_for_by_ratio() -> None:
    found = curve("memory", QA, "f1", reader="memory", source="all")
    assert [(p.ratio, p.value) for p in found.points] == [(4, 0.4), (8, 0.3)]
    assert found.points[0][2:] == pytest.approx((0.3, 0.6))
    assert curve("memory", QA, "em", reader="memory").points == ()
    assert curve("memory", None, "f1").points == ()


def test_a_level_is_a_row_without_ratio() -> None:
    assert level("full", QA, "f1", reader="full", source="all") == [Level("full", 0.5)]
    assert level("none", QA, "f1", reader="none") == []


def test_lines_bars_levels_and_own_points_are_drawn_where_they_belong() -> None:
    line = Curve("memory", (Point(4, 0.8, 0.7, 0.95), Point(8, 0.6, 0.5, 0.65)))
    figure = ratio_figure([line], [Level("full", 0.9)], {4: [(0, 0.5), (7, 0.7)], 8: []}, "F1")
    drawn, *circles, star = figure.data
    assert (drawn.x, drawn.y) == ((4, 8), (0.8, 0.6))
    assert drawn.error_y.array == pytest.approx((0.15, 0.05))
    assert drawn.error_y.arrayminus == pytest.approx((0.1, 0.1))
    assert [point for trace in circles for point in zip(trace.x, trace.y, strict=True)] == [(4, 0.5), (4, 0.7)]
    assert (star.x, star.y) == ((4,), (pytest.approx(0.6),))
    assert figure.layout.shapes[0].y0 == 0.9
    assert figure.layout.annotations[0].text == "full 0.9"
    assert figure.layout.xaxis.ticktext == ("4x", "8x")
    low, high = figure.layout.yaxis.range
    assert low < 0.5 and high > 0.95


def test_every_style_has_colour_marker_and_dash_that_no_other_has_together() -> None:
    assert len({(look.colour, look.symbol) for _, look in STYLE.values()}) >= len(STYLE) - 2
    assert len({name for name, _ in STYLE.values()}) == len(STYLE)


def test_figures_are_transparent() -> None:
    for figure in (ratio_figure([], [], {}, "F1"), heat_map(["1"], ["a"], [[0.5]], "tokens")):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_cells_say_their_share_and_an_empty_one_says_nothing() -> None:
    figure = heat_map(["1,000", "2,000"], ["full", "memory 4x"], [[1.0, None], [0.25, 0.0]], "tokens")
    assert [(a.y, a.x, a.text) for a in figure.layout.annotations] == [
        ("full", "1,000", "100%"), ("memory 4x", "1,000", "25%"), ("memory 4x", "2,000", "0%"),
    ]  # fmt: skip


def test_what_was_not_measured_has_no_figure() -> None:
    assert charts({}) == {}
    assert list(charts({}, {4: [(0, 0.5)]})) == ["reconstruction"]
    assert charts({}, {4: [], 8: []}) == {}
    assert list(charts({"qa": QA})) == ["questions"]


def test_the_shipped_results_make_every_figure(shipped: dict[str, dict]) -> None:
    made = charts(shipped)
    assert list(made) == ["reconstruction", "questions", "long", "gain", "needle", "evidence"]
    assert all(chart.title and "half B" in chart.definition for chart in made.values())
    questions = {trace.name: trace for trace in made["questions"].figure.data}
    assert {STYLE[reader][0] for reader in ("memory", "truncated", *PRUNED)} == set(questions)
    rows = [r for r in shipped["qa"]["rows"] if r["reader"] == "memory" and r["source"] == "all"]
    assert list(questions["memory"].y) == [r["metrics"]["f1"] for r in rows]
    cells = made["needle"].figure.data[0]
    assert (cells.y[0], cells.y[-1]) == ("full context", "no document")
    assert all(0 <= share <= 1 for line in cells.z for share in line)
    levels = [a.text.rsplit(" ", 1)[0] for a in made["evidence"].figure.layout.annotations]
    assert levels == ["BM25", "chance"]


def test_mean_pooling_is_drawn_beside_what_was_measured_alike(shipped: dict[str, dict]) -> None:
    files = (RESULTS / "mean_pool").glob("*.json")
    pooled = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    name, look = STYLE["mean_pool"]
    alone, beside = charts(shipped), charts(shipped, pooled=pooled)
    for key in ("reconstruction", "questions", "gain"):
        (line,) = [trace for trace in beside[key].figure.data if trace.name == name]
        assert (line.x, line.line.dash) == ((4, 8, 16, 32), look.dash)
        assert "serves one ratio" in beside[key].definition
        assert "serves one ratio" not in alone[key].definition
    rows = [r for r in pooled["reconstruct"]["rows"] if r["sample"] == "full"]
    (line,) = [trace for trace in beside["reconstruction"].figure.data if trace.name == name]
    assert list(line.y) == [r["metrics"]["rouge_l"] for r in rows]
    assert beside["long"].definition == alone["long"].definition
    other = {task: result | {"base": {"id": "another"}} for task, result in pooled.items()}
    assert all(name not in [t.name for t in chart.figure.data] for chart in charts(shipped, pooled=other).values())
    assert charts({}, pooled=pooled) == {}


def test_a_baseline_far_below_is_named_instead_of_flattening_the_figure() -> None:
    rows = [row(0.5, "gain_kept", k=4), row(0.4, "gain_kept", k=16)]
    baselines = [row(-2.0, "gain_kept", "random", k=4), row(0.3, "gain_kept", "key_norm", k=4)]
    chart = charts({"perplexity": result("p", *rows), "perplexity-baselines": result("p", *baselines)})["gain"]
    assert STYLE["random"][0] not in [trace.name for trace in chart.figure.data]
    assert STYLE["key_norm"][0] in [trace.name for trace in chart.figure.data]
    assert "random (-2.00)" in chart.definition
