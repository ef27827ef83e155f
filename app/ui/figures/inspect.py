"""Draw what memories hold: attention, levels, slot map. Knows nothing of databases or Gradio.

Words come from users' files and are escaped here, for plotly reads markup in what it shows on hover.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from app.ui.figures.style import BLUE, GREEN, GRID, ORANGE, PURPLE, SKY, VERMILION, axis, layout
from app.ui.html.escape import escape

if TYPE_CHECKING:
    from app.analysis.attention import AttentionView, MapView, SlotView

#: Colour and marker of a level: the coarsest first, whatever the ratios are called.
LEVEL_STYLE = (
    (VERMILION, "square"),
    (BLUE, "circle"),
    (GREEN, "diamond"),
    (PURPLE, "triangle-up"),
    (ORANGE, "cross"),
    (SKY, "x"),
)
#: Most columns of a heat map; more words are joined, neighbours with neighbours.
MAX_COLUMNS = 256
_HOVER_WORDS = 60


def heat_map(view: AttentionView) -> go.Figure:
    """Draw the attention of every slot (row, coarse to fine) to every word (column) of its segment.

    The colours end at the 99th percentile outside the first column, where the sink is: the few largest weights would
    darken all the rest. The hover has every weight as it is.
    """
    words, weights = binned(view.words, view.weights)
    z = np.array(weights)
    labels = np.array([_short(word) for word in words])
    figure = go.Figure(
        go.Heatmap(
            z=z.round(5),
            text=np.broadcast_to(labels, z.shape),
            y=[f"slot {s.number} (level {s.level}x, ends at token {s.end})" for s in view.slots],
            zmin=0,
            zmax=float(np.quantile(z[:, 1:] if len(words) > 1 else z, 0.99)) or 1,
            colorscale="Viridis",
            hovertemplate="“%{text}”: %{z:.1%} of the attention of %{y}<extra></extra>",
            colorbar={"thickness": 10, "tickformat": ".0%", "outlinewidth": 0, "title": "attention"},
        )
    )
    # One tick in the middle of each level's rows.
    rows: dict[int, list[int]] = {}
    for at, slot in enumerate(view.slots):
        rows.setdefault(slot.level, []).append(at)
    name = f"attention-segment-{view.segment}-{view.ratio}x"
    figure.update_layout(**layout(120 + 6 * max(len(weights), 12)), meta={"name": name})
    figure.update_xaxes(**axis("words of the segment, in order", grid=False, showticklabels=False))
    middles = [(own[0] + own[-1]) / 2 for own in rows.values()]
    names = [f"{level}x" for level in rows]
    figure.update_yaxes(**axis("slots, by level", grid=False, autorange="reversed", tickvals=middles, ticktext=names))
    for own in list(rows.values())[1:]:
        figure.add_hline(y=own[0] - 0.5, line={"color": "rgba(255, 255, 255, 0.7)", "width": 1})
    return figure


def binned(
    words: Sequence[str], weights: Sequence[Sequence[float]], most: int = MAX_COLUMNS
) -> tuple[list[str], list[list[float]]]:
    """Join neighbouring words, and add their weights, until there are at most ``most`` columns."""
    count = min(len(words), most)
    cuts = [len(words) * i // count for i in range(count + 1)]
    runs = list(zip(cuts, cuts[1:], strict=False))  # noqa: RUF007
    return ["".join(words[a:b]) for a, b in runs], [[sum(row[a:b]) for a, b in runs] for row in weights]


def pyramid(slots: Sequence[SlotView], tokens: int, ratio: int, view: AttentionView | None = None) -> go.Figure:
    """Draw the slots of a segment, a row for each level, the coarsest on top.

    A bar ends where its slot stands and begins after the slot before it of the same or a coarser level: the bars of
    level ``ratio`` and above tile the segment. ``view`` adds to the hover the words that a slot looks at most.
    """
    levels = sorted({slot.level for slot in slots}, reverse=True)
    figure = go.Figure()
    for level, (colour, _) in zip(levels, LEVEL_STYLE, strict=False):
        own = [slot for slot in slots if slot.level == level]
        starts = [max((s.end for s in slots if s.level >= level and s.end < slot.end), default=0) for slot in own]
        figure.add_bar(
            name=f"{level}x",
            orientation="h",
            y=[f"{level}x"] * len(own),
            base=starts,
            x=[slot.end - start for slot, start in zip(own, starts, strict=True)],
            customdata=[[slot.number, slot.end, _most_read(view, slot)] for slot in own],
            marker={"color": colour, "line": {"color": "rgba(255, 255, 255, 0.85)", "width": 1}},
            hovertemplate="slot %{customdata[0]}, level %{y}, ends at token %{customdata[1]}%{customdata[2]}"
            "<extra></extra>",
        )
    figure.update_layout(**layout(70 + 34 * len(levels)), meta={"name": f"levels-{ratio}x"})
    figure.update_layout(showlegend=False, barmode="overlay", bargap=0.25)
    step = 32 if tokens <= 512 else 32 * (tokens // 512)
    ticks = [*range(0, tokens - step // 2, step), tokens]
    figure.update_xaxes(**axis("token of the segment", range=[0, tokens], tickvals=ticks))
    names = [f"{level}x" for level in levels[::-1]]
    figure.update_yaxes(**axis(grid=False, categoryorder="array", categoryarray=names, ticksuffix="  "))
    return figure


def slot_scatter(view: MapView, by: str = "level") -> go.Figure:
    """Draw slots as points, coloured ``by`` "level" (colour and shape) or "segment" (viridis over the document)."""
    figure = go.Figure()
    hover = "segment %{customdata[0]}, level %{customdata[1]}x<extra></extra>"
    points = list(zip(view.x, view.y, view.segments, view.levels, strict=True))
    levels = sorted(set(view.levels), reverse=True)
    for level, (colour, symbol) in zip(levels, LEVEL_STYLE, strict=False):
        own = [point for point in points if point[3] == level]
        marker: dict[str, Any] = {"size": 7, "symbol": symbol, "opacity": 0.9, "color": colour}
        if by == "segment":
            marker |= {
                "color": [point[2] for point in own], "colorscale": "Viridis", "cmin": 0,
                "cmax": max(view.segments) or 1, "showscale": level == levels[0],
                "colorbar": {"thickness": 10, "outlinewidth": 0, "title": "segment", "tickformat": "d"},
            }  # fmt: skip
        figure.add_scatter(
            name=f"{level}x", mode="markers", x=[p[0] for p in own], y=[p[1] for p in own],
            customdata=[[p[2], p[3]] for p in own], marker=marker, hovertemplate=hover,
        )  # fmt: skip
    figure.update_layout(**layout(420), meta={"name": f"slot-map-{view.ratio}x-by-{by}"})
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    figure.update_layout(legend=legend, showlegend=len(levels) > 1)
    first, second = view.explained
    zero: dict[str, Any] = {"zeroline": True, "zerolinecolor": GRID, "showticklabels": False}
    figure.update_xaxes(**axis(f"first component ({first:.0%} of the variance)", **zero))
    figure.update_yaxes(**axis(f"second ({second:.0%})", **zero))
    return figure


def _most_read(view: AttentionView | None, slot: SlotView) -> str:
    """Name the three words that a slot looks at most, the sink left out."""
    if view is None or slot.number >= len(view.weights):
        return ""
    row = view.weights[slot.number]
    best = sorted(range(1, len(row)), key=lambda i: -row[i])[:3]
    return "<br>looks most at " + ", ".join(f"“{_short(view.words[i])}”" for i in best) if best else ""


def _short(word: str) -> str:
    word = " ".join(word.split())
    return escape(word if len(word) <= _HOVER_WORDS else word[: _HOVER_WORDS - 1] + "…")
