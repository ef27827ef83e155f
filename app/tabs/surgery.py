"""Surgery: parts of a segment's memory switched off, and what the decoder makes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import look_panels
from app.operating import Operation, numbers
from app.tabs.common import RATIOS, Stops, sentences
from app.tabs.stopping import chosen, stop_button, stoppable
from app.tabs.two_adapters import render_two_adapters
from app.views import Cancelled
from app.workbench import Workbench
from ccf_core.surgery import Cut


def render_surgery(
    workbench: Workbench, document: gr.Dropdown, segment: gr.Dropdown, ratio: gr.Radio, changed: Any
) -> None:
    """``changed``: the event after which another adapter may be in use."""
    with gr.Accordion("Surgery", open=False, elem_id="surgery") as surgery:
        gr.HTML(
            '<p class="wb-note">Switch parts of this segment\'s memory off, and let the decoder read the rest, beside '
            "the intact one. Slots and levels are left out of its cache, the others stay at their positions; layers "
            "and heads keep their keys and give zero values.</p>"
        )
        levels = gr.CheckboxGroup(RATIOS[::-1], label="Levels off", elem_id="off-levels")
        with gr.Row():
            layers = gr.Textbox(label="Layers off", placeholder="0-4, 7", max_lines=1, elem_id="off-layers")
            slots = gr.Textbox(
                label="Slots off", placeholder="0-3 (numbers as in the figures above)", max_lines=1, elem_id="off-slots"
            )
        heads = gr.CheckboxGroup(
            [], label="Key-value heads off", info="in the layers above, or in every layer if none is given",
            elem_id="off-heads",
        )  # fmt: skip
        question = gr.Textbox(label="Question about this segment", max_lines=3, elem_id="surgery-question")
        with gr.Row():
            rebuild = gr.Button("Reconstruct both", size="sm", variant="primary", elem_id="surgery-reconstruct")
            ask = gr.Button("Ask both", size="sm", elem_id="surgery-ask")
            stop = stop_button("stop-surgery")
        parts = [document, segment, ratio, levels, layers, slots, heads]
        result = gr.HTML(elem_id="operation", render=False)
        render_two_adapters(workbench, parts, question, result, [surgery.expand, changed])
        result.render()

    def operate(
        sha: str | None,
        segment: int | None,
        ratio: int,
        levels: list[int],
        layers: str,
        slots: str,
        heads: list[int],
        question: str,
        request: gr.Request,
    ) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)
        with sentences():
            cut = Cut(numbers(slots), frozenset(levels), numbers(layers), frozenset(heads))
        if not cut:
            raise gr.Error("Switch something off first.", title="Nothing to compare", print_exception=False)

        def work(cancelled: Cancelled) -> Iterator[Operation]:
            yield workbench.looking.operate(sha, segment, ratio, cut, question, cancelled)

        yield from stoppable(stops, request, work, look_panels.operation)

    def rebuild_both(
        sha: str | None,
        segment: int | None,
        ratio: int,
        levels: list[int],
        layers: str,
        slots: str,
        heads: list[int],
        request: gr.Request,
    ) -> Iterator[Any]:
        yield from operate(sha, segment, ratio, levels, layers, slots, heads, "", request)

    def ask_both(
        sha: str | None,
        segment: int | None,
        ratio: int,
        levels: list[int],
        layers: str,
        slots: str,
        heads: list[int],
        question: str,
        request: gr.Request,
    ) -> Iterator[Any]:
        if not question.strip():
            raise gr.Error("Write a question first.", title="Nothing to ask", print_exception=False)
        yield from operate(sha, segment, ratio, levels, layers, slots, heads, question, request)

    def shape(sha: str | None) -> Any:
        if not sha:
            return gr.skip(), gr.skip()
        with sentences():
            count, kv_heads = workbench.looking.shape()
        choices = [(str(i), i) for i in range(kv_heads)]
        return gr.CheckboxGroup(choices=choices), gr.Textbox(label=f"Layers off (0-{count - 1})")

    stops = Stops()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    busy: dict[str, Any] = {"show_progress_on": result, "api_visibility": "private", "concurrency_limit": 8}
    rebuild.click(rebuild_both, parts, [result, stop], **busy)
    gr.on([ask.click, question.submit], ask_both, [*parts, question], [result, stop], **busy)
    stop.click(stops.press, queue=False, **quiet)
    document.change(shape, document, [heads, layers], **quiet)
    # What was operated on is no longer what is chosen.
    gr.on([document.change, segment.change, ratio.change], lambda: "", None, result, **quiet)
