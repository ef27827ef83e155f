"""One segment beside what its memory gives back."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app import panels
from app.tabs.common import RATIOS, one_document, sentences
from app.tabs.library import Library
from app.workbench import Workbench


def render_inspect(workbench: Workbench, library: Library) -> None:
    gr.HTML(
        '<p class="wb-note">A segment of the document, and what the decoder writes from that segment\'s slots alone: '
        "greedily, as many tokens as the original had.</p>"
    )
    with gr.Row():
        document = gr.Dropdown(label="Document", choices=[], elem_id="inspect-document", scale=3)
        segment = gr.Dropdown(label="Segment", choices=[], elem_id="inspect-segment", scale=4)
    ratio = gr.Radio(RATIOS, value=8, label="Ratio", elem_id="inspect-ratio")
    show = gr.Button("Reconstruct", variant="primary", elem_id="reconstruct", size="md")
    result = gr.HTML(elem_id="diff")

    def segments(sha: str | None) -> Any:
        if not sha:
            return gr.Dropdown(choices=[], value=None)
        with sentences():
            views = workbench.segments(sha)
        labels = [(f"{v.index}" + (f" · page {v.page}" if v.page else "") + f" · {v.preview}", v.index) for v in views]
        return gr.Dropdown(choices=labels, value=0)

    def reconstruct(sha: str | None, segment: int | None, ratio: int) -> str:
        if not sha or segment is None:
            raise gr.Error("Choose a document and a segment.", title="Nothing to show", print_exception=False)
        with sentences():
            return panels.reconstruction(workbench.reconstruct(sha, segment, ratio))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on(
        [library.picked.change, library.changed.change],
        partial(one_document, workbench),
        [library.picked, document],
        document,
        **quiet,
    )
    document.change(segments, document, segment, **quiet)
    show.click(
        reconstruct, [document, segment, ratio], result, show_progress_on=result, api_visibility="private",
        concurrency_limit=8,
    )  # fmt: skip
