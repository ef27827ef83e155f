"""Freed memory goes back to the system."""

import platform

import psutil
import pytest

from app.runtime import malloc

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")


def test_pages_between_blocks_in_use_are_given_back():
    process = psutil.Process()
    blocks = [bytes(4096) for _ in range(20_000)]
    kept = blocks[::1000]
    blocks.clear()
    held = process.memory_info().rss
    malloc.give_back()
    assert len(kept) == 20
    assert held - process.memory_info().rss > 40e6
