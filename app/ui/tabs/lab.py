"""Show the measured rate-distortion curves of the adapter, a document of one's own on the same axes, and runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from app.ui.cancel import StopButton, relay
from app.ui.figures import export
from app.ui.figures.lab import charts
from app.ui.figures.rate_curves import Own
from app.ui.html import lab as html
from app.ui.html.elements import note, notice
from app.ui.saving import save_on_click
from app.ui.tabs.lab_evaluation import render_evaluation
from app.ui.tabs.library import Library
from app.ui.widgets import MENDABLE, QUIET, QUIET_WORK, one_document
from app.workbench import Workbench
from ccf_core import Cancelled

KEYS = ("reconstruction", "questions", "long", "gain", "needle", "evidence")


def render_lab(workbench: Workbench, library: Library, tab: gr.Tab) -> None:
    own = gr.State(None)  # what was measured of the document chosen, on this page
    introduction = gr.HTML(elem_id="lab-introduction")
    save = gr.Button("Save all figures", size="sm", elem_id="lab-save", scale=0, min_width=150)
    shown: list[Any] = []

    def place(key: str) -> None:
        with gr.Column(elem_classes="lab-chart", min_width=300):
            shown.extend(
                [
                    gr.HTML(elem_id=f"lab-{key}-title"),
                    gr.Plot(show_label=False, label=f"Lab {key}", visible=False, elem_id=f"lab-{key}"),
                    gr.HTML(elem_id=f"lab-{key}-definition"),
                ]
            )

    place(KEYS[0])
    with gr.Row(elem_id="lab-own"):
        document = gr.Dropdown(label="A document of yours on these axes", choices=[], elem_id="lab-document", scale=3)
        measure = gr.Button("Measure it", elem_id="lab-measure", scale=1)
        stop = StopButton("lab-cancel", size="lg", scale=1, min_width=None)
    gr.HTML(
        '<p class="wb-note">Up to 8 evenly spaced segments are decoded from their memory at every ratio, greedily; the '
        "small circles are segments, the star is their mean.</p>"
    )
    progress = gr.HTML(elem_id="lab-progress")
    with gr.Row(elem_id="lab-charts", elem_classes="chart-grid"):
        for key in KEYS[1:]:
            place(key)
    runs = gr.HTML(elem_id="lab-runs", render=False)

    def drawn(own: Own | None = None, only: str = "") -> list[Any]:
        made = charts(workbench.results.shipped(), own, workbench.results.pooled())
        values: list[Any] = []
        for key in [only] if only else KEYS:
            chart = made.get(key)
            values += (
                [html.heading(chart), gr.Plot(chart.figure, visible=True), html.definition(chart)]
                if chart
                else ["", gr.Plot(None, visible=False), ""]
            )
        return values

    def table() -> str:
        return html.runs(
            [(run, workbench.results.title(run)) for run in workbench.results.runs()], workbench.results.shipped()
        )

    render_evaluation(workbench, tab, runs, table)
    gr.HTML('<h3 class="lab-title">Runs</h3>')
    runs.render()

    def show(scores: Own | None) -> list[Any]:
        adapter = workbench.model.info()["adapter"] or ""
        return [html.introduction(adapter, len(workbench.results.shipped())), *drawn(scores), table()]

    def forget() -> list[Any]:
        return [*drawn(None, KEYS[0]), "", None]

    def measure_one(sha: str | None, request: gr.Request) -> Iterator[list[Any]]:
        switch = stop.begin(request)
        unchanged = [gr.skip()] * 3
        waiting = note("Waiting for the model", status=True)
        yield [*unchanged, waiting, gr.skip(), gr.Button(visible=True), gr.skip()]
        try:
            title = workbench.library.document(sha).title if sha else ""
            for step in relay(workbench.results.measure(sha, switch.is_set), switch):
                yield [
                    *drawn(step.scores, KEYS[0]),
                    html.progress(title, step),
                    step.scores,
                    gr.skip(),
                    gr.skip(),
                ]
            yield [*unchanged, gr.skip(), gr.skip(), gr.Button(visible=False), table()]
        except Cancelled as stopped:
            yield [*unchanged, notice("info", str(stopped)), gr.skip(), gr.Button(visible=False), gr.skip()]
        except MENDABLE as error:
            yield [*unchanged, notice("error", str(error)), gr.skip(), gr.Button(visible=False), gr.skip()]

    def written(scores: Own | None) -> tuple[str, str]:
        info = workbench.model.info()
        made = charts(workbench.results.shipped(), scores)
        facts = f"Adapter {info['adapter']}, base {info['base']}."
        return "lab.html", export.page("CCF Workbench: measured curves", facts, [*made.values()]) if made else ""

    changes = [library.picked.change, library.changed.change]
    gr.on(changes, partial(one_document, workbench), [library.picked, document], document, **QUIET)
    gr.on([tab.select, library.changed.change], show, own, [introduction, *shown, runs], **QUIET)
    document.change(forget, None, [*shown[:3], progress, own], **QUIET)
    measure.click(measure_one, document, [*shown[:3], progress, own, stop.button, runs], **QUIET_WORK)
    save_on_click(save, written, [own])
