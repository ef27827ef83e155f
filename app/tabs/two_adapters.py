"""Surgery's last part: another adapter beside the one in use, on the same segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import look_panels
from app.operating import numbers
from app.pairing import Pair
from app.tabs.common import Stops, sentences
from app.tabs.stopping import chosen, stop_button, stoppable
from app.views import Cancelled
from app.workbench import Workbench
from ccf_core.surgery import Cut

ONE_ALONE = (
    '<p class="wb-note">Only the adapter in use is there. To compare it with another, put that one\'s folder (ccf.json '
    "and adapter-*.safetensors) into <code>adapters</code> of the data folder, and close and open Surgery again.</p>"
)
HOW = (
    '<p class="wb-note">The other adapter is loaded for this alone, compresses the segment, and is gone again; the one '
    "in use and stored memories stay as they are. What is switched off above is switched off in both.</p>"
)


def render_two_adapters(
    workbench: Workbench, parts: list[Any], question: gr.Textbox, result: gr.HTML, changes: list[Any]
) -> None:
    """``parts``: document, segment, ratio, and what is off: levels, layers, slots, heads; ``changes``: events after
    which the adapters are looked up again."""
    gr.HTML('<h4 class="wb-label">Two adapters on this segment</h4>')
    note = gr.HTML(ONE_ALONE, elem_id="adapters-note")
    other = gr.Dropdown([], label="Beside the adapter in use", visible=False, elem_id="other-adapter")
    with gr.Row(visible=False) as buttons:
        rebuild = gr.Button("Reconstruct under both adapters", size="sm", elem_id="pair-reconstruct")
        ask = gr.Button("Ask under both adapters", size="sm", elem_id="pair-ask")
        stop = stop_button("stop-pair")

    def available(current: str | None) -> tuple[Any, ...]:
        others = [(folder.name, str(folder)) for folder, used in workbench.adapters() if not used]
        value = current if current in [path for _, path in others] else next((path for _, path in others), None)
        there = bool(others)
        return HOW if there else ONE_ALONE, gr.Dropdown(others, value=value, visible=there), gr.Row(visible=there)

    def both(
        asked: bool,
        sha: str | None,
        segment: int | None,
        ratio: int,
        levels: list[int],
        layers: str,
        slots: str,
        heads: list[int],
        other: str | None,
        question: str,
        request: gr.Request,
    ) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)
        if asked and not question.strip():
            raise gr.Error("Write a question first.", title="Nothing to ask", print_exception=False)
        with sentences():
            cut = Cut(numbers(slots), frozenset(levels), numbers(layers), frozenset(heads))

        def work(cancelled: Cancelled) -> Iterator[str | Pair]:
            return workbench.looking.pair(sha, segment, ratio, other or "", cut, question if asked else "", cancelled)

        yield from stoppable(stops, request, work, look_panels.pair)

    stops = Stops()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    given = [*parts, other, question]
    rebuild.click(both, [gr.State(False), *given], [result, stop], concurrency_limit=8, **quiet)
    ask.click(both, [gr.State(True), *given], [result, stop], concurrency_limit=8, **quiet)
    stop.click(stops.press, queue=False, **quiet)
    gr.on(changes, available, other, [note, other, buttons], **quiet)
