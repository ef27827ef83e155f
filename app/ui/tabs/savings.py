"""Show what a memory costs and saves: bytes held and stored, their growth with length, and measured seconds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from app.analysis.savings import Times
from app.errors import NoDocument
from app.types import SavingsView
from app.ui.cancel import StopButton, stoppable
from app.ui.figures import export
from app.ui.figures import savings as figures
from app.ui.figures.lab import Chart
from app.ui.figures.savings import Amount
from app.ui.html import savings as html
from app.ui.html.elements import note
from app.ui.saving import save_on_click
from app.ui.tabs.library import Library
from app.ui.widgets import QUIET, QUIET_WORK, offered_ratios, one_document, sentences
from app.workbench import Workbench

BYTES, HELD = "Bytes, on a logarithmic axis", "As the decoder holds them on this machine, and as stored."
LENGTHS = "Bytes held, by length of the document"
CLOCK = "Seconds, by length of the document"
PAYBACK = "Seconds of waiting, by questions asked"


def amounts(view: SavingsView, dtype: str | None) -> list[Amount]:
    """List the bars of one document, from its text to what the database holds."""
    held = {"bfloat16": "bf16"}.get(dtype or "", dtype or "")
    return [
        Amount("Text", view.text_bytes, "text"),
        Amount("Full context, bf16", view.full_kv_bytes, "full"),
        *(Amount(f"Memory {r.ratio}x, {held}", r.kv_bytes, "memory") for r in view.ratios),
        Amount(f"Database, {view.stored_dtype}", view.stored_bytes, "stored"),
    ]


def render_savings(workbench: Workbench, library: Library) -> None:
    document = gr.Dropdown(label="Document", choices=[], elem_id="savings-document")
    facts = gr.HTML(elem_id="savings-facts")
    with gr.Row(elem_classes="chart-grid"):
        bars = _chart("savings-plot", BYTES, HELD)
        lengths = _chart("savings-growth", LENGTHS, html.GROWTH)
    table = gr.HTML(elem_id="savings-table")
    gr.HTML('<h3 class="lab-title">Time, measured on this machine</h3>')
    with gr.Row(elem_id="savings-timing"):
        ratio = gr.Radio(
            offered_ratios(workbench), value=8, label="Memory at", elem_id="savings-ratio", scale=0, min_width=330
        )
        start = gr.Button("Measure", variant="primary", elem_id="savings-measure", size="md", scale=0, min_width=150)
        stop = StopButton("savings-stop")
    progress = gr.HTML(elem_id="savings-progress")
    outcome = gr.HTML(elem_id="savings-outcome")
    with gr.Row(elem_classes="chart-grid", visible=False) as clocks:
        curves = _chart("savings-times", CLOCK, html.TIMES)
        payback = _chart("savings-payback", PAYBACK, html.PAYBACK)

    save = gr.Button("Save all figures", size="sm", elem_id="savings-save", scale=0, min_width=150)

    def written(sha: str | None) -> tuple[str, str]:
        if not sha:
            raise NoDocument("There is nothing to save; choose a document.")
        view, times, info = workbench.savings.sizes(sha), workbench.timing.last(sha), workbench.model.info()
        title = workbench.library.document(sha).title
        made = [
            Chart(BYTES, HELD, figures.bytes_chart(amounts(view, info["dtype"]))),
            Chart(LENGTHS, html.GROWTH, figures.bytes_by_length(view, workbench.timing.limit())),
        ]
        if times:
            made.append(Chart(CLOCK, html.TIMES, figures.seconds_by_length(times.points, times.ratio)))
            made.append(Chart(PAYBACK, html.PAYBACK, figures.seconds_by_questions(times.points[-1], times.ratio)))
        facts = f"{title}: {view.tokens:,} tokens. Adapter {info['adapter']}, {info['device']}, {info['dtype']}."
        return "savings.html", export.page("CCF Workbench: savings", facts, made)

    def clocked(times: Times | None, tokens: int) -> tuple[Any, ...]:
        if times is None or not times.points:
            return html.outcome(None, tokens), gr.Row(visible=False), None, None
        return (
            html.outcome(times, tokens),
            gr.Row(visible=True),
            figures.seconds_by_length(times.points, times.ratio),
            figures.seconds_by_questions(times.points[-1], times.ratio),
        )

    def show(sha: str | None) -> tuple[Any, ...]:
        if not sha:
            return note("Choose a document."), None, None, "", "", "", gr.Row(visible=False), None, None
        with sentences():
            view = workbench.savings.sizes(sha)
            timing = workbench.timing
            limit, last = timing.limit(), timing.last(sha)
        dtype = workbench.model.info()["dtype"]
        return (
            html.facts(view, workbench.library.stats().file_bytes),
            figures.bytes_chart(amounts(view, dtype)),
            figures.bytes_by_length(view, limit),
            html.table(view, dtype),
            "",
            *clocked(last, view.tokens),
        )

    def measure(sha: str | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        tokens = workbench.library.document(sha).tokens if sha else 0

        def step(times: Times) -> tuple[Any, ...]:
            ended = bool(times.created_at)
            return ("" if ended else html.progress(times), *clocked(times, tokens or 0))

        yield from stoppable(stop, request, partial(workbench.timing.measure, sha, int(ratio)), step, count=5)

    changes = [library.picked.change, library.changed.change]
    gr.on(changes, partial(one_document, workbench), [library.picked, document], document, **QUIET)
    clock = [outcome, clocks, curves, payback]
    shown = [facts, bars, lengths, table, progress, *clock]
    gr.on([document.change, library.changed.change], show, document, shown, **QUIET)
    measured = start.click(measure, [document, ratio], [progress, *clock, stop.button], **QUIET_WORK)
    measured.then(lambda: "", None, progress, **QUIET)  # one that was stopped leaves its progress behind
    save_on_click(save, written, [document])


def _chart(elem_id: str, title: str, definition: str) -> gr.Plot:
    """Add a figure under its title and over its definition, which the title has on hover, too."""
    with gr.Column(elem_classes="lab-chart", min_width=300):
        gr.HTML(f'<h3 class="lab-title" title="{definition}">{title}</h3>')
        plot = gr.Plot(label=title, show_label=False, elem_id=elem_id)
        gr.HTML(f'<p class="wb-note">{definition}</p>')
    return plot
