"""Numbers as people read them."""

from __future__ import annotations

import pytest

from app.ui.format import counted, duration, measured_seconds, minute, readable_bytes


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [(0, "0 B"), (999, "999 B"), (23_040, "22.5 KiB"), (1_268_777, "1.21 MiB"), (150 * 1024**3, "150 GiB")],
)
def test_bytes_are_said_in_three_figures(nbytes: int, said: str) -> None:
    assert readable_bytes(nbytes) == said


def test_times_are_said_in_the_unit_that_suits_them() -> None:
    assert [duration(s) for s in (-1, 7.6, 60, 80)] == ["0 s", "8 s", "1 min 0 s", "1 min 20 s"]
    assert [measured_seconds(s) for s in (0.321, 12.36, -0.1)] == ["0.32 s", "12.4 s", "-0.10 s"]
    assert minute("2026-01-02T03:04:05.678Z") == "2026-01-02 03:04"


def test_one_is_not_a_plural() -> None:
    assert [counted(n, "segment") for n in (0, 1, 1_200)] == ["0 segments", "1 segment", "1,200 segments"]
