"""Open the original text at a place: from evidence, from a search, from a document's name."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.ui.html import ask as html
from app.ui.widgets import QUIET_EACH, sentences
from app.workbench import Workbench

#: Opens the dialog of a new value, at the marked place; the value is forgotten with the dialog.
DIALOG_JS = """
watch('value', () => {
    const dialog = element.querySelector('dialog');
    if (!dialog || dialog.open) return;
    dialog.showModal();
    const place = dialog.querySelector('mark');
    if (place) place.scrollIntoView({block: place.offsetHeight > 300 ? 'start' : 'center'});
});
element.addEventListener('click', event => {
    if (event.target.closest('[data-close]') || event.target.tagName === 'DIALOG')
        element.querySelector('dialog').close();
});
element.addEventListener('close', () => { props.value = ''; }, true);
"""


def render_original(workbench: Workbench, *events: Any) -> None:
    """Add the dialog; the data of ``events`` name a document and, if there is one, the place in it to open."""
    original = gr.HTML(elem_id="original", js_on_load=DIALOG_JS)

    def show(event: gr.EventData) -> str:
        place = event._data
        with sentences():
            view = workbench.library.passage(str(place["of"]), int(place.get("start", 0)), int(place.get("end", 0)))
        return html.original(view)

    for listen in events:
        listen(show, None, original, **QUIET_EACH)
