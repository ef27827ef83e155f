"""Limits what glibc keeps of memory that was freed. With another C library nothing is done."""

from __future__ import annotations

import contextlib
import ctypes

#: The parameter of ``mallopt``, and how many arenas threads share: each keeps the most that it ever held, and glibc
#: makes up to eight for every core.
M_ARENA_MAX, ARENAS = -8, 2


def limit_arenas() -> None:
    """Cap the arenas of glibc's allocator (mallopt, M_ARENA_MAX). Call it before threads start."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return free pages of every arena to the system: what lies between blocks in use stays resident otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
