"""Figures saved as one page."""

from __future__ import annotations

from app.ui.figures import export
from app.ui.figures.lab import Chart
from app.ui.figures.savings import Amount, bytes_chart

EVIL = "<img src=x onerror=alert(1)>"


def test_figures_are_saved_as_one_page_that_needs_nobody() -> None:
    charts = [Chart(EVIL, "first & last", bytes_chart([Amount("Text", 9, "text")])) for _ in range(2)]
    html = export.page("Savings", EVIL, charts)
    assert "<img src=x" not in html and "first &amp; last" in html
    assert html.count("Plotly.newPlot(") >= 2
    assert '<script src="http' not in html and '"modeBarButtons": [["toImage"]]' in html
    assert len(html) < 2 * len(export.page("Savings", "", charts[:1]))
