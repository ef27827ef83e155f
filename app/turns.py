"""Locks for many threads that share one model: served in the order of arrival, given up when cancelled.

Unlike a ``threading.Lock`` a turn cannot be snatched by the thread that has just ended one, so a long ingest
lets a question in between two batches. It may end in another thread than it began in, as generators do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from ccf_core import Cancelled

LOOK_EVERY_S = 0.1


class Turns:
    """One holder at a time, first come, first served. Not reentrant."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def turn(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Wait for one's turn and hold it. Raises Cancelled if ``cancelled()`` turns true while waiting."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            self._wait(ticket, cancelled)
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _wait(self, ticket: object, cancelled: Callable[[], bool]) -> None:
        with self._changed:
            while self._queue[0] is not ticket:
                if cancelled():
                    raise Cancelled("Cancelled while waiting; nothing was changed.")
                self._changed.wait(LOOK_EVERY_S)


class KeyedTurns:
    """``Turns`` by key; a key costs nothing while nobody holds it or waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, tuple[Turns, int]] = {}

    @contextmanager
    def turn(self, key: Hashable, cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """See ``Turns.turn``."""
        with self._lock:
            turns, users = self._turns.get(key, (Turns(), 0))
            self._turns[key] = turns, users + 1
        try:
            with turns.turn(cancelled):
                yield
        finally:
            with self._lock:
                users = self._turns[key][1] - 1
                if users:
                    self._turns[key] = turns, users
                else:
                    del self._turns[key]

    def busy(self, key: Hashable) -> bool:
        """Whether anybody holds the key or waits for it."""
        with self._lock:
            return key in self._turns
