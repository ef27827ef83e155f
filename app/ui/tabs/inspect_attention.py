"""What the slots of a segment read, how they stand, what they say in short; and the slots of a document as a map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.events import Dependency

from app import look_panels, maps
from app.looking import AttentionView, Slice, SlotView, SummaryView
from app.tabs.common import Stops, sentences
from app.tabs.stopping import chosen, stop_button, stoppable
from app.views import Cancelled
from app.workbench import Workbench

Section = Callable[[str, str], None]
NOT_YET = '<p class="wb-note">Nothing looked at yet: one pass of the encoder over the segment shows it.</p>'


def seen(
    ratio: int, view: AttentionView | None = None, cut: Slice | None = None, summary: SummaryView | None = None
) -> tuple[Any, ...]:
    """Values of the components that ``render_looks`` returns, from what is known."""
    in_short = look_panels.summary(summary) if summary else ""
    levels = gr.Plot(maps.pyramid(cut.slots, cut.tokens, ratio, view) if cut else None, visible=cut is not None)
    if view is None:
        # With values: gradio takes longer over an update without one, and a later one would come in before it.
        return gr.Plot(None, visible=False), gr.Dropdown([], value=None, visible=False), NOT_YET, levels, in_short
    return gr.Plot(maps.heat_map(view), visible=True), slot_choices(view.slots), _text(view), levels, in_short


def slot_choices(slots: tuple[SlotView, ...]) -> gr.Dropdown:
    """All slots together, each level, each slot."""
    levels = sorted({slot.level for slot in slots}, reverse=True)
    one = [(f"slot {s.number} · {s.level}x · ends at token {s.end}", f"slot:{s.number}") for s in slots]
    choices = [("all slots", "all"), *((f"level {level}x", f"level:{level}") for level in levels), *one]
    return gr.Dropdown(choices=choices, value="all", visible=True)


def _text(view: AttentionView) -> str:
    return look_panels.shaded_text(view, "all")


def render_looks(
    workbench: Workbench,
    document: gr.Dropdown,
    segment: gr.Dropdown,
    ratio: gr.Radio,
    section: Section,
    news: Callable[[Dependency], Any],
) -> list[gr.components.Component]:
    """Returns what depends on segment and ratio, in the order of ``seen``; ``news`` is told of each work that adds to
    what is known."""
    section(
        "What each slot looks at",
        "Attention of every slot to the words of its segment, inside the encoder: mean over heads and the upper half "
        "of the layers, each row summing to 1 over the text.",
    )
    with gr.Row():
        look = gr.Button("Look", size="sm", elem_id="look", scale=0, min_width=120)
        stop_look = stop_button("stop-look")
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
        stop_summary = stop_button("stop-summary")
    summary = gr.HTML(elem_id="summary")

    def look_inside(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)

        def work(cancelled: Cancelled) -> Iterator[AttentionView]:
            yield workbench.looking.attention(sha, segment, ratio, cancelled)

        yield from stoppable(stops_look, request, work)

    def shade(sha: str | None, segment: int | None, ratio: int, which: str | None) -> str:
        sha, segment = chosen(sha, segment)
        with sentences():
            return look_panels.shaded_text(workbench.looking.attention(sha, segment, ratio), which or "all")

    def in_short(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)

        def work(cancelled: Cancelled) -> Iterator[SummaryView]:
            yield workbench.looking.summary(sha, segment, ratio, cancelled)

        yield from stoppable(stops_summary, request, work)

    stops_look, stops_summary = Stops(), Stops()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    busy: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 8}
    now = [document, segment, ratio]
    news(look.click(look_inside, now, [shaded, stop_look], show_progress_on=shaded, **busy))
    which.input(shade, [*now, which], shaded, concurrency_limit=8, **quiet)
    news(summarise.click(in_short, now, [summary, stop_summary], show_progress_on=summary, **busy))
    stop_look.click(stops_look.press, queue=False, **quiet)
    stop_summary.click(stops_summary.press, queue=False, **quiet)
    return [heat, which, shaded, levels, summary]


def render_map(workbench: Workbench, document: gr.Dropdown, ratio: gr.Radio, section: Section) -> None:
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
            count, _ = workbench.looking.shape()
        return gr.Dropdown(choices=[("mean of all", -1), *((f"layer {i}", i) for i in range(count))], value=layer)

    def show(sha: str | None, ratio: int, part: str, colour: str, layer: int) -> tuple[Any, str]:
        sha, _ = chosen(sha, 0)
        with sentences():
            view = workbench.looking.slot_map(sha, ratio, part, None if layer < 0 else layer)  # type: ignore[arg-type]
        drawn = len(view.x)
        note = (
            f"{drawn:,} slots at {ratio}x."
            if drawn == view.total
            else f"An even sample of {drawn:,} of {view.total:,} slots."
        )
        return gr.Plot(maps.slot_scatter(view, colour), visible=True), f'<p class="wb-note">{note}</p>'

    def clear() -> tuple[Any, str]:
        return gr.Plot(None, visible=False), ""

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [document, ratio, part, colour, layer]
    draw.click(show, inputs, [points, said], show_progress_on=said, api_visibility="private", concurrency_limit=8)
    document.change(layers, [document, layer], layer, **quiet)
    # A map of other slots than those chosen would mislead.
    gr.on(
        [document.change, ratio.change, part.change, colour.change, layer.input], clear, None, [points, said], **quiet
    )
