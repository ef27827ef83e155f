"""What several tabs are made of: errors as sentences, choices of documents, buttons in HTML, things to save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from app.documents.names import full_name
from app.errors import WorkbenchError
from app.parsers import ReadError
from app.workbench import Workbench
from ccf_core import CCFError
from store import StoreError

#: What a user can mend; the message says how.
MENDABLE = (WorkbenchError, ReadError, CCFError, StoreError)
#: Options of an event that shows nothing while it runs and is no endpoint for programs. Of each component that could
#: show progress, hidden or not, Gradio's page tells the whole page anew with every event, half of its work.
QUIET: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
#: Options of an event of one row among many: the next row's must not be lost while one is under way.
QUIET_EACH = QUIET | {"trigger_mode": "multiple"}
#: Options of an event that works on the model: of those that gradio lets run at once, the model's lock lets one.
WORK: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 8}
QUIET_WORK = QUIET | WORK

_ACT_JS = """
const known = [%s];
const acting = event => {
    const from = event.target.closest('[data-act]') ?? event.target.closest('label')?.control;
    return known.includes(from?.dataset.act) ? from : null;
};
const act = event => {
    const from = acting(event);
    if (!from || (from.tagName === 'INPUT') !== (event.type === 'change')) return;
    trigger(from.dataset.act, {...from.dataset, on: Boolean(from.checked)});
};
element.addEventListener('click', act);
element.addEventListener('change', act);
// What is drawn anew between press and release gets no click from the browser.
let pressed = null;
element.addEventListener('pointerdown', event => { pressed = acting(event); });
element.addEventListener('pointerup', event => {
    const released = acting(event), said = from => JSON.stringify(from.dataset);
    if (pressed && !pressed.isConnected && released && said(pressed) === said(released)) released.click();
    pressed = null;
});
watch('value', () => element.querySelectorAll('input[data-act]').forEach(
    box => { box.checked = box.hasAttribute('checked'); }));
"""


@contextmanager
def sentences() -> Iterator[None]:
    """Show the user the sentence of an error that the user can mend."""
    try:
        yield
    except MENDABLE as error:
        raise refusal(str(error)) from error


def refusal(sentence: str, title: str = "That did not work") -> gr.Error:
    """Make an error that the page shows as one sentence, and that leaves no trace in the log."""
    return gr.Error(sentence, title=title, print_exception=False)


def acts(*names: str) -> str:
    """Make the ``js_on_load`` of a ``gr.HTML`` whose elements raise these events.

    An element with ``data-act="name"`` raises the event of that name; the handler's ``gr.EventData`` holds its other
    data attributes, and as ``on`` whether it is a box that is ticked.
    """
    return _ACT_JS % ", ".join(f"'{name}'" for name in names)


def one_document(workbench: Workbench, ticked: list[str], current: str | None) -> gr.Dropdown:
    """Offer all documents to choose one from: the first that is ticked in the library, or the one chosen before."""
    offered = [(full_name(view.title, view.filename), view.sha256) for view in workbench.library.documents()]
    known = {sha for _, sha in offered}
    return gr.Dropdown(choices=offered, value=next((sha for sha in [*(ticked or []), current] if sha in known), None))


def offered_ratios(workbench: Workbench) -> list[tuple[str, int]]:
    """List the ratios to choose from, finest first."""
    return [(f"{ratio}x", ratio) for ratio in workbench.model.ratios]


def chosen_segment(sha256: str | None, segment: int | None) -> tuple[str, int]:
    """Return what a user chose; raise a sentence if that is nothing."""
    if not sha256 or segment is None:
        raise refusal("Choose a document and a segment.", "Nothing to show")
    return sha256, int(segment)


def section(title: str, means: str) -> None:
    """Add the heading and the definition of a figure."""
    gr.HTML(f'<h3 class="wb-label ccf-section" title="{means}">{title}</h3><p class="wb-note">{means}</p>')
