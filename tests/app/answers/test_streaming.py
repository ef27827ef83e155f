"""A document is compressed as a stream: what is held does not grow with it, beyond its text and its tokens."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from ccf_core import Block
from tests.peak_memory import measure

SEGMENT, BATCH, LEVELS = 32, 8, 4


def alive() -> int:
    return sum(type(one) is Block for one in gc.get_objects())


@pytest.mark.parametrize("words", [400, 1600])
def test_no_more_blocks_are_alive_than_one_batch_has(workbench: Workbench, prose, words: int) -> None:
    before, most = alive(), 0

    def look(step: IngestProgress) -> None:
        nonlocal most
        # Looking takes long: at every fifth segment, which is another one of each batch.
        if step.done % (5 * SEGMENT) == 0:
            most = max(most, alive())

    done = workbench.intake.ingest_text(prose(words), "Log", look)
    assert done.segments > 16
    assert 0 < most - before <= BATCH * LEVELS
    assert alive() == before


def test_encoding_takes_no_more_memory_of_a_document_ten_times_as_long(workbench: Workbench, prose) -> None:
    def peak(words: int) -> int:
        """Bytes allocated by Python while segments are encoded and stored, over those at the start of it."""
        at_start = highest = 0

        def look(step: IngestProgress) -> None:
            nonlocal at_start, highest
            if step.stage == "memory" and step.done == 0:
                at_start = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
            highest = tracemalloc.get_traced_memory()[1]

        tracemalloc.start()
        try:
            workbench.intake.ingest_text(prose(words, seed=words), "Log", look)
        finally:
            tracemalloc.stop()
        return highest - at_start

    workbench.intake.ingest_text(prose(500), "Warm")
    short, long = peak(500), peak(5000)
    # A list of the segments that are missing, their offsets and a row of batches belong to each.
    segments = len(prose(5000)) // SEGMENT
    assert long <= short + 300 * segments


def test_the_command_measures_a_process(settings: Settings, tmp_path: Path) -> None:
    tokens, text, before, peak, more, stored = measure(400, settings)
    assert 396 <= tokens <= 404
    assert 0 < text < 0.01 < stored < before <= peak
    assert more == pytest.approx(peak - before)
