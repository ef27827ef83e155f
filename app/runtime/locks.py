"""Fair locks for many threads that share one model: visitors are served in rotation, and waiting can be cancelled.

A thread that has just released a ``threading.Lock`` may take it again before all others; a ``FairLock`` goes to the
next in line, so a question comes between two batches of a long ingest. It may be released by another thread than the
one that took it, as happens to generators.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.errors import Busy
from app.types import CancelCheck, never
from ccf_core import Cancelled

LOOK_EVERY_S = 0.1
#: The place in line of short turns, instead of a visitor's name; no visitor is called so.
SHORT = "short turns"
#: Requests of one visitor that may wait. Above ``BUSY_AT`` waiting in all, each visitor may have only one.
MAX_PER_VISITOR, BUSY_AT = 4, 64
#: Set in threads that work for nobody in particular: they wait however many do.
BACKGROUND: ContextVar[bool] = ContextVar("BACKGROUND", default=False)


class _Ticket(threading.Event):
    """An event that is set when the lock is given to its owner."""

    def __init__(self, visitor: str, background: bool) -> None:
        super().__init__()
        self.visitor = visitor
        self.background = background


class FairLock:
    """A lock with one holder at a time, given to visitors in rotation, and to each in the order of arrival.

    Not reentrant. The visitor "" is nobody in particular: one of the others in the rotation, but not limited in number.
    Short turns, of milliseconds, come before the others, which they hardly keep waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Waiting tickets by visitor, those served next first.
        self._waiting: OrderedDict[str, deque[_Ticket]] = OrderedDict()
        self._holder: str | None = None

    @contextmanager
    def hold(self, cancelled: CancelCheck = never, visitor: str = "", short: bool = False) -> Iterator[None]:
        """Wait for the lock and hold it for the block.

        Raises Cancelled if ``cancelled()`` turns true while waiting, and Busy, at once, if too many wait already.
        """
        begun, place = _Ticket(visitor, BACKGROUND.get()), SHORT if short else visitor
        with self._lock:
            if visitor and not begun.background:
                self._check(visitor)
            self._waiting.setdefault(place, deque()).append(begun)
            if short:
                self._waiting.move_to_end(SHORT, last=False)
            self._begin_next()
        try:
            while not begun.is_set():
                if cancelled():
                    raise Cancelled("Cancelled while waiting; nothing was changed.")
                begun.wait(None if cancelled is never else LOOK_EVERY_S)
            yield
        finally:
            with self._lock:
                if begun.is_set():
                    self._holder = None
                    if visitor in self._waiting and not short:
                        self._waiting.move_to_end(visitor)
                else:
                    self._give_up(place, begun)
                self._begin_next()

    def ahead(self, visitor: str) -> int | None:
        """Count the holders before the next turn of ``visitor``, the present one included; None if it does not wait."""
        with self._lock:
            return self._before(visitor) if visitor in self._waiting else None

    def _begin_next(self) -> None:
        if self._holder is None and self._waiting:
            self._holder = next(iter(self._waiting))
            begun = self._waiting[self._holder][0]
            self._give_up(self._holder, begun)
            begun.set()

    def _give_up(self, visitor: str, ticket: _Ticket) -> None:
        self._waiting[visitor].remove(ticket)
        if not self._waiting[visitor]:
            del self._waiting[visitor]

    def _before(self, visitor: str) -> int:
        others = [one for one in self._waiting if one != self._holder]
        under_way = self._holder is not None
        return under_way + (others.index(visitor) if visitor in others else len(others))

    def _check(self, visitor: str) -> None:
        watched = [ticket for tickets in self._waiting.values() for ticket in tickets if not ticket.background]
        own, everybody = sum(ticket.visitor == visitor for ticket in watched), len(watched)
        if own >= MAX_PER_VISITOR or (own and everybody >= BUSY_AT):
            raise Busy(
                f"The model is busy, {self._before(visitor)} ahead of you, and {own} of your requests "
                f"{'waits' if own == 1 else 'wait'} already: try again when one of them is done."
            )


class KeyedLock:
    """A ``FairLock`` for each key; a key costs nothing while nobody holds it or waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, tuple[FairLock, int]] = {}

    @contextmanager
    def hold(self, key: Hashable, cancelled: CancelCheck = never) -> Iterator[None]:
        """Wait for the lock of a key and hold it for the block; see ``FairLock.hold``."""
        with self._lock:
            turns, users = self._turns.get(key, (FairLock(), 0))
            self._turns[key] = turns, users + 1
        try:
            with turns.hold(cancelled):
                yield
        finally:
            with self._lock:
                users = self._turns[key][1] - 1
                if users:
                    self._turns[key] = turns, users
                else:
                    del self._turns[key]

    def busy(self, key: Hashable) -> bool:
        """Tell whether anybody holds the key or waits for the lock."""
        with self._lock:
            return key in self._turns
