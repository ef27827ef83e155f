"""Tell whoever waits for a long reading how far it is, in words: "page 3 of 40 recognised"."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], object]


def _ignore(step: str) -> None: ...


_listener: Listener = _ignore


def listen(listener: Listener) -> None:
    """Have every further step of this process told to ``listener``, on the thread that takes the step."""
    global _listener
    _listener = listener


def tell(step: str) -> None:
    _listener(step)
