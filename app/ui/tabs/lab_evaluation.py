"""Run evaluations: a task on a few rows of the data that come with the project, with progress and Stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.analysis.evaluation_runs import TASKS, USUAL, Result, readers
from app.types import CancelCheck
from app.ui.cancel import StopButton, stoppable
from app.ui.html import elements
from app.ui.widgets import QUIET, QUIET_WORK, offered_ratios
from app.workbench import Workbench
from ccf_core.evaluation.report.page import markdown


def render_evaluation(workbench: Workbench, tab: gr.Tab, runs: gr.HTML, table: Callable[[], str]) -> None:
    """Add the evaluation; ``runs`` shows ``table()`` anew when one has ended.

    What a task says of itself is read when ``tab`` is first opened: it needs torch, for which the page does not wait.
    """
    with gr.Accordion("Run an evaluation", open=False, elem_id="evaluation"):
        about = gr.Markdown(elem_id="evaluation-about")
        with gr.Row():
            task = gr.Dropdown(list(TASKS), label="Evaluation", elem_id="evaluation-task")
            limit = gr.Number(
                10, label="Rows at most", info="segments of each kind, questions, documents of each length",
                minimum=1, precision=0, elem_id="evaluation-limit",
            )  # fmt: skip
            ratios = gr.CheckboxGroup(
                offered_ratios(workbench), value=[4, 8], label="Ratios", elem_id="evaluation-ratios"
            )
        reader = gr.CheckboxGroup(
            label="Readers", elem_id="evaluation-readers",
            info="Those named base_… are the untouched base. Few rows give wide intervals.",
        )  # fmt: skip
        with gr.Row():
            start = gr.Button("Run it", size="sm", variant="primary", scale=0, elem_id="evaluation-start")
            stop = StopButton("evaluation-stop")
        progress = gr.HTML(elem_id="evaluation-progress")
        result = gr.Markdown(elem_id="evaluation-result", elem_classes="wb-scroll wb-report")

    def choose(task: str) -> tuple[Any, ...]:
        listed = readers(task)
        return TASKS[task].ABOUT, gr.CheckboxGroup(listed, value=[reader for reader in listed if reader in USUAL])

    def choose_first(task: str, about: str) -> Any:
        return gr.skip() if about else choose(task)

    def show(step: str | Result) -> tuple[Any, ...]:
        if isinstance(step, str):
            return elements.progress(step, "Evaluating"), "", gr.skip()
        # What is measured stands above already.
        return "", markdown(step).split("\n\n", 1)[1], table()

    def evaluate(task: str, limit: int, ratios: list[int], reader: list[str], request: gr.Request) -> Iterator[Any]:
        def work(cancelled: CancelCheck) -> Iterator[str | Result]:
            return workbench.evaluation_runs.run(task, int(limit or 0), sorted(ratios), reader, cancelled)

        ended = "", gr.skip(), gr.skip(), gr.skip()
        try:
            yield from stoppable(stop, request, work, show, 3)
        except gr.Error:
            yield ended
            raise
        yield ended

    tab.select(choose_first, [task, about], [about, reader], **QUIET)
    task.change(choose, task, [about, reader], **QUIET)
    start.click(evaluate, [task, limit, ratios, reader], [progress, result, runs, stop.button], **QUIET_WORK)
