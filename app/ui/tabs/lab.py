"""Measured rate-distortion curves of the adapter, the runs, and a document of one's own on the same axes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from app import laboratory, render, report
from app.charts import charts
from app.curves import Own
from app.tabs.common import MENDABLE, Stops, one_document, relay
from app.tabs.evaluation import render_evaluation
from app.tabs.library import Library
from app.tabs.saving import save_on_click
from app.workbench import Workbench
from ccf_core import Cancelled as WasCancelled

KEYS = ("reconstruction", "questions", "long", "gain", "needle", "evidence")


def render_lab(workbench: Workbench, library: Library, tab: gr.Tab) -> None:
    stops = Stops()
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
        stop = gr.Button("Stop", visible=False, elem_id="lab-cancel", scale=1)
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
        made = charts(workbench.measuring.results(), own, workbench.measuring.pooled())
        values: list[Any] = []
        for key in [only] if only else KEYS:
            chart = made.get(key)
            values += (
                [laboratory.heading(chart), gr.Plot(chart.figure, visible=True), laboratory.definition(chart)]
                if chart
                else ["", gr.Plot(None, visible=False), ""]
            )
        return values

    def table() -> str:
        measuring = workbench.measuring
        return laboratory.runs([(run, measuring.title(run)) for run in measuring.runs()], measuring.results())

    render_evaluation(workbench, runs, table)
    gr.HTML('<h3 class="lab-title">Runs</h3>')
    runs.render()

    def show(scores: Own | None) -> list[Any]:
        adapter = workbench.info()["adapter"] or ""
        return [laboratory.introduction(adapter, len(workbench.measuring.results())), *drawn(scores), table()]

    def forget() -> list[Any]:
        return [*drawn(None, KEYS[0]), "", None]

    def measure_one(sha: str | None, request: gr.Request) -> Iterator[list[Any]]:
        pressed = stops.begin(request)
        unchanged = [gr.skip()] * 3
        waiting = '<p class="wb-note" role="status">Waiting for the model</p>'
        yield [*unchanged, waiting, gr.skip(), gr.Button(visible=True), gr.skip()]
        try:
            title = workbench.document(sha).title if sha else ""
            for step in relay(workbench.measuring.measure(sha, pressed.is_set), pressed):
                yield [
                    *drawn(step.scores, KEYS[0]),
                    laboratory.progress(title, step),
                    step.scores,
                    gr.skip(),
                    gr.skip(),
                ]
            yield [*unchanged, gr.skip(), gr.skip(), gr.Button(visible=False), table()]
        except WasCancelled as stopped:
            yield [*unchanged, render.notice("info", str(stopped)), gr.skip(), gr.Button(visible=False), gr.skip()]
        except MENDABLE as error:
            yield [*unchanged, render.notice("error", str(error)), gr.skip(), gr.Button(visible=False), gr.skip()]

    def written(scores: Own | None) -> tuple[str, str]:
        info = workbench.info()
        made = charts(workbench.measuring.results(), scores)
        facts = f"Adapter {info['adapter']}, base {info['base']}."
        return "lab.html", report.page("CCF Workbench: measured curves", facts, [*made.values()]) if made else ""

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    changes = [library.picked.change, library.changed.change]
    gr.on(changes, partial(one_document, workbench), [library.picked, document], document, **quiet)
    gr.on([tab.select, library.changed.change], show, own, [introduction, *shown, runs], **quiet)
    document.change(forget, None, [*shown[:3], progress, own], **quiet)
    watched = [*shown[:3], progress, own, stop, runs]
    measure.click(measure_one, document, watched, concurrency_limit=8, **quiet)
    save_on_click(save, written, [own])
    stop.click(stops.press, queue=False, **quiet)
