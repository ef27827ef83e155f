"""Run work that a user can stop: a Stop button, another start, and leaving the page all end it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

import gradio as gr

from app.types import CancelCheck
from app.ui.widgets import QUIET, sentences
from ccf_core import Cancelled

T = TypeVar("T")
SMALL: dict[str, Any] = {"size": "sm", "min_width": 80, "scale": 0}


class StopButton:
    """A hidden Stop button, and for each browser session the switch that it presses and the work looks at."""

    def __init__(self, elem_id: str, **look: Any) -> None:
        self.button = gr.Button("Stop", visible=False, elem_id=elem_id, **(SMALL | look))
        self._switches: dict[str, threading.Event] = {}
        self.button.click(self.press, queue=False, **QUIET)

    def begin(self, request: gr.Request) -> threading.Event:
        """Make a new switch for the session of ``request``; Stop presses the one made last."""
        switch = self._switches[str(request.session_hash)] = threading.Event()
        return switch

    def adopt(self, request: gr.Request, switch: threading.Event) -> None:
        """Let Stop press a switch that was made for another session, such as the page before a reload."""
        self._switches[str(request.session_hash)] = switch

    def press(self, request: gr.Request) -> None:
        """End the session's work."""
        if switch := self._switches.get(str(request.session_hash)):
            switch.set()


def stoppable(
    stop: StopButton,
    request: gr.Request,
    work: Callable[[CancelCheck], Iterator[T]],
    show: Callable[[T], Any] = lambda _: gr.skip(),
    count: int = 1,
) -> Iterator[Any]:
    """Run ``work`` and yield what ``show`` makes of each of its results (``count`` values), then the Stop button.

    A second start by the same visitor, Stop, and leaving the page all end the first within a token of the model.
    """
    stop.press(request)
    switch = stop.begin(request)
    nothing = (gr.skip(),) * count
    yield *nothing, gr.Button(visible=True)
    try:
        with sentences():
            for result in relay(work(switch.is_set), switch):
                shown = show(result)
                yield *(shown if count > 1 else (shown,)), gr.skip()
    except gr.Error as error:
        if not isinstance(error.__cause__, Cancelled):
            yield *nothing, gr.Button(visible=False)
            raise
    yield *nothing, gr.Button(visible=False)


def relay(source: Iterator[T], switch: threading.Event, *, goes_on: bool = False) -> Iterator[T]:
    """Run ``source`` to its end on a thread of its own, from now on, and return an iterator of its items.

    A page that disappears in the middle presses ``switch`` and leaves; the work behind it ends by itself and gives the
    model back. With ``goes_on`` it is done to its end.
    """
    items: queue.SimpleQueue[tuple[T | None, BaseException | None, bool]] = queue.SimpleQueue()

    def run() -> None:
        try:
            for item in source:
                items.put((item, None, False))
            items.put((None, None, True))
        except BaseException as error:  # raised again where the page listens
            items.put((None, error, True))

    # In the caller's context, which says whose page it is.
    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()

    def relayed() -> Iterator[T]:
        try:
            while True:
                item, error, ended = items.get()
                if error:
                    raise error
                if ended:
                    return
                yield item  # type: ignore[misc]
        finally:
            if not goes_on:
                switch.set()

    return relayed()
