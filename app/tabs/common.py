"""What the tabs share: errors as sentences, choices of documents, and who may be told to stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import gradio as gr

from app.errors import WorkbenchError
from app.readers import ReadError
from app.workbench import Workbench
from ccf_core import CCFError
from store import StoreError

#: What a user can mend; the message says how.
MENDABLE = (WorkbenchError, ReadError, CCFError, StoreError)
T = TypeVar("T")
RATIOS = [("4x", 4), ("8x", 8), ("16x", 16), ("32x", 32)]


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors that a user can mend into the page's own."""
    try:
        yield
    except MENDABLE as error:
        raise gr.Error(str(error), title="That did not work", print_exception=False) from error


def choices(workbench: Workbench) -> list[tuple[str, str]]:
    return [(view.title, view.sha256) for view in workbench.documents()]


def one_document(workbench: Workbench, chosen: list[str], current: str | None) -> gr.Dropdown:
    """All documents to choose one from: the first that is ticked in the library, or the one chosen before."""
    available = choices(workbench)
    known = {sha for _, sha in available}
    return gr.Dropdown(choices=available, value=next((sha for sha in [*(chosen or []), current] if sha in known), None))


def relay(source: Iterator[T], stop: threading.Event) -> Iterator[T]:
    """Items of ``source``, which runs to its end on a thread of its own.

    A page that disappears in the middle presses ``stop`` and leaves; the work behind it ends by itself and gives the
    model back.
    """
    items: queue.SimpleQueue[tuple[T | None, BaseException | None, bool]] = queue.SimpleQueue()

    def run() -> None:
        try:
            for item in source:
                items.put((item, None, False))
            items.put((None, None, True))
        except BaseException as error:  # raised again where the page listens
            items.put((None, error, True))

    # In the same context, which says whose page it is.
    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        while True:
            item, error, ended = items.get()
            if error:
                raise error
            if ended:
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()


class Stops:
    """One switch a browser session and kind of work: pressed by a button, seen by the work."""

    def __init__(self) -> None:
        self._switches: dict[str, threading.Event] = {}

    def begin(self, request: gr.Request) -> threading.Event:
        switch = self._switches[str(request.session_hash)] = threading.Event()
        return switch

    def press(self, request: gr.Request) -> None:
        if switch := self._switches.get(str(request.session_hash)):
            switch.set()
