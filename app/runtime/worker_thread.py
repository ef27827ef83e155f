"""One thread on which a model computes, whichever thread asks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_END = object()


class WorkerThread:
    """A thread of its own for a model that is used by one caller at a time.

    torch gives every thread that computes a team of workers, and the allocator an arena: on the threads of the callers
    there would be as many as visitors.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "model")

    def pieces(self, work: Callable[[], Iterable[T]]) -> Generator[T]:
        """Yield the pieces of ``work()``, each made when it is asked for. Raises what ``work`` raises."""
        made = self._thread.submit(lambda: iter(work())).result()
        try:
            while (piece := self._thread.submit(next, made, _END).result()) is not _END:
                yield piece  # type: ignore[misc]
        finally:
            if close := getattr(made, "close", None):
                self._thread.submit(close).result()
