"""Draw scores against the ratio, and as a heat map, from rows of evaluation results. Reads no files.

A result is an object that ``python -m ccf_core evaluate`` wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go

from app.ui.figures.style import (
    BLUE,
    GREEN,
    LEGEND,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Look,
    axis,
    layout,
    line,
    reference,
)

Result = Mapping[str, Any]
#: (segment, ROUGE-L) of a document's own segments, by ratio.
Own = Mapping[int, Sequence[tuple[int, float]]]

#: Name in the legend and look of each curve.
STYLE: dict[str, tuple[str, Look]] = {
    "memory": ("memory", Look(BLUE, "solid", "circle")),
    "memory-16": ("memory, 16 segments", Look(SKY, "dash", "circle-open")),
    "truncated": ("truncated text", Look(ORANGE, "dash", "square")),
    "repeat_attention": ("pruned: repeat attention", Look(VERMILION, "dot", "diamond")),
    "sink_recent": ("pruned: first and recent", Look(GREEN, "dashdot", "triangle-up")),
    "key_norm": ("pruned: key norm", Look(PURPLE, "longdash", "cross")),
    "random": ("pruned: random", Look("#8C99A2", "dot", "x")),
    "rouge_l-full": ("ROUGE-L, full segments", Look(BLUE, "solid", "circle")),
    "rouge_l-tails": ("ROUGE-L, tails", Look(SKY, "dash", "circle-open")),
    "digit_recall-full": ("digit recall, full segments", Look(VERMILION, "solid", "square")),
    "digit_recall-tails": ("digit recall, tails", Look(ORANGE, "dash", "square-open")),
    "mean_pool": ("mean pooling", Look("#7A5CC7", "dash", "hexagon")),
    "own": ("this document, ROUGE-L", Look(PURPLE, "solid", "star")),
}
#: Cells above this share are so dark that white is read better on them than ink.
DARK_CELL = 0.72
BLUES = [[0.0, "#EAF2F8"], [0.5, "#6AAED6"], [1.0, "#004C7F"]]


class Point(NamedTuple):
    """A measured value at a ratio and its 95% interval."""

    ratio: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """``style`` is a key of ``STYLE``."""

    style: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Level:
    """A value that has no ratio: a horizontal line, named above it or below it."""

    name: str
    value: float
    below: bool = False


def curve(style: str, result: Result | None, metric: str, **where: Any) -> Curve:
    """Make a curve of one metric from the rows of a result that have these values; empty if there are none."""
    rows = [row for row in rows_of(result, **where) if row["ratio"] and metric in row["metrics"]]
    points = (Point(row["ratio"], row["metrics"][metric], *row["ci95"][metric]) for row in rows)
    return Curve(style, tuple(sorted(points)))


def level(name: str, result: Result, metric: str, below: bool = False, **where: Any) -> list[Level]:
    """Make a horizontal line from the one row of a result that has these values; nothing if there is none."""
    return [Level(name, row["metrics"][metric], below) for row in rows_of(result, **where)[:1]]


def ratio_figure(curves: Sequence[Curve], levels: Sequence[Level], own: Own, y_title: str) -> go.Figure:
    """Draw curves over the ratio on a logarithmic axis, with the levels and a document's own points."""
    figure = go.Figure()
    for one in curves:
        if one.points:
            figure.add_trace(_line(one))
    for ratio, scores in own.items():
        figure.add_scatter(
            x=[ratio] * len(scores), y=[score for _, score in scores], mode="markers", showlegend=False,
            text=[f"segment {segment}, {ratio}x: {score:.3f}" for segment, score in scores],
            hovertemplate="%{text}<extra></extra>", name="segments of this document",
            marker={"color": STYLE["own"][1].colour, "symbol": "circle-open", "size": 7, "opacity": 0.75},
        )  # fmt: skip
    if means := [(ratio, fmean(score for _, score in scores)) for ratio, scores in own.items() if scores]:
        points = tuple(Point(ratio, mean, mean, mean) for ratio, mean in means)
        figure.add_trace(_line(Curve("own", points), bars=False))
    ratios = sorted(
        {p.ratio for one in curves for p in one.points} | {ratio for ratio, scores in own.items() if scores}
    )
    for mark in levels:
        text = f"{mark.name} {round(mark.value, 3):g}"
        figure.add_hline(mark.value, **reference(text, "bottom right" if mark.below else "top right"))
    figure.update_layout(**layout(400, right=12, top=12), legend=LEGEND)
    names = [f"{ratio}x" for ratio in ratios]
    figure.update_xaxes(**axis("text tokens for each slot", type="log", tickvals=ratios, ticktext=names))
    heights = [height for one in curves for p in one.points for height in (p.low, p.value, p.high)]
    heights += [mark.value for mark in levels] + [score for scores in own.values() for _, score in scores]
    figure.update_yaxes(**axis(y_title, range=_padded(heights), automargin=True))
    return figure


def heat_map(
    columns: Sequence[str], rows: Sequence[str], shares: Sequence[Sequence[float | None]], x: str
) -> go.Figure:
    """Draw shares of 0 to 1 as cells, each with its number; the first row is the topmost."""
    figure = go.Figure(
        go.Heatmap(
            x=columns, y=rows, z=shares, zmin=0, zmax=1, colorscale=BLUES, xgap=2, ygap=2, showscale=False,
            hovertemplate="%{y}, %{x}: %{z:.0%}<extra></extra>",
        )
    )  # fmt: skip
    for row, cells in zip(rows, shares, strict=True):
        for column, share in zip(columns, cells, strict=True):
            if share is not None:
                ink = "#FFFFFF" if share > DARK_CELL else "#0B1620"
                figure.add_annotation(x=column, y=row, text=f"{share:.0%}", showarrow=False, font={"color": ink})
    figure.update_layout(**layout(90 + 44 * len(rows), right=12, top=12))
    figure.update_xaxes(**axis(x, grid=False, type="category"))
    figure.update_yaxes(**axis(grid=False, autorange="reversed", automargin=True, ticksuffix="  "))
    return figure


def rows_of(result: Result | None, **where: Any) -> list[Result]:
    """Find the rows of a result that have these values."""
    rows = result["rows"] if result else []
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def _line(one: Curve, bars: bool = True) -> go.Scatter:
    name, look = STYLE[one.style]
    said = [f"{p.ratio}x: {p.value:.3f}" + (f" (95%: {p.low:.3f} to {p.high:.3f})" if bars else "") for p in one.points]
    intervals = {
        "type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "visible": bars,
        "array": [p.high - p.value for p in one.points], "arrayminus": [p.value - p.low for p in one.points],
    }  # fmt: skip
    return line(name, look, [p.ratio for p in one.points], [p.value for p in one.points], said, error_y=intervals)


def _padded(values: Sequence[float]) -> list[float] | None:
    """Find the ends of an axis with space for the names of the lowest and the highest level; None for no values."""
    if not values:
        return None
    margin = 0.1 * (max(values) - min(values) or 1.0)
    return [min(values) - margin, max(values) + margin]
