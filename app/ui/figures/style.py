"""Give all figures one look: numbers in, plotly objects out. Nothing here knows documents, databases or Gradio.

Backgrounds are transparent and text is mid-grey, so that one figure is legible on light and on dark pages.
Colours are Okabe and Ito's, which colour-blind readers can tell apart; a dash, marker or pattern repeats each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
INK = "#7A848C"
GRID = "rgba(122, 132, 140, 0.25)"
CLEAR = "rgba(0,0,0,0)"
FONT = "IBM Plex Sans, system-ui, sans-serif"
#: A figure is saved by buttons that the keyboard reaches, too: app/ui/saving.py.
MODEBAR = {"remove": ["toImage", "select2d", "lasso2d"], "bgcolor": CLEAR, "color": INK, "activecolor": INK}
#: Under the figure, as wide as it.
LEGEND = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "bgcolor": CLEAR}


class Look(NamedTuple):
    """How a line is drawn: colour, dash, and the symbol of its points."""

    colour: str
    dash: str
    symbol: str


def layout(height: int, left: int = 8, right: int = 8, top: int = 8, bottom: int = 8) -> dict[str, Any]:
    """Lay out a figure ``height`` pixels high, with these margins in pixels."""
    return {
        "height": height,
        "margin": {"l": left, "r": right, "t": top, "b": bottom},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": 13, "color": INK},
        "dragmode": False,
        "modebar": MODEBAR,
    }


def axis(title: str = "", grid: bool = True, **more: Any) -> dict[str, Any]:
    """Make an axis that a reader cannot zoom, with a title if there is one; ``more`` goes to plotly as it is."""
    named = {"title": {"text": title, "font": {"size": 13}, "standoff": 8}} if title else {}
    lines = {"gridcolor": GRID} if grid else {"showgrid": False}
    return {"zeroline": False, "fixedrange": True} | lines | named | more


def line(
    name: str, look: Look, xs: Sequence[float], ys: Sequence[float], hover: Sequence[str], **more: Any
) -> go.Scatter:
    """Draw a line with a marker at each point; ``hover`` says each point's values after the line's name."""
    return go.Scatter(
        name=name, x=xs, y=ys, text=hover, mode="lines+markers",
        hovertemplate="%{fullData.name}, %{text}<extra></extra>",
        line={"color": look.colour, "dash": look.dash, "width": 2},
        marker={"color": look.colour, "symbol": look.symbol, "size": 13 if look.symbol == "star" else 8},
        **more,
    )  # fmt: skip


def reference(text: str, position: str, shift: int = 0) -> dict[str, Any]:
    """Style a line that marks one value, for ``add_hline`` and ``add_vline``; ``shift`` moves its name up by pixels."""
    return {
        "line": {"color": INK, "width": 1.5, "dash": "dash"},
        "annotation": {"text": text, "font": {"size": 12, "color": INK}, "yshift": shift},
        "annotation_position": position,
    }
