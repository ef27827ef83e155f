"""Work of one step that shows a Stop button while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from app.tabs.common import Stops, relay, sentences
from app.views import Cancelled
from ccf_core import Cancelled as WasCancelled

T = TypeVar("T")


def stoppable(
    stops: Stops,
    request: gr.Request,
    work: Callable[[Cancelled], Iterator[T]],
    show: Callable[[T], Any] = lambda _: gr.skip(),
    count: int = 1,
) -> Iterator[Any]:
    """Run ``work`` and yield what ``show`` makes of each of its results (``count`` values), then the Stop button.

    A second start by the same visitor, Stop, and leaving the page all end the first within a token of the model.
    """
    stops.press(request)
    stop = stops.begin(request)
    nothing = (gr.skip(),) * count
    yield *nothing, gr.Button(visible=True)
    try:
        with sentences():
            for result in relay(work(stop.is_set), stop):
                shown = show(result)
                yield *(shown if count > 1 else (shown,)), gr.skip()
    except gr.Error as error:
        if not isinstance(error.__cause__, WasCancelled):
            yield *nothing, gr.Button(visible=False)
            raise
    yield *nothing, gr.Button(visible=False)


def stop_button(elem_id: str) -> gr.Button:
    return gr.Button("Stop", size="sm", visible=False, elem_id=elem_id, min_width=80, scale=0)


def chosen(sha256: str | None, segment: int | None) -> tuple[str, int]:
    """What a visitor chose; a sentence if that is nothing."""
    if not sha256 or segment is None:
        raise gr.Error("Choose a document and a segment.", title="Nothing to show", print_exception=False)
    return sha256, int(segment)
