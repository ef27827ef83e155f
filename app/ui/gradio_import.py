"""Import gradio in half the time, without the type stubs that gradio writes beside its own files at every import."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_stubs() -> Iterator[None]:
    """Keep an import of gradio within the block from reading, parsing and writing anew the sources of 80 classes.

    Gradio makes no stub of a component whose file Python does not know, so for the block Python knows none of them.
    """
    file_of = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("a component of gradio")
        return file_of(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = file_of
