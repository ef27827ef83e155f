"""Memories come out of the database as they went in, or are made again and said to be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from app.errors import NoSegment, NotAnswerable
from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from ccf_core import Cancelled, KVMemory
from store import DocumentNotFound


@pytest.fixture
def sha256(workbench: Workbench, prose, encoded: list[int]) -> str:
    done = workbench.intake.ingest_text(prose(), "Log")
    encoded.clear()
    return done.document.sha256


@pytest.fixture
def spoil(sql) -> Callable[..., None]:
    """Overwrite the stored bytes of one level of one segment."""

    def run(segment: int, level: int, data: bytes | None = None) -> None:
        where = "WHERE key = (SELECT key FROM memory_parts WHERE segment = ? AND level = ?)"
        ((old,),) = sql(f"SELECT data FROM blobs {where}", segment, level)
        flipped = old[:-1] + bytes([old[-1] ^ 1])
        sql(f"UPDATE blobs SET data = ? {where}", data or flipped, segment, level)

    return run


def tensors(memory: KVMemory) -> torch.Tensor:
    return torch.cat([t.double().flatten() for _, _, b in memory.parts() for t in b.tensors().values()])


def test_stored_memories_come_back_without_the_encoder(workbench: Workbench, sha256, encoded) -> None:
    recalled = workbench.memories.recall(sha256, 8)
    assert recalled.notes == ()
    assert recalled.memory.segments == 11
    assert {level for _, level, _ in recalled.memory.parts()} == {8, 16, 32}
    assert encoded == []


def test_a_document_of_ten_thousand_tokens_is_sliced_without_the_encoder(workbench: Workbench, prose, encoded) -> None:
    done = workbench.intake.ingest_text(prose(6_500), "Long log")
    assert sum(encoded) == done.tokens >= 10_000
    encoded.clear()
    for ratio in workbench.model.ratios:
        assert workbench.memories.recall(done.document.sha256, ratio).memory.slots == done.slots[ratio]
    assert encoded == []


def test_one_flipped_bit_is_seen_and_never_served(workbench: Workbench, sha256, encoded, spoil, caplog) -> None:
    sound = tensors(workbench.memories.recall(sha256, 4).memory)
    spoil(2, 8)
    with caplog.at_level(logging.WARNING):
        recalled = workbench.memories.recall(sha256, 4)
    assert torch.equal(tensors(recalled.memory), sound)
    assert encoded == [32]
    assert recalled.notes == (
        "The database held 1 of 11 segments of “Log” damaged; it was compressed again from the text.",
    )
    assert "segment 2, level 8" in caplog.text
    assert workbench.memories.recall(sha256, 4).notes == ()
    assert encoded == [32]


def test_a_level_that_is_not_needed_is_not_read(workbench: Workbench, sha256, encoded, spoil) -> None:
    spoil(2, 4)
    assert workbench.memories.recall(sha256, 8).notes == ()
    assert encoded == []
    assert len(workbench.memories.recall(sha256, 4).notes) == 1


def test_bytes_of_another_shape_are_refused_even_under_their_own_digest(
    workbench: Workbench, sha256, encoded, sql
) -> None:
    sound = tensors(workbench.memories.recall(sha256, 4).memory)
    part = "SELECT key FROM memory_parts WHERE segment = ? AND level = ?"
    ((data, digest),) = sql(f"SELECT data, digest FROM blobs JOIN memory_parts USING (key) WHERE key = ({part})", 0, 32)
    sql(f"UPDATE blobs SET data = ? WHERE key = ({part})", data, 1, 4)
    sql(f"UPDATE memory_parts SET digest = ? WHERE key = ({part})", digest, 1, 4)
    recalled = workbench.memories.recall(sha256, 4)
    assert torch.equal(tensors(recalled.memory), sound)
    assert encoded == [32]
    assert "damaged" in recalled.notes[0]
    assert workbench.memories.recall(sha256, 4).notes == ()


def test_an_answer_from_a_mended_memory_says_so(workbench: Workbench, sha256, spoil) -> None:
    *_, before = workbench.asking.ask("Where?", [sha256])
    spoil(0, 32)
    *_, after = workbench.asking.ask("Where?", [sha256])
    assert after.text == before.text
    assert before.notes == ()
    assert "damaged" in after.notes[0]


def test_missing_segments_are_made_again_and_told(workbench: Workbench, sha256, encoded, sql) -> None:
    sql("DELETE FROM blobs WHERE key IN (SELECT key FROM memory_parts WHERE segment = 4)")
    sql("DELETE FROM memory_parts WHERE segment = 4")
    assert workbench.library.document(sha256).state == "partial"
    steps: list[IngestProgress] = []
    recalled = workbench.memories.recall(sha256, 16, progress=steps.append)
    assert recalled.notes == ("The database did not hold 1 of 11 segments of “Log”; compressed now, from the text.",)
    assert encoded == [32]
    assert steps[-1].done == steps[-1].total
    assert workbench.library.document(sha256).state == "ready"


def test_memories_forgotten_under_the_cap_are_made_again(settings: Settings, prose, encoded) -> None:
    with Workbench(replace(settings, memory_cap_bytes=20_000)) as workbench:
        first = workbench.intake.ingest_text(prose(200, 1), "First")
        workbench.intake.ingest_text(prose(200, 2), "Second")
        assert workbench.library.document(first.document.sha256).state == "text"
        encoded.clear()
        recalled = workbench.memories.recall(first.document.sha256, 8)
    assert len(encoded) == recalled.memory.segments
    assert "did not hold" in recalled.notes[0]


def test_some_segments_alone(workbench: Workbench, sha256, spoil, encoded) -> None:
    spoil(0, 32)
    recalled = workbench.memories.recall(sha256, 8, [7, 3])
    assert [span.index for span in recalled.memory.spans] == [7, 3]
    assert (recalled.notes, encoded) == ((), [])


def test_wrong_ratios_segments_and_documents(workbench: Workbench, sha256) -> None:
    with pytest.raises(NotAnswerable, match="4, 8, 16, 32"):
        workbench.memories.recall(sha256, 5)
    for segment in (-1, 11):
        with pytest.raises(NoSegment, match="from 0 to 10"):
            workbench.memories.recall(sha256, 8, [segment])
    with pytest.raises(DocumentNotFound):
        workbench.memories.recall("0" * 64, 8)


def test_recalling_can_be_cancelled_and_keeps_what_was_made(workbench: Workbench, sha256, sql, encoded) -> None:
    sql("DELETE FROM memories")
    steps: list[IngestProgress] = []
    with pytest.raises(Cancelled):
        workbench.memories.recall(sha256, 8, None, steps.append, lambda: len(steps) > 3)
    assert workbench.library.document(sha256).compressed_segments == 3
