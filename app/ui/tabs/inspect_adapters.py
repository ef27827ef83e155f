"""Show another adapter beside the one in use, on the same segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.analysis.adapter_pair import PairView
from app.types import CancelCheck
from app.ui.cancel import StopButton, stoppable
from app.ui.html import inspect as html
from app.ui.tabs.inspect_ablation import Controls
from app.ui.widgets import QUIET, QUIET_WORK
from app.workbench import Workbench

ONE_ALONE = (
    '<p class="wb-note">Only the adapter in use is there. To compare it with another, put that one\'s folder (ccf.json '
    "and adapter-*.safetensors) into <code>adapters</code> of the data folder, and close and open Surgery again.</p>"
)
HOW = (
    '<p class="wb-note">The other adapter is loaded for this alone, compresses the segment, and is gone again; the one '
    "in use and stored memories stay as they are. What is switched off above is switched off in both.</p>"
)


def render_adapter_pair(workbench: Workbench, controls: Controls, result: gr.HTML, changes: list[Any]) -> None:
    """Add the comparison of two adapters; after the events ``changes`` the adapters are looked up again."""
    gr.HTML('<h4 class="wb-label">Two adapters on this segment</h4>')
    note = gr.HTML(ONE_ALONE, elem_id="adapters-note")
    other = gr.Dropdown([], label="Beside the adapter in use", visible=False, elem_id="other-adapter")
    with gr.Row(visible=False) as buttons:
        rebuild = gr.Button("Reconstruct under both adapters", size="sm", elem_id="pair-reconstruct")
        ask = gr.Button("Ask under both adapters", size="sm", elem_id="pair-ask")
        stop = StopButton("stop-pair")

    def available(current: str | None) -> tuple[Any, ...]:
        used = workbench.model.adapter
        others = [(folder.name, str(folder)) for folder in workbench.model.adapters() if folder != used]
        value = current if current in [path for _, path in others] else next((path for _, path in others), None)
        any_other = bool(others)
        choice = gr.Dropdown(others, value=value, visible=any_other)
        return HOW if any_other else ONE_ALONE, choice, gr.Row(visible=any_other)

    def compare(values: dict[Any, Any], asked: bool, request: gr.Request) -> Iterator[Any]:
        parts = controls.read(values, asked)

        def work(cancelled: CancelCheck) -> Iterator[str | PairView]:
            return workbench.adapter_pair.compare(
                parts.sha256, parts.segment, parts.ratio, values[other] or "", parts.cut, parts.question, cancelled
            )

        yield from stoppable(stop, request, work, html.adapter_pair)

    def rebuild_both(values: dict[Any, Any], request: gr.Request) -> Iterator[Any]:
        yield from compare(values, False, request)

    def ask_both(values: dict[Any, Any], request: gr.Request) -> Iterator[Any]:
        yield from compare(values, True, request)

    for button, handler in ((rebuild, rebuild_both), (ask, ask_both)):
        button.click(handler, controls.inputs(other), [result, stop.button], **QUIET_WORK)
    gr.on(changes, available, other, [note, other, buttons], **QUIET)
