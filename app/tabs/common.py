"""What the tabs share: errors as sentences, choices of documents, and who may be told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr

from app.errors import WorkbenchError
from app.readers import ReadError
from app.workbench import Workbench
from ccf_core import CCFError
from store import StoreError

#: What a user can mend; the message says how.
MENDABLE = (WorkbenchError, ReadError, CCFError, StoreError)
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


class Stops:
    """One switch a browser session and kind of work: pressed by a button, seen by the work."""

    def __init__(self) -> None:
        self._switches: dict[str, threading.Event] = {}

    def begin(self, request: gr.Request) -> Callable[[], bool]:
        switch = self._switches[str(request.session_hash)] = threading.Event()
        return switch.is_set

    def press(self, request: gr.Request) -> None:
        if switch := self._switches.get(str(request.session_hash)):
            switch.set()

    def forget(self, request: gr.Request) -> None:
        """The session is gone: its work has nobody to show itself to."""
        self.press(request)
        self._switches.pop(str(request.session_hash), None)
