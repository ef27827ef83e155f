"""Draw the figures of Savings: bytes of one document, and what grows with its length or with questions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from app.analysis.savings import Timed
from app.types import SavingsView
from app.ui.figures.style import BLUE, GREEN, LEGEND, PURPLE, SKY, VERMILION, Look, axis, layout, line, reference
from app.ui.format import readable_bytes

Kind = Literal["text", "full", "memory", "stored"]

#: Colour and fill pattern of each kind of bytes.
BARS: dict[Kind, tuple[str, str]] = {
    "text": (PURPLE, ""),
    "full": (VERMILION, "/"),
    "memory": (BLUE, ""),
    "stored": (GREEN, "."),
}
FULL = Look(VERMILION, "solid", "square")
COMPRESS = Look(GREEN, "dash", "diamond")
#: Of memories, from the finest ratio on.
MEMORY = (
    Look(BLUE, "solid", "circle"),
    Look(BLUE, "dash", "circle-open"),
    Look(SKY, "dashdot", "triangle-up"),
    Look(SKY, "dot", "triangle-up-open"),
)
TICKS = 5
MARKERS = 12
#: Layout and axes of the figures with lines.
GROWTH = layout(380, right=20, top=30) | {"legend": LEGEND | {"font": {"size": 12}}}
TICK: dict[str, Any] = {"automargin": True, "ticklabelstandoff": 5}


@dataclass(frozen=True)
class Amount:
    """One bar: its label, its bytes, and what kind of bytes they are."""

    label: str
    nbytes: int
    kind: Kind


def bytes_chart(amounts: Sequence[Amount]) -> go.Figure:
    """Draw bytes as horizontal bars on a logarithmic axis, in the order given from top to bottom.

    Amounts of zero bytes keep their place and label and have no bar.
    """
    figure = go.Figure()
    for kind, (colour, pattern) in BARS.items():
        rows = [amount for amount in amounts if amount.kind == kind]
        if not rows:
            continue
        figure.add_bar(
            name=kind,
            orientation="h",
            y=[row.label for row in rows],
            x=[row.nbytes or None for row in rows],
            text=[readable_bytes(row.nbytes) for row in rows],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "fgcolor": "rgba(255,255,255,0.55)", "size": 6},
            },
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    figure.update_layout(**layout(64 + 38 * max(len(amounts), 1), right=72, bottom=32), showlegend=False, bargap=0.35)
    figure.update_xaxes(**_byte_axis([amount.nbytes for amount in amounts if amount.nbytes]))
    labels = [amount.label for amount in amounts]
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], automargin=True, ticksuffix="  ")
    return figure


def bytes_by_length(view: SavingsView, limit: int) -> go.Figure:
    """Draw bytes of the plain cache and of a memory at every ratio, both in bf16, against tokens of the document.

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
    for name, look, share, end in lines:
        xs = [end * quarter / 4 for quarter in range(5)]
        ys = [x * share * token_bytes for x in xs]
        said = [f"{x:,.0f} tokens: {readable_bytes(y)}" for x, y in zip(xs, ys, strict=True)]
        figure.add_trace(line(name, look, xs, ys, said, cliponaxis=False))
    figure.add_vline(limit, **reference(f"full context ends at {limit:,}", "top right"))
    figure.add_vline(view.tokens, **reference("this document", "top right", shift=-18))
    figure.update_layout(**GROWTH)
    figure.update_xaxes(**axis("tokens of the document", **TICK, range=[0, longest], tickformat=","))
    top = max(max(trace.y) for trace in figure.data)
    step = _step(top)
    ticks = [step * i for i in range(math.ceil(top / step) + 1)]
    figure.update_yaxes(
        **axis(**TICK, tickvals=ticks, ticktext=[readable_bytes(t) for t in ticks], range=[0, top * 1.15])
    )
    return figure


def seconds_by_length(points: Sequence[Timed], ratio: int) -> go.Figure:
    """Draw measured seconds against tokens read: compressing once, and the first token of an answer both ways."""
    figure = go.Figure()
    xs = [point.tokens for point in points]
    for name, look, ys in (
        ("compressing, once", COMPRESS, [point.compress_s for point in points]),
        ("first token, full context", FULL, [point.full_s for point in points]),
        (f"first token, memory {ratio}x", MEMORY[0], [point.memory_s for point in points]),
    ):
        said = [f"{x:,} tokens: {y:.2f} s" for x, y in zip(xs, ys, strict=True)]
        figure.add_trace(line(name, look, xs, ys, said, cliponaxis=False))
    figure.update_layout(**GROWTH)
    figure.update_xaxes(**axis("tokens of the document", **TICK, rangemode="tozero", tickformat=","))
    figure.update_yaxes(**axis("seconds", **TICK, rangemode="tozero"))
    return figure


def seconds_by_questions(point: Timed, ratio: int) -> go.Figure:
    """Draw the seconds of waiting in all against questions asked, with the question that pays compression off."""
    pays = point.pays_after
    most = max(6, 2 * pays if pays else 10)
    figure = go.Figure()
    for name, look, start, each in (
        ("full context, read for every question", FULL, 0.0, point.full_s),
        (f"compressed once, then memory {ratio}x", MEMORY[0], point.compress_s, point.memory_s),
    ):
        xs = range(0, most + 1, math.ceil(most / MARKERS))
        ys = [start + n * each for n in xs]
        said = [f"{n} questions: {y:.1f} s" for n, y in zip(xs, ys, strict=True)]
        figure.add_trace(line(name, look, list(xs), ys, said, cliponaxis=False))
    if pays:
        figure.add_vline(pays, **reference(f"paid for after {pays}", "top right"))
    figure.update_layout(**GROWTH)
    figure.update_xaxes(**axis("questions asked", **TICK, range=[0, most], tickformat="d"))
    figure.update_yaxes(**axis("seconds in all", **TICK, rangemode="tozero"))
    return figure


def _step(top: float) -> float:
    """Find the power of two of bytes that puts at most 5 steps below ``top``."""
    return 2.0 ** math.ceil(math.log2(max(top, 1) / TICKS))


def _byte_axis(values: Sequence[int]) -> dict[str, Any]:
    """Make a logarithmic axis, which has no zero to start from, with ticks at powers of 32 around all values."""
    low, high = (min(values), max(values)) if values else (1, 1)
    # Half of the lowest value: a bar that begins where the axis does would have no length.
    start = max((e for e in range(9) if 2 * 32**e <= low), default=0)
    end = next((e for e in range(start + 1, 9) if 32**e >= high), 9)
    ticks = [32**e for e in range(start, end + 1)]
    # Powers of 1024 alone are named: all names would run into each other on a phone.
    names = [readable_bytes(tick) if round(math.log2(tick)) % 10 == 0 else "" for tick in ticks]
    ends = [math.log10(ticks[0]), math.log10(ticks[-1])]
    return axis(type="log", tickvals=ticks, ticktext=names, tickangle=0, range=ends)
