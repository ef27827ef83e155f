"""A document's segments: how faithful each is, and one of them beside what its memory gives back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from app import look_panels, panels
from app.tabs.common import RATIOS, Stops, one_document, sentences
from app.tabs.library import Library
from app.tabs.looks import render_looks, render_map, seen
from app.tabs.stopping import chosen, stop_button, stoppable
from app.tabs.surgery import render_surgery
from app.views import Cancelled, Reconstruction
from app.workbench import Workbench

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


def section(title: str, means: str) -> None:
    """Heading and definition of a figure."""
    gr.HTML(f'<h3 class="wb-label ccf-section" title="{means}">{title}</h3><p class="wb-note">{means}</p>')


def render_inspect(workbench: Workbench, library: Library) -> None:
    gr.HTML(
        '<p class="wb-note">A segment of the document, and what the decoder writes from that segment\'s slots alone: '
        "greedily, as many tokens as the original had.</p>"
    )
    with gr.Row():
        document = gr.Dropdown(label="Document", choices=[], elem_id="inspect-document", scale=3)
        segment = gr.Dropdown(label="Segment", choices=[], elem_id="inspect-segment", scale=4)
    ratio = gr.Radio(RATIOS, value=8, label="Ratio", elem_id="inspect-ratio")
    sliced = gr.HTML(elem_id="sliced")
    wanted = gr.State(None)  # all that what is shown depends on; see ``want``
    chosen_now = [document, segment, ratio]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def want(sha: str | None, segment: int | None, ratio: int) -> tuple[Any, ...]:
        """As long as this is the same, another document's news take nothing away of what is shown."""
        with sentences():
            looking = workbench.looking
            state = workbench.document(sha).state if sha else ""
            there = looking.there(sha, segment, ratio) if sha and segment is not None and state == "ready" else None
            return sha, segment, ratio, state, workbench.info()["adapter"], there

    def news(made: Dependency) -> None:
        """Everything shown of a segment has one writer, ``known``: two could come in any order."""
        made.then(want, chosen_now, wanted, **quiet)

    with gr.Row():
        show = gr.Button("Reconstruct", variant="primary", elem_id="reconstruct", size="md")
        stop_show = stop_button("stop-reconstruct")
    result = gr.HTML(elem_id="diff")

    section(
        "Fidelity of the document",
        "One cell a segment: ROUGE-L of its greedy reconstruction, the longest common subsequence of tokens ÷ its "
        "tokens. Click a cell to choose the segment.",
    )
    strip = gr.HTML(elem_id="fidelity", js_on_load=PICK)
    with gr.Row():
        score = gr.Button("Score every segment", size="sm", elem_id="score", scale=0, min_width=180)
        stop_score = stop_button("stop-score")

    looks = render_looks(workbench, document, segment, ratio, section, news)
    render_map(workbench, document, ratio, section)
    render_surgery(workbench, document, segment, ratio, library.changed.change)

    def segments(sha: str | None) -> Any:
        if not sha:
            return gr.Dropdown(choices=[], value=None)
        with sentences():
            views = workbench.segments(sha)
        labels = [(f"{v.index}" + (f" · page {v.page}" if v.page else "") + f" · {v.preview}", v.index) for v in views]
        return gr.Dropdown(choices=labels, value=0)

    def still(sha: str | None, segment: int | None) -> Any:
        """The segments of a document whose list could not be had before."""
        return segments(sha) if sha and segment is None else gr.skip()

    def known(sha: str | None, segment: int | None, ratio: int) -> tuple[Any, ...]:
        """All that is there for a segment and a ratio without running the model."""
        if not sha or segment is None:
            return "", "", "", *seen(ratio)
        with sentences():
            if workbench.document(sha).state != "ready":
                waiting = '<p class="wb-note">The memory is not complete yet; it is shown here when it is.</p>'
                return waiting, "", "", *seen(ratio)
            # The segment may be one of the document chosen before, until the list of this one arrives.
            segment = min(segment, len(workbench.segments(sha)) - 1)
            looking = workbench.looking
            cut = looking.slice(sha, segment, ratio)
            scores = look_panels.strip(looking.known_fidelity(sha, ratio), segment, ratio)
            before = looking.remembered(sha, segment, ratio)
            diff = panels.reconstruction(before) if before else ""
            looked, summary = looking.looked(sha, segment, ratio), looking.summarised(sha, segment, ratio)
            return look_panels.sliced(cut, ratio), scores, diff, *seen(ratio, looked, cut, summary)

    def reconstruct(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)

        def work(cancelled: Cancelled) -> Iterator[Reconstruction]:
            yield workbench.looking.reconstruct(sha, segment, ratio, cancelled)

        yield from stoppable(stops_show, request, work)

    def score_all(sha: str | None, segment: int | None, ratio: int, request: gr.Request) -> Iterator[Any]:
        sha, segment = chosen(sha, segment)

        def work(cancelled: Cancelled) -> Iterator[list[float | None]]:
            return workbench.looking.fidelity(sha, ratio, cancelled)

        yield from stoppable(stops_score, request, work, lambda s: look_panels.strip(s, segment, ratio))

    def pick(event: gr.EventData) -> int:
        return int(event.segment)

    stops_show, stops_score = Stops(), Stops()
    shown = [sliced, strip, result, *looks]
    gr.on(
        [library.picked.change, library.changed.change],
        partial(one_document, workbench),
        [library.picked, document],
        document,
        **quiet,
    )
    document.change(segments, document, segment, **quiet).then(want, chosen_now, wanted, **quiet)
    library.changed.change(still, [document, segment], segment, **quiet).then(want, chosen_now, wanted, **quiet)
    gr.on([segment.input, ratio.change], want, chosen_now, wanted, **quiet)
    strip.click(pick, None, segment, **quiet).then(want, chosen_now, wanted, **quiet)
    # One at a time for a page, and of what is chosen when its turn comes: an older one cannot come in last.
    wanted.change(known, chosen_now, shown, trigger_mode="always_last", concurrency_limit=8, **quiet)
    busy: dict[str, Any] = {"show_progress_on": result, "api_visibility": "private", "concurrency_limit": 8}
    news(show.click(reconstruct, chosen_now, [result, stop_show], **busy))
    news(score.click(score_all, chosen_now, [strip, stop_score], concurrency_limit=8, **quiet))
    stop_show.click(stops_show.press, queue=False, **quiet)
    stop_score.click(stops_score.press, queue=False, **quiet)
