"""Figures of Savings that grow with the length of a document or with questions: numbers in, plotly figures out.

Colour (Okabe and Ito), dash and marker repeat each other; texts are legible on light and on dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from app.plots import FONT, GRID, INK, MODEBAR, readable_bytes
from app.timing import Timed
from app.views import Savings

#: Colour, dash and marker of full context, of compressing, and of memories from the finest ratio on.
FULL = ("#D55E00", "solid", "square")
COMPRESS = ("#009E73", "dash", "diamond")
MEMORY = (
    ("#0072B2", "solid", "circle"),
    ("#0072B2", "dash", "circle-open"),
    ("#56B4E9", "dashdot", "triangle-up"),
    ("#56B4E9", "dot", "triangle-up-open"),
)
TICKS = 5
MARKERS = 12


def bytes_by_length(view: Savings, limit: int) -> go.Figure:
    """Bytes of the plain cache and of a memory at every ratio, both in bf16, against tokens of the document.

    Lines are bytes a token times tokens; the upright line is the document of ``view``. The plain cache ends at
    ``limit`` tokens, beyond which the base model cannot read a text in full.
    """
    token_bytes = view.full_kv_bytes / view.tokens
    longest = 2 * max(limit, view.tokens)
    figure = go.Figure()
    lines = [("full context", FULL, 1.0, limit)]
    lines += [
        (f"memory {r.ratio}x", MEMORY[i % len(MEMORY)], r.slots / view.tokens, longest)
        for i, r in enumerate(view.ratios)
    ]
    for name, style, share, end in lines:
        xs = [end * quarter / 4 for quarter in range(5)]
        ys = [x * share * token_bytes for x in xs]
        said = [f"{x:,.0f} tokens: {readable_bytes(y)}" for x, y in zip(xs, ys, strict=True)]
        figure.add_trace(_line(name, style, xs, ys, said))
    _mark(figure, limit, f"full context ends at {limit:,}")
    _mark(figure, view.tokens, "this document", line=1)
    figure.update_layout(**_layout())
    figure.update_xaxes(**_axis("tokens of the document", range=[0, longest], tickformat=","))
    top = max(max(trace.y) for trace in figure.data)
    step = _step(top)
    ticks = [step * i for i in range(math.ceil(top / step) + 1)]
    figure.update_yaxes(**_axis("", tickvals=ticks, ticktext=[readable_bytes(t) for t in ticks], range=[0, top * 1.15]))
    return figure


def seconds_by_length(points: Sequence[Timed], ratio: int) -> go.Figure:
    """Measured seconds against tokens read: compressing once, and the first token of an answer both ways."""
    figure = go.Figure()
    xs = [point.tokens for point in points]
    for name, style, ys in (
        ("compressing, once", COMPRESS, [point.compress_s for point in points]),
        ("first token, full context", FULL, [point.full_s for point in points]),
        (f"first token, memory {ratio}x", MEMORY[0], [point.memory_s for point in points]),
    ):
        said = [f"{x:,} tokens: {y:.2f} s" for x, y in zip(xs, ys, strict=True)]
        figure.add_trace(_line(name, style, xs, ys, said))
    figure.update_layout(**_layout())
    figure.update_xaxes(**_axis("tokens of the document", rangemode="tozero", tickformat=","))
    figure.update_yaxes(**_axis("seconds", rangemode="tozero"))
    return figure


def seconds_by_questions(point: Timed, ratio: int) -> go.Figure:
    """Seconds of waiting in all against the number of questions, with the question after which compression has paid."""
    pays = point.pays_after
    most = max(6, 2 * pays if pays else 10)
    figure = go.Figure()
    for name, style, start, each in (
        ("full context, read for every question", FULL, 0.0, point.full_s),
        (f"compressed once, then memory {ratio}x", MEMORY[0], point.compress_s, point.memory_s),
    ):
        xs = range(0, most + 1, math.ceil(most / MARKERS))
        ys = [start + n * each for n in xs]
        said = [f"{n} questions: {y:.1f} s" for n, y in zip(xs, ys, strict=True)]
        figure.add_trace(_line(name, style, list(xs), ys, said))
    if pays:
        _mark(figure, pays, f"paid for after {pays}")
    figure.update_layout(**_layout())
    figure.update_xaxes(**_axis("questions asked", range=[0, most], tickformat="d"))
    figure.update_yaxes(**_axis("seconds in all", rangemode="tozero"))
    return figure


def _line(
    name: str,
    style: tuple[str, str, str],
    xs: Sequence[float],
    ys: Sequence[float],
    said: Sequence[str],
) -> go.Scatter:
    colour, dash, symbol = style
    return go.Scatter(
        name=name, x=xs, y=ys, mode="lines+markers", text=said, line={"color": colour, "dash": dash, "width": 2},
        hovertemplate="%{fullData.name}, %{text}<extra></extra>", cliponaxis=False,
        marker={"color": colour, "symbol": symbol, "size": 8, "line": {"color": colour, "width": 1.5}},
    )  # fmt: skip


def _mark(figure: go.Figure, x: float, text: str, line: int = 0) -> None:
    """An upright line, named beside its top; ``line`` counts lines of text that the name is moved down."""
    figure.add_vline(
        x=x, line={"color": INK, "width": 1.5, "dash": "dash"}, annotation_position="top right",
        annotation={"text": text, "font": {"size": 12, "color": INK}, "yshift": -18 * line},
    )  # fmt: skip


def _step(top: float) -> float:
    """A power of two of bytes that puts at most 5 steps below ``top``."""
    return 2.0 ** math.ceil(math.log2(max(top, 1) / TICKS))


def _axis(title: str, **more: object) -> dict[str, object]:
    named = {"title": {"text": title, "font": {"size": 13}, "standoff": 8}} if title else {}
    return (
        {"gridcolor": GRID, "zeroline": False, "fixedrange": True, "automargin": True, "ticklabelstandoff": 5}
        | named
        | more
    )


def _layout() -> dict[str, object]:
    return {
        "height": 380,
        "margin": {"l": 8, "r": 20, "t": 30, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12},
                   "bgcolor": "rgba(0,0,0,0)"},
        "dragmode": False,
        "modebar": MODEBAR,
    }  # fmt: skip
