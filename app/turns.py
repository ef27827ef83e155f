"""Locks for many threads that share one model: served in rotation, given up when cancelled.

Unlike a ``threading.Lock`` a turn cannot be snatched by the thread that has just ended one, so a long ingest
lets a question in between two batches. It may end in another thread than it began in, as generators do.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.errors import Busy
from app.views import Cancelled as IsCancelled
from app.views import never
from ccf_core import Cancelled

LOOK_EVERY_S = 0.1
#: Where short turns wait, in the place of a name; no visitor is called so.
SHORT = "short turns"
#: Turns that one visitor may wait for, and from how many waiting in all on nobody may wait for a second one.
MOST_EACH, MOST = 4, 64
#: Set in threads that nobody sits before: they wait however many do.
BACKGROUND: ContextVar[bool] = ContextVar("BACKGROUND", default=False)


class _Ticket(threading.Event):
    """Set when the turn begins."""

    def __init__(self, whose: str, background: bool) -> None:
        super().__init__()
        self.whose = whose
        self.background = background


class Turns:
    """One holder at a time. Who waits is served in rotation by ``whose``, and each of these in the order of arrival.

    Not reentrant. "" is nobody in particular: one of the others in the rotation, but not limited in number. Short
    turns, of milliseconds, come before the others, which they hardly keep waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: In the order of the next turns.
        self._waiting: OrderedDict[str, deque[_Ticket]] = OrderedDict()
        self._holder: str | None = None

    @contextmanager
    def turn(self, cancelled: IsCancelled = never, whose: str = "", short: bool = False) -> Iterator[None]:
        """Wait for one's turn and hold it.

        Raises Cancelled if ``cancelled()`` turns true while waiting, and Busy, at once, if too many wait already.
        """
        begun, place = _Ticket(whose, BACKGROUND.get()), SHORT if short else whose
        with self._lock:
            if whose and not begun.background:
                self._check(whose)
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
                    if whose in self._waiting and not short:
                        self._waiting.move_to_end(whose)
                else:
                    self._give_up(place, begun)
                self._begin_next()

    def ahead(self, whose: str) -> int | None:
        """Turns before the next one of ``whose``, the one under way among them; None if they wait for none."""
        with self._lock:
            return self._before(whose) if whose in self._waiting else None

    def _begin_next(self) -> None:
        if self._holder is None and self._waiting:
            self._holder = next(iter(self._waiting))
            begun = self._waiting[self._holder][0]
            self._give_up(self._holder, begun)
            begun.set()

    def _give_up(self, whose: str, ticket: _Ticket) -> None:
        self._waiting[whose].remove(ticket)
        if not self._waiting[whose]:
            del self._waiting[whose]

    def _before(self, whose: str) -> int:
        others = [one for one in self._waiting if one != self._holder]
        under_way = self._holder is not None
        return under_way + (others.index(whose) if whose in others else len(others))

    def _check(self, whose: str) -> None:
        watched = [ticket for tickets in self._waiting.values() for ticket in tickets if not ticket.background]
        own, everybody = sum(ticket.whose == whose for ticket in watched), len(watched)
        if own >= MOST_EACH or (own and everybody >= MOST):
            raise Busy(
                f"The model is busy, {self._before(whose)} ahead of you, and {own} of your requests "
                f"{'waits' if own == 1 else 'wait'} already: try again when one of them is done."
            )


class KeyedTurns:
    """``Turns`` by key; a key costs nothing while nobody holds it or waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[Hashable, tuple[Turns, int]] = {}

    @contextmanager
    def turn(self, key: Hashable, cancelled: IsCancelled = never) -> Iterator[None]:
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
