"""Figures: numbers in, plotly figures out. Knows nothing of documents, databases or Gradio.

Backgrounds are transparent and text is mid-grey, so that one figure is legible on light and on dark pages.
Colours are Okabe and Ito's, which colour-blind readers can tell apart; pattern and label repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

Kind = Literal["text", "full", "memory", "stored"]

#: Colour (Okabe and Ito) and fill pattern of each kind of bytes.
STYLE: dict[Kind, tuple[str, str]] = {
    "text": ("#CC79A7", ""),
    "full": ("#D55E00", "/"),
    "memory": ("#0072B2", ""),
    "stored": ("#009E73", "."),
}
INK = "#7A848C"
GRID = "rgba(122, 132, 140, 0.25)"
#: A figure is saved by buttons that the keyboard reaches, too: app/tabs/figures.py.
MODEBAR = {"remove": ["toImage", "select2d", "lasso2d"], "bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": INK}
FONT = "IBM Plex Sans, system-ui, sans-serif"


@dataclass(frozen=True)
class Amount:
    """One bar: what it is called, how many bytes, and what kind of bytes they are."""

    label: str
    nbytes: int
    kind: Kind


def readable_bytes(nbytes: float) -> str:
    """Bytes in binary units with three figures: ``0 B``, ``512 B``, ``22.5 KiB``, ``1.21 MiB``."""
    value, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 999.5:
            break
        value, unit = value / 1024, larger
    if unit == "B" or value >= 99.95:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}" if value >= 9.995 else f"{value:.2f} {unit}"


def bytes_chart(amounts: Sequence[Amount]) -> go.Figure:
    """Horizontal bars of bytes on a logarithmic axis, in the order given from top to bottom.

    Amounts of zero bytes keep their place and label and have no bar.
    """
    figure = go.Figure()
    for kind, (colour, pattern) in STYLE.items():
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
    figure.update_layout(**_layout(height=64 + 38 * max(len(amounts), 1)), showlegend=False, bargap=0.35)
    figure.update_xaxes(type="log", **_byte_axis([amount.nbytes for amount in amounts if amount.nbytes]))
    labels = [amount.label for amount in amounts]
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], automargin=True, ticksuffix="  ")
    return figure


def _layout(height: int) -> dict[str, object]:
    return {
        "height": height,
        "margin": {"l": 8, "r": 72, "t": 8, "b": 32},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": INK},
        "dragmode": False,
        "modebar": MODEBAR,
    }


def _byte_axis(values: Sequence[int]) -> dict[str, object]:
    """Ticks at powers of 32 bytes, wide enough to hold every value (a log axis has no zero to start from)."""
    low, high = (min(values), max(values)) if values else (1, 1)
    # Half of the lowest value: a bar that begins where the axis does would have no length.
    start = max((e for e in range(9) if 2 * 32**e <= low), default=0)
    end = next((e for e in range(start + 1, 9) if 32**e >= high), 9)
    ticks = [32**e for e in range(start, end + 1)]
    return {
        "tickvals": ticks,
        # Powers of 1024 alone are named: all names would run into each other on a phone.
        "ticktext": [readable_bytes(tick) if round(math.log2(tick)) % 10 == 0 else "" for tick in ticks],
        "tickangle": 0,
        "range": [math.log10(ticks[0]), math.log10(ticks[-1])],
        "gridcolor": GRID,
        "zeroline": False,
        "fixedrange": True,
    }
