"""Memory that the C library keeps after it was freed. With a library other than glibc nothing is done."""

from __future__ import annotations

import contextlib
import ctypes

#: How many heaps threads share, as `mallopt` is told: each keeps the most that it ever held, and glibc makes sixteen.
M_ARENA_MAX, HEAPS = -8, 2


def few() -> None:
    """All threads allocate from a few heaps; only for those that do not have one yet."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Return free pages of every heap to the system: what lies between blocks in use stays resident otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
