"""The Lab's evaluations: a task on a few rows of the data that come with the project, with progress and Stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app import render
from app.evaluating import TASKS, USUAL, Result, readers
from app.tabs.common import RATIOS, Stops
from app.tabs.stopping import stop_button, stoppable
from app.views import Cancelled
from app.workbench import Workbench
from ccf_core.evaluation.report import markdown


def render_evaluation(workbench: Workbench, runs: gr.HTML, table: Callable[[], str]) -> None:
    """``runs`` shows ``table()``, anew when an evaluation has ended."""
    first = next(iter(TASKS))
    with gr.Accordion("Run an evaluation", open=False, elem_id="evaluation"):
        about = gr.Markdown(TASKS[first].ABOUT, elem_id="evaluation-about")
        with gr.Row():
            task = gr.Dropdown(list(TASKS), value=first, label="Evaluation", elem_id="evaluation-task")
            limit = gr.Number(
                10, label="Rows at most", info="segments of each kind, questions, documents of each length",
                minimum=1, precision=0, elem_id="evaluation-limit",
            )  # fmt: skip
            ratios = gr.CheckboxGroup(RATIOS, value=[4, 8], label="Ratios", elem_id="evaluation-ratios")
        reader = gr.CheckboxGroup(
            readers(first), value=_usual(first), label="Readers", elem_id="evaluation-readers",
            info="Those named base_… are the untouched base. Few rows give wide intervals.",
        )  # fmt: skip
        with gr.Row():
            start = gr.Button("Run it", size="sm", variant="primary", scale=0, elem_id="evaluation-start")
            stop = stop_button("evaluation-stop")
        progress = gr.HTML(elem_id="evaluation-progress")
        result = gr.Markdown(elem_id="evaluation-result", elem_classes="wb-scroll wb-report")

    def choose(task: str) -> tuple[Any, ...]:
        return TASKS[task].ABOUT, gr.CheckboxGroup(readers(task), value=_usual(task))

    def show(step: str | Result) -> tuple[Any, ...]:
        if isinstance(step, str):
            bar = '<progress aria-label="Evaluating"></progress>'
            return f'<p class="wb-note" role="status">{render.escape(step)} {bar}</p>', "", gr.skip()
        # What is measured stands above already.
        return "", markdown(step).split("\n\n", 1)[1], table()

    def evaluate(task: str, limit: int, ratios: list[int], reader: list[str], request: gr.Request) -> Iterator[Any]:
        def work(cancelled: Cancelled) -> Iterator[str | Result]:
            return workbench.evaluate(task, int(limit or 0), sorted(ratios), reader, cancelled)

        ended = "", gr.skip(), gr.skip(), gr.skip()
        try:
            yield from stoppable(stops, request, work, show, 3)
        except gr.Error:
            yield ended
            raise
        yield ended

    stops = Stops()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    task.change(choose, task, [about, reader], **quiet)
    outputs = [progress, result, runs, stop]
    start.click(evaluate, [task, limit, ratios, reader], outputs, concurrency_limit=8, **quiet)
    stop.click(stops.press, queue=False, **quiet)


def _usual(task: str) -> list[str]:
    return [reader for reader in readers(task) if reader in USUAL]
