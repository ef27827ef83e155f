"""Format numbers for people: bytes, seconds, counts, dates."""

from __future__ import annotations


def readable_bytes(nbytes: float) -> str:
    """Format bytes in binary units with three figures: ``0 B``, ``512 B``, ``22.5 KiB``, ``1.21 MiB``."""
    value, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 999.5:
            break
        value, unit = value / 1024, larger
    if unit == "B" or value >= 99.95:
        return f"{value:.0f} {unit}"
    return f"{value:.1f} {unit}" if value >= 9.995 else f"{value:.2f} {unit}"


def duration(seconds: float) -> str:
    """Format how long something takes, in whole seconds: ``8 s``, ``1 min 20 s``."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def measured_seconds(seconds: float) -> str:
    """Format a time by the clock: ``0.32 s``, ``12.4 s``, ``-0.10 s``."""
    return f"{seconds:.2f} s" if abs(seconds) < 10 else f"{seconds:.1f} s"


def counted(number: int, noun: str) -> str:
    """Format a number with its noun: ``1 segment``, ``1,200 segments``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def minute(timestamp: str) -> str:
    """Format an ISO 8601 time to the minute: ``2026-01-02 03:04``."""
    return timestamp[:16].replace("T", " ")
