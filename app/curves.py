"""Curves over the ratio, and a heat map: rows of evaluation results in, plotly figures out. Reads no files.

A result is an object that ``python -m ccf_core evaluate`` wrote. Colours are Okabe and Ito's; a marker and a dash of
its own repeat each, and texts stay legible on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go

from app.plots import FONT, GRID, INK, MODEBAR

Result = Mapping[str, Any]
#: (segment, ROUGE-L) of a document's own segments, by ratio.
Own = Mapping[int, Sequence[tuple[int, float]]]

#: Name in the legend, colour, marker and dash of each curve.
STYLE: dict[str, tuple[str, str, str, str]] = {
    "memory": ("memory", "#0072B2", "circle", "solid"),
    "memory-16": ("memory, 16 segments", "#56B4E9", "circle-open", "dash"),
    "truncated": ("truncated text", "#E69F00", "square", "dash"),
    "repeat_attention": ("pruned: repeat attention", "#D55E00", "diamond", "dot"),
    "sink_recent": ("pruned: first and recent", "#009E73", "triangle-up", "dashdot"),
    "key_norm": ("pruned: key norm", "#CC79A7", "cross", "longdash"),
    "random": ("pruned: random", "#8C99A2", "x", "dot"),
    "rouge_l-full": ("ROUGE-L, full segments", "#0072B2", "circle", "solid"),
    "rouge_l-tails": ("ROUGE-L, tails", "#56B4E9", "circle-open", "dash"),
    "digit_recall-full": ("digit recall, full segments", "#D55E00", "square", "solid"),
    "digit_recall-tails": ("digit recall, tails", "#E69F00", "square-open", "dash"),
    "mean_pool": ("mean pooling", "#7A5CC7", "hexagon", "dash"),
    "own": ("this document, ROUGE-L", "#CC79A7", "star", "solid"),
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
    """The rows of a result that have these values, as a curve of one metric; empty if there are none."""
    rows = [row for row in rows_of(result, **where) if row["ratio"] and metric in row["metrics"]]
    points = (Point(row["ratio"], row["metrics"][metric], *row["ci95"][metric]) for row in rows)
    return Curve(style, tuple(sorted(points)))


def level(name: str, result: Result, metric: str, below: bool = False, **where: Any) -> list[Level]:
    """The one row of a result that has these values, as a horizontal line; nothing if there is none."""
    return [Level(name, row["metrics"][metric], below) for row in rows_of(result, **where)[:1]]


def ratio_figure(curves: Sequence[Curve], levels: Sequence[Level], own: Own, y_title: str) -> go.Figure:
    """Curves over the ratio on a logarithmic axis, with the levels and a document's own points."""
    figure = go.Figure()
    for one in curves:
        if one.points:
            figure.add_trace(_line(one))
    for ratio, scores in own.items():
        figure.add_scatter(
            x=[ratio] * len(scores), y=[score for _, score in scores], mode="markers", showlegend=False,
            text=[f"segment {segment}, {ratio}x: {score:.3f}" for segment, score in scores],
            hovertemplate="%{text}<extra></extra>", name="segments of this document",
            marker={"color": STYLE["own"][1], "symbol": "circle-open", "size": 7, "opacity": 0.75},
        )  # fmt: skip
    if means := [(ratio, fmean(score for _, score in scores)) for ratio, scores in own.items() if scores]:
        points = tuple(Point(ratio, mean, mean, mean) for ratio, mean in means)
        figure.add_trace(_line(Curve("own", points), bars=False))
    ratios = sorted(
        {p.ratio for one in curves for p in one.points} | {ratio for ratio, scores in own.items() if scores}
    )
    for line in levels:
        figure.add_hline(
            y=line.value, line={"color": INK, "width": 1.5, "dash": "dash"},
            annotation={"text": f"{line.name} {round(line.value, 3):g}", "font": {"size": 12, "color": INK}},
            annotation_position=f"{'bottom' if line.below else 'top'} right",
        )  # fmt: skip
    figure.update_layout(**_layout(400))
    figure.update_xaxes(
        type="log", tickvals=ratios, ticktext=[f"{r}x" for r in ratios], title=_title("text tokens for each slot"),
        gridcolor=GRID, zeroline=False, fixedrange=True,
    )  # fmt: skip
    heights = [height for one in curves for p in one.points for height in (p.low, p.value, p.high)]
    heights += [line.value for line in levels] + [score for scores in own.values() for _, score in scores]
    figure.update_yaxes(
        title=_title(y_title), range=_padded(heights), gridcolor=GRID, zeroline=False, fixedrange=True, automargin=True
    )
    return figure


def heat_map(
    columns: Sequence[str], rows: Sequence[str], shares: Sequence[Sequence[float | None]], x: str
) -> go.Figure:
    """Shares of 0 to 1 as cells, each with its number; the first row is the topmost."""
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
    figure.update_layout(**_layout(90 + 44 * len(rows)))
    figure.update_xaxes(title=_title(x), type="category", fixedrange=True, showgrid=False)
    figure.update_yaxes(autorange="reversed", fixedrange=True, showgrid=False, automargin=True, ticksuffix="  ")
    return figure


def rows_of(result: Result | None, **where: Any) -> list[Result]:
    """The rows of a result that have these values."""
    rows = result["rows"] if result else []
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def _line(one: Curve, bars: bool = True) -> go.Scatter:
    name, colour, marker, dash = STYLE[one.style]
    said = [f"{p.value:.3f}" + (f" (95%: {p.low:.3f} to {p.high:.3f})" if bars else "") for p in one.points]
    return go.Scatter(
        name=name, x=[p.ratio for p in one.points], y=[p.value for p in one.points], mode="lines+markers", text=said,
        hovertemplate="%{fullData.name}, %{x}x: %{text}<extra></extra>",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": marker, "size": 13 if marker == "star" else 9},
        error_y={
            "type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "visible": bars,
            "array": [p.high - p.value for p in one.points], "arrayminus": [p.value - p.low for p in one.points],
        },
    )  # fmt: skip


def _padded(values: Sequence[float]) -> list[float] | None:
    """An axis that leaves room for the names of the lowest and the highest level; None for no values."""
    if not values:
        return None
    room = 0.1 * (max(values) - min(values) or 1.0)
    return [min(values) - room, max(values) + room]


def _title(text: str) -> dict[str, object]:
    return {"text": text, "font": {"size": 13}, "standoff": 8}


def _layout(height: int) -> dict[str, object]:
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK},
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "bgcolor": "rgba(0,0,0,0)",
        },
        "dragmode": False,
        "modebar": MODEBAR,
    }
