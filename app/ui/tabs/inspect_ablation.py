"""Switch parts of a segment's memory off, and show what the decoder makes of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.analysis.ablation import AblationView, numbers
from app.types import CancelCheck
from app.ui.cancel import StopButton, stoppable
from app.ui.html import inspect as html
from app.ui.widgets import QUIET, WORK, chosen_segment, offered_ratios, refusal, sentences
from app.workbench import Workbench
from ccf_core.analysis.cut import Cut


@dataclass(frozen=True)
class Parts:
    """What is read: a segment at a ratio, with parts of its memory switched off, and perhaps a question to it."""

    sha256: str
    segment: int
    ratio: int
    cut: Cut
    question: str


@dataclass(frozen=True)
class Controls:
    """The components that ``Parts`` are chosen with; as a set they are the inputs of an event."""

    document: gr.Dropdown
    segment: gr.Dropdown
    ratio: gr.Radio
    levels: gr.CheckboxGroup
    layers: gr.Textbox
    slots: gr.Textbox
    heads: gr.CheckboxGroup
    question: gr.Textbox

    def inputs(self, *more: Any) -> set[Any]:
        return {self.document, self.segment, self.ratio, self.levels, self.layers, self.slots, self.heads,
                self.question, *more}  # fmt: skip

    def read(self, values: Mapping[Any, Any], asked: bool) -> Parts:
        """Read what was chosen; without ``asked`` the segment is reconstructed, whatever the question field holds.

        Raises gr.Error for what is missing.
        """
        sha256, segment = chosen_segment(values[self.document], values[self.segment])
        question = values[self.question] if asked else ""
        if asked and not question.strip():
            raise refusal("Write a question first.", "Nothing to ask")
        with sentences():
            cut = Cut(
                numbers(values[self.slots]), frozenset(values[self.levels]), numbers(values[self.layers]),
                frozenset(values[self.heads]),
            )  # fmt: skip
        return Parts(sha256, segment, values[self.ratio], cut, question)


def render_controls(workbench: Workbench, document: gr.Dropdown, segment: gr.Dropdown, ratio: gr.Radio) -> Controls:
    gr.HTML(
        '<p class="wb-note">Switch parts of this segment\'s memory off, and let the decoder read the rest, beside '
        "the intact one. Slots and levels are left out of its cache, the others stay at their positions; layers "
        "and heads keep their keys and give zero values.</p>"
    )
    levels = gr.CheckboxGroup(offered_ratios(workbench)[::-1], label="Levels off", elem_id="off-levels")
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
    return Controls(document, segment, ratio, levels, layers, slots, heads, question)


def render_ablation(workbench: Workbench, controls: Controls, result: gr.HTML) -> None:
    """Add the buttons that compare the intact memory with the cut one; ``result`` shows the comparison."""
    with gr.Row():
        rebuild = gr.Button("Reconstruct both", size="sm", variant="primary", elem_id="surgery-reconstruct")
        ask = gr.Button("Ask both", size="sm", elem_id="surgery-ask")
        stop = StopButton("stop-surgery")

    def ablate(values: dict[Any, Any], asked: bool, request: gr.Request) -> Iterator[Any]:
        parts = controls.read(values, asked)
        if not parts.cut:
            raise refusal("Switch something off first.", "Nothing to compare")

        def work(cancelled: CancelCheck) -> Iterator[AblationView]:
            yield workbench.ablation.ablate(
                parts.sha256, parts.segment, parts.ratio, parts.cut, parts.question, cancelled
            )

        yield from stoppable(stop, request, work, html.ablation)

    def rebuild_both(values: dict[Any, Any], request: gr.Request) -> Iterator[Any]:
        yield from ablate(values, False, request)

    def ask_both(values: dict[Any, Any], request: gr.Request) -> Iterator[Any]:
        yield from ablate(values, True, request)

    def shape(sha: str | None) -> Any:
        if not sha:
            return gr.skip(), gr.skip()
        with sentences():
            layers, kv_heads = workbench.memories.shape()
        heads = gr.CheckboxGroup([(str(i), i) for i in range(kv_heads)])
        return heads, gr.Textbox(label=f"Layers off (0-{layers - 1})")

    shown = [result, stop.button]
    rebuild.click(rebuild_both, controls.inputs(), shown, show_progress_on=result, **WORK)
    gr.on([ask.click, controls.question.submit], ask_both, controls.inputs(), shown, show_progress_on=result, **WORK)
    controls.document.change(shape, controls.document, [controls.heads, controls.layers], **QUIET)
    # A result is of what was chosen before.
    changes = [controls.document.change, controls.segment.change, controls.ratio.change]
    gr.on(changes, lambda: "", None, result, **QUIET)
