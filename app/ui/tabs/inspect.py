"""Show a document's segments: how faithful each is, and one of them beside what its memory gives back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from app.types import CancelCheck, Reconstruction
from app.ui.cancel import StopButton, stoppable
from app.ui.html import inspect as html
from app.ui.html.elements import note
from app.ui.tabs.inspect_ablation import render_ablation, render_controls
from app.ui.tabs.inspect_adapters import render_adapter_pair
from app.ui.tabs.inspect_attention import attention_values, render_attention, render_map
from app.ui.tabs.library import Library
from app.ui.widgets import QUIET, QUIET_WORK, WORK, chosen_segment, offered_ratios, one_document, section, sentences
from app.workbench import Workbench
from ccf_core import AdapterNeeded

# A click on a segment's cell chooses it; the keyboard stays where it was when the strip is drawn anew.
PICK = """
let last = null;
element.addEventListener('click', event => {
  const cell = event.target.closest('[data-segment]');
  if (!cell) return;
  last = cell.dataset.segment;
  trigger('click', {segment: Number(last)});
});
watch('value', () => {
  if (last !== null) element.querySelector(`[data-segment="${last}"]`)?.focus({preventScroll: true});
});
"""


def render_inspect(workbench: Workbench, library: Library) -> None:
    gr.HTML(
        '<p class="wb-note">A segment of the document, and what the decoder writes from that segment\'s slots alone: '
        "greedily, as many tokens as the original had.</p>"
    )
    with gr.Row():
        document = gr.Dropdown(label="Document", choices=[], elem_id="inspect-document", scale=3)
        segment = gr.Dropdown(label="Segment", choices=[], elem_id="inspect-segment", scale=4)
    ratio = gr.Radio(offered_ratios(workbench), value=8, label="Ratio", elem_id="inspect-ratio")
    sliced = gr.HTML(elem_id="sliced")
    state = gr.State(None)  # see ``state_of``
    choice = [document, segment, ratio]
    with gr.Row():
        show = gr.Button("Reconstruct", variant="primary", elem_id="reconstruct", size="md")
        stop_show = StopButton("stop-reconstruct")
    result = gr.HTML(elem_id="diff")

    section(
        "Fidelity of the document",
        "One cell a segment: ROUGE-L of its greedy reconstruction, the longest common subsequence of tokens ÷ its "
        "tokens. Click a cell to choose the segment.",
    )
    strip = gr.HTML(elem_id="fidelity", js_on_load=PICK)
    with gr.Row():
        score = gr.Button("Score every segment", size="sm", elem_id="score", scale=0, min_width=180)
        stop_score = StopButton("stop-score")

    def state_of(sha: str | None, segment: int | None, ratio: int) -> tuple[Any, ...]:
        """Return all that what is shown depends on: while it is the same, nothing is drawn anew."""
        with sentences():
            stored = workbench.library.document(sha).state if sha else ""
            cached = None
            if sha and segment is not None and stored == "ready":
                cached = workbench.cached_state(sha, segment, ratio)
            return sha, segment, ratio, stored, workbench.model.info()["adapter"], cached

    def then_draw(event: Dependency) -> None:
        """After ``event``, draw what is chosen if it changed; all is drawn by ``draw``: two could come in any order."""
        event.then(state_of, choice, state, **QUIET)

    shown = [sliced, strip, result, *render_attention(workbench, document, segment, ratio, then_draw)]
    render_map(workbench, document, ratio)
    with gr.Accordion("Surgery", open=False, elem_id="surgery") as surgery:
        controls = render_controls(workbench, document, segment, ratio)
        compared = gr.HTML(elem_id="operation", render=False)
        render_ablation(workbench, controls, compared)
        render_adapter_pair(workbench, controls, compared, [surgery.expand, library.changed.change])
        compared.render()

    def segments(sha: str | None) -> Any:
        if not sha:
            return gr.Dropdown(choices=[], value=None)
        with sentences():
            views = workbench.library.segments(sha)
        labels = [(f"{v.index}" + (f" · page {v.page}" if v.page else "") + f" · {v.preview}", v.index) for v in views]
        return gr.Dropdown(choices=labels, value=0)

    def missing_segments(sha: str | None, segment: int | None) -> Any:
        """List the segments of a document whose list could not be had before."""
        return segments(sha) if sha and segment is None else gr.skip()

    def draw(sha: str | None, segment: int | None, ratio: int) -> tuple[Any, ...]:
        """Show all that is known of a segment at a ratio without running the model."""
        if not sha or segment is None:
            return "", "", "", *attention_values(ratio)
        with sentences():
            if workbench.library.document(sha).state != "ready":
                waiting = note("The memory is not complete yet; it is shown here when it is.")
                return waiting, "", "", *attention_values(ratio)
            if not workbench.model.load().config.trained:
                return note(str(AdapterNeeded("What stands here"))), "", "", *attention_values(ratio)
            # The segment may be one of the document chosen before, until the list of this one arrives.
            segment = min(segment, len(workbench.library.segments(sha)) - 1)
            cut = workbench.attention.slice(sha, segment, ratio)
            scores = html.strip(workbench.fidelity.known_scores(sha, ratio), segment, ratio)
            known = workbench.fidelity.known(sha, segment, ratio)
            diff = html.reconstruction(known) if known else ""
            attention = workbench.attention.known(sha, segment, ratio)
            summary = workbench.summaries.known(sha, segment, ratio)
            return html.sliced(cut, ratio), scores, diff, *attention_values(ratio, attention, cut, summary)

    def reconstruct(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen_segment(sha, segment)

        def work(cancelled: CancelCheck) -> Iterator[Reconstruction]:
            yield workbench.fidelity.reconstruct(sha, segment, ratio, cancelled)

        yield from stoppable(stop_show, request, work)

    def score_all(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen_segment(sha, segment)

        def work(cancelled: CancelCheck) -> Iterator[list[float | None]]:
            return workbench.fidelity.scores(sha, ratio, cancelled)

        yield from stoppable(stop_score, request, work, lambda scores: html.strip(scores, segment, ratio))

    def pick(event: gr.EventData) -> int:
        return int(event.segment)

    changes = [library.picked.change, library.changed.change]
    gr.on(changes, partial(one_document, workbench), [library.picked, document], document, **QUIET)
    then_draw(document.change(segments, document, segment, **QUIET))
    then_draw(library.changed.change(missing_segments, [document, segment], segment, **QUIET))
    gr.on([segment.input, ratio.change], state_of, choice, state, **QUIET)
    then_draw(strip.click(pick, None, segment, **QUIET))
    # One at a time for a page, and of what is chosen when its turn comes: an older one cannot come in last.
    state.change(draw, choice, shown, trigger_mode="always_last", **QUIET_WORK)
    then_draw(show.click(reconstruct, choice, [result, stop_show.button], show_progress_on=result, **WORK))
    then_draw(score.click(score_all, choice, [strip, stop_score.button], **QUIET_WORK))
