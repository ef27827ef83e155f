"""Show what the slots of a segment attend to, their levels, their summary; and the slots of a document as a map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.events import Dependency

from app.analysis.attention import AttentionView, Slice, SlotView
from app.analysis.summary import SummaryView
from app.types import CancelCheck
from app.ui.cancel import StopButton, stoppable
from app.ui.figures import inspect as figures
from app.ui.html import inspect as html
from app.ui.html.elements import note
from app.ui.widgets import QUIET, QUIET_WORK, WORK, chosen_segment, section, sentences
from app.workbench import Workbench

NOT_YET = note("Nothing looked at yet: one pass of the encoder over the segment shows it.")


def attention_values(
    ratio: int, view: AttentionView | None = None, cut: Slice | None = None, summary: SummaryView | None = None
) -> tuple[Any, ...]:
    """Make the values of the components that ``render_attention`` returns from what is known."""
    in_short = html.summary(summary) if summary else ""
    levels = gr.Plot(figures.pyramid(cut.slots, cut.tokens, ratio, view) if cut else None, visible=cut is not None)
    if view is None:
        # With values: gradio takes longer over an update without one, and a later one would come in before it.
        return gr.Plot(None, visible=False), gr.Dropdown([], value=None, visible=False), NOT_YET, levels, in_short
    heat = gr.Plot(figures.heat_map(view), visible=True)
    return heat, slot_choices(view.slots), html.shaded_text(view, "all"), levels, in_short


def slot_choices(slots: tuple[SlotView, ...]) -> gr.Dropdown:
    """Offer all slots together, each level, each slot."""
    levels = sorted({slot.level for slot in slots}, reverse=True)
    each = [(f"slot {s.number} · {s.level}x · ends at token {s.end}", f"slot:{s.number}") for s in slots]
    choices = [("all slots", "all"), *((f"level {level}x", f"level:{level}") for level in levels), *each]
    return gr.Dropdown(choices=choices, value="all", visible=True)


def render_attention(
    workbench: Workbench,
    document: gr.Dropdown,
    segment: gr.Dropdown,
    ratio: gr.Radio,
    then_draw: Callable[[Dependency], Any],
) -> list[gr.components.Component]:
    """Add attention, levels and summary; return what is drawn of a segment, in the order of ``attention_values``.

    ``then_draw`` is called with each event that adds to what is known.
    """
    section(
        "What each slot looks at",
        "Attention of every slot to the words of its segment, inside the encoder: mean over heads and the upper half "
        "of the layers, each row summing to 1 over the text.",
    )
    with gr.Row():
        look = gr.Button("Look", size="sm", elem_id="look", scale=0, min_width=120)
        stop_look = StopButton("stop-look")
    heat = gr.Plot(label="Attention of slots to words", show_label=False, visible=False, elem_id="heat")
    which = gr.Dropdown(label="Shade the text by", choices=[], visible=False, elem_id="which-slots")
    shaded = gr.HTML(NOT_YET, elem_id="shaded")

    section(
        "Levels",
        "Every bar is a slot: it ends where the slot stands and begins after the one before it of the same or a "
        "coarser level. A coarser ratio leaves the lower rows out.",
    )
    levels = gr.Plot(label="Slots of each level over the segment", show_label=False, visible=False, elem_id="pyramid")

    section(
        "In one sentence",
        "What the decoder makes of the memory alone, beside the sentence of the text that the slots look at most.",
    )
    with gr.Row():
        summarise = gr.Button("Summarise", size="sm", elem_id="summarise", scale=0, min_width=120)
        stop_summary = StopButton("stop-summary")
    summary = gr.HTML(elem_id="summary")

    def look_inside(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen_segment(sha, segment)

        def work(cancelled: CancelCheck) -> Iterator[AttentionView]:
            yield workbench.attention.view(sha, segment, ratio, cancelled)

        yield from stoppable(stop_look, request, work)

    def shade(sha: str | None, segment: int | None, ratio: int, which: str | None) -> str:
        sha, segment = chosen_segment(sha, segment)
        with sentences():
            return html.shaded_text(workbench.attention.view(sha, segment, ratio), which or "all")

    def in_short(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen_segment(sha, segment)

        def work(cancelled: CancelCheck) -> Iterator[SummaryView]:
            yield workbench.summaries.summarise(sha, segment, ratio, cancelled)

        yield from stoppable(stop_summary, request, work)

    choice = [document, segment, ratio]
    then_draw(look.click(look_inside, choice, [shaded, stop_look.button], show_progress_on=shaded, **WORK))
    which.input(shade, [*choice, which], shaded, **QUIET_WORK)
    then_draw(summarise.click(in_short, choice, [summary, stop_summary.button], show_progress_on=summary, **WORK))
    return [heat, which, shaded, levels, summary]


def render_map(workbench: Workbench, document: gr.Dropdown, ratio: gr.Radio) -> None:
    section(
        "Slot map",
        "All slots of the document as points: the first two principal components of their keys (before rotary "
        "embedding) or values, in one layer or as the mean over layers.",
    )
    with gr.Row(elem_id="map-controls"):
        part = gr.Radio(["values", "keys"], value="values", label="Of", elem_id="map-part")
        colour = gr.Radio(["level", "segment"], value="level", label="Coloured by", elem_id="map-colour")
        layer = gr.Dropdown([("mean of all", -1)], value=-1, label="Layer", elem_id="map-layer")
    draw = gr.Button("Draw the map", size="sm", elem_id="draw-map", scale=0, min_width=120)
    points = gr.Plot(label="Slot map", show_label=False, visible=False, elem_id="slot-map")
    said = gr.HTML(elem_id="map-note")

    def layers(sha: str | None, layer: int) -> Any:
        if not sha:
            return gr.skip()
        with sentences():
            count, _ = workbench.memories.shape()
        return gr.Dropdown(choices=[("mean of all", -1), *((f"layer {i}", i) for i in range(count))], value=layer)

    def show(sha: str | None, ratio: int, part: str, colour: str, layer: int) -> tuple[Any, str]:
        sha, _ = chosen_segment(sha, 0)
        with sentences():
            view = workbench.attention.slot_map(sha, ratio, part, None if layer < 0 else layer)  # type: ignore[arg-type]
        drawn = f"{len(view.x):,}"
        text = drawn if len(view.x) == view.total else f"An even sample of {drawn} of {view.total:,}"
        return gr.Plot(figures.slot_scatter(view, colour), visible=True), note(f"{text} slots at {ratio}x.")

    def clear() -> tuple[Any, str]:
        return gr.Plot(None, visible=False), ""

    inputs = [document, ratio, part, colour, layer]
    draw.click(show, inputs, [points, said], show_progress_on=said, **WORK)
    document.change(layers, [document, layer], layer, **QUIET)
    # A map of other slots than those chosen would mislead.
    changes = [document.change, ratio.change, part.change, colour.change, layer.input]
    gr.on(changes, clear, None, [points, said], **QUIET)
