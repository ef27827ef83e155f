"""The controls under the question: at which ratio, by which reader, in which budget it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.limits import KVBudget
from app.ui.widgets import QUIET, offered_ratios
from app.workbench import Workbench

READERS = [
    ("memory", "memory"),
    ("focus, same bytes", "focus"),
    ("full text", "full"),
    ("truncated text, same bytes", "truncated"),
    ("nothing", "none"),
]
HISTORY = [("when the question refers to them", "auto"), ("always", "all"), ("never", "none")]


@dataclass(frozen=True)
class Controls:
    """The components that say how a question is asked; as a set they are inputs of an event."""

    ratio: gr.Radio
    reader: gr.Radio
    in_full: gr.Slider
    budget: gr.Textbox
    history: gr.Radio

    def inputs(self) -> set[Any]:
        return {self.ratio, self.reader, self.in_full, self.budget, self.history}

    def read(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the keywords of ``Asking.ask``. Raises BadSetting."""
        budget = values[self.budget]
        return {
            "ratio": values[self.ratio],
            "reader": values[self.reader],
            "in_full": int(values[self.in_full]),
            "kv_budget": KVBudget.parse(budget) if budget.strip() else None,
            "history": values[self.history],
        }


def render_controls(workbench: Workbench) -> Controls:
    with gr.Row(elem_id="ask-controls"):
        ratio = gr.Radio(
            offered_ratios(workbench),
            value=4,
            label="Ratio",
            info="text tokens for each slot that is read",
            elem_id="ratio",
        )
        reader = gr.Radio(
            READERS, value="memory", label="The decoder reads", info="the others are there to compare",
            elem_id="reader",
        )  # fmt: skip
        in_full = gr.Slider(
            0, 8, value=0, step=1, label="Focus: segments read as text", elem_id="in-full", visible=False,
            info="at most; 0: as many as the bytes of the ratio allow",
        )  # fmt: skip
        budget = gr.Textbox(
            label="KV budget", placeholder=str(workbench.settings.kv_budget or "what the window holds"),
            info="positions (4096) or bytes (200MB) to hold at most; more is read at a coarser ratio",
            max_lines=1, elem_id="kv-budget",
        )  # fmt: skip
        history = gr.Radio(
            HISTORY, value="auto", label="Earlier turns are read", elem_id="history",
            info="a small model answers best without them",
        )  # fmt: skip
    reader.change(lambda name: gr.Slider(visible=name == "focus"), reader, in_full, **QUIET)
    return Controls(ratio, reader, in_full, budget, history)
