"""Memories stored as another dtype: as small as they say, and made of an older database's without encoding."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from app import settings as app_settings
from app.runtime.distributed import Processes
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF, KVMemory
from ccf_core.memory.dtypes import MEMORY_DTYPES
from ccf_core.memory.file import load_memory


@pytest.fixture
def small(settings: Settings) -> Settings:
    return replace(settings, memory_dtype="int4")


@pytest.fixture(params=["int8", "bfloat16"])
def older(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    return replace(settings, memory_dtype=request.param)


@pytest.fixture
def old(older: Settings, prose, encoded: list[int]) -> tuple[str, int]:
    """A document compressed by a workbench that stores memories as they used to be, and its stored bytes."""
    with Workbench(older) as workbench:
        done = workbench.intake.ingest_text(prose(), "Log")
    encoded.clear()
    return done.document.sha256, done.stored_bytes


def same(one: KVMemory, other: KVMemory) -> bool:
    return one.dtype == other.dtype and all(
        (a.tensors()[name] == tensor).all() for (*_, a), (*_, b) in zip(one.parts(), other.parts(), strict=True)
        for name, tensor in b.tensors().items()
    )  # fmt: skip


def test_dtypes_to_choose_from_are_those_of_memories() -> None:
    assert app_settings.MEMORY_DTYPES == MEMORY_DTYPES == get_args(get_type_hints(Settings)["memory_dtype"])


def test_a_database_of_the_first_version_is_found_under_its_key(settings: Settings, prose, sql) -> None:
    with Workbench(settings) as workbench:
        workbench.intake.ingest_text(prose(), "Log")
    header = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype).header
    facts = json.dumps(asdict(header) | {"stored": "int8", "version": 1}, sort_keys=True)
    assert sql("SELECT model_key FROM memories") == [(hashlib.sha256(facts.encode()).hexdigest(),)]


def test_what_is_made_is_stored_read_and_answered_as_int4(small: Settings, prose, encoded: list[int]) -> None:
    with Workbench(small) as workbench:
        sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
        encoded.clear()
        memory = workbench.memories.recall(sha256, 8).memory
        ccf = CCF.from_pretrained(small.adapter, small.base, small.device, small.dtype)
        assert memory.dtype == workbench.model.info()["memory_dtype"] == "int4"
        *_, answer = workbench.asking.ask("Where?", [sha256], 8)
        assert answer.text == ccf.answer("Where?", memory).text
        # What the decoder held is floating, whatever it was made of.
        assert answer.kv_bytes == ccf.decoder.prefix(memory).nbytes == memory.slots * ccf.token_kv_bytes * 2
        assert encoded == []
        text = workbench.library.text(sha256)
        assert same(memory, ccf.compress(text).quantize("int4").at(8))
        savings = workbench.savings.sizes(sha256)
        assert savings.stored_dtype == "int4"
        assert savings.stored_bytes == workbench.library.document(sha256).stored_bytes > memory.nbytes


def test_an_old_database_becomes_int4_without_the_encoder(small: Settings, older, old, encoded) -> None:
    sha256, nbytes = old
    with Workbench(older) as workbench:
        before = workbench.memories.recall(sha256, 8).memory
    with Workbench(small) as workbench:
        workbench.model.load()
        assert workbench.library.document(sha256).state == "ready"
        recalled = workbench.memories.recall(sha256, 8)
        assert recalled.notes == ()
        assert same(recalled.memory, before.quantize("int4"))
        assert {level for _, level, _ in workbench.memories.recall(sha256, 4).memory.parts()} == {4, 8, 16, 32}
        # The old memory is gone: all that is stored is what the savings count.
        assert workbench.library.document(sha256).stored_bytes == workbench.savings.sizes(sha256).stored_bytes
        assert before.nbytes > recalled.memory.nbytes
    assert encoded == []
    assert nbytes > 0


@pytest.mark.parametrize("door", ["savings", "compress"])
def test_savings_and_compressing_take_over_an_old_memory_too(small: Settings, old, encoded, door: str) -> None:
    sha256, _ = old
    with Workbench(small) as workbench:
        done = workbench.savings.sizes(sha256) if door == "savings" else workbench.intake.compress(sha256)
        assert done.stored_bytes == workbench.library.document(sha256).stored_bytes > 0
    assert encoded == []


def test_a_folder_is_stored_as_int4_and_what_is_there_is_not_encoded_again(
    small: Settings, old, prose, encoded, sql, tmp_path: Path
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for seed in (0, 1):
        (folder / f"{seed}.txt").write_text(prose(seed=seed), encoding="utf-8")
    with Workbench(small) as workbench:
        taken = workbench.folders.ingest(folder, Processes(), lambda *_: None)
        assert (taken.files, taken.cached, taken.encoded_segments) == (2, 1, len(encoded))
        encoded.clear()
        assert {workbench.memories.recall(sha256, 4).memory.dtype for sha256 in taken.documents} == {"int4"}
    assert encoded == []
    assert len(sql("SELECT id FROM memories")) == 2


def test_an_old_database_that_is_damaged_is_encoded_where_it_is(small: Settings, old, sql, encoded) -> None:
    sha256, _ = old
    sql("DELETE FROM memory_parts WHERE segment = 3 AND level = 4")
    sql("UPDATE blobs SET data = x'00' WHERE key = (SELECT key FROM memory_parts WHERE segment = 5 AND level = 32)")
    with Workbench(small) as workbench:
        memory = workbench.memories.recall(sha256, 4).memory
        assert memory.dtype == "int4"
        assert memory.segments == workbench.library.document(sha256).segments == 11
    assert len(encoded) == 2


def test_compressing_anew_leaves_nothing_of_the_old_memory(small: Settings, old, encoded, sql) -> None:
    sha256, _ = old
    with Workbench(small) as workbench:
        assert workbench.intake.compress(sha256, anew=True).encoded_segments == 11
        assert workbench.memories.recall(sha256, 4).memory.dtype == "int4"
    assert len(encoded) == 11
    assert len(sql("SELECT id FROM memories")) == 1


def test_a_database_is_as_before_under_the_dtype_that_made_it(older: Settings, old, encoded, tmp_path: Path) -> None:
    sha256, nbytes = old
    with Workbench(older) as workbench:
        assert workbench.memories.recall(sha256, 4).memory.dtype == older.memory_dtype
        assert workbench.savings.sizes(sha256).stored_bytes == nbytes
        assert load_memory(workbench.exports.memory(sha256, 4, tmp_path)).dtype == older.memory_dtype
    assert encoded == []


def test_smaller_memories_are_not_made_larger_but_compressed_again(settings: Settings, small, prose, encoded) -> None:
    with Workbench(small) as workbench:
        sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    encoded.clear()
    with Workbench(settings) as workbench:
        assert workbench.memories.recall(sha256, 4).memory.dtype == "int8"
    assert len(encoded) == 11
