"""The original text, opened at a place: by evidence, by what a search found, by a document's name."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app import panels_ask
from app.tabs.acts import DIALOG_JS
from app.tabs.common import sentences
from app.workbench import Workbench


def render_original(workbench: Workbench, *opened_by: Any) -> None:
    """``opened_by``: listeners of events whose data name a document and, if there is one, the place in it."""
    original = gr.HTML(elem_id="original", js_on_load=DIALOG_JS)

    def show(event: gr.EventData) -> str:
        place = event._data
        with sentences():
            view = workbench.library.passage(str(place["of"]), int(place.get("start", 0)), int(place.get("end", 0)))
        return panels_ask.original(view)

    for listen in opened_by:
        listen(show, None, original, show_progress="hidden", api_visibility="private")
