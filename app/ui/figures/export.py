"""Write figures as one HTML page that needs no network, with each figure's definition under it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from app.ui.figures.lab import Chart

#: Over every figure a camera that saves it as PNG, and no button that sends it anywhere.
CONFIG = {"modeBarButtons": [["toImage"]], "displayModeBar": True, "displaylogo": False, "responsive": True}
STYLE = (
    ":root { color-scheme: light dark } body { font: 16px/1.5 'IBM Plex Sans', system-ui, sans-serif; "
    "max-width: 60rem; margin: 2rem auto; padding: 0 1rem } h2 { margin-top: 3rem } p { max-width: 75ch }"
)


def page(title: str, facts: str, charts: Sequence[Chart]) -> str:
    """Make a whole HTML document; ``facts`` says what was measured with what. Plotly's script is in it, once."""
    parts = []
    for number, chart in enumerate(charts):
        figure = chart.figure.to_html(full_html=False, include_plotlyjs=number == 0, config=CONFIG)
        parts.append(f"<h2>{html.escape(chart.title)}</h2>{figure}<p>{html.escape(chart.definition)}</p>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1><p>{html.escape(facts)}</p>{''.join(parts)}</body></html>\n"
    )
