"""Disks that are full or fail, files that are not there, too little memory: said in a sentence, nothing lost."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from app.settings import Settings
from app.workbench import Workbench
from ccf_core import Adapter, AdapterError, KVMemory
from ccf_core.errors import OutOfMemory
from ccf_core.model.decoder import Decoder
from ccf_core.model.encoder import Encoder
from store import DocumentDamaged, StoreUnavailable

resource = pytest.importorskip("resource", reason="no limits on this platform")
QUESTION = "How many ships?"


@contextmanager
def pragma(workbench: Workbench, name: str, value: int, after: int) -> Iterator[None]:
    """A setting of this thread's connection, and what it is afterwards."""
    with workbench.store.transaction() as db:
        db.execute(f"PRAGMA {name} = {value}").fetchall()
    try:
        yield
    finally:
        db.execute(f"PRAGMA {name} = {after}").fetchall()


def full(workbench: Workbench, more: int = 0):
    """A disk with room for so many pages more."""
    with workbench.store.transaction() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    return pragma(workbench, "max_page_count", pages + more, 2**30)


@contextmanager
def failing_disk() -> Iterator[None]:
    """No file of this process grows beyond 64 KB, and every write that would is an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def same(a: KVMemory, b: KVMemory) -> bool:
    return a.spans == b.spans and all(
        torch.equal(x, y)
        for (_, _, left), (_, _, right) in zip(a.parts(), b.parts(), strict=True)
        for x, y in zip(left.tensors().values(), right.tensors().values(), strict=True)
    )


@pytest.mark.parametrize("room", [20, 60])
def test_a_full_disk_keeps_what_fits_and_the_rest_is_tried_again(workbench: Workbench, prose, room: int) -> None:
    old = workbench.intake.ingest_text(prose(50, 1), "Old").document.sha256
    before = workbench.memories.recall(old, 4).memory
    job = workbench.queue.add_text(prose(3_000), "New").id
    with full(workbench, room):
        assert workbench.queue.work()
        (failed,) = workbench.queue.list()
        assert (failed.state, "is full; free some space and try again." in failed.reason) == ("failed", True)
        assert same(workbench.memories.recall(old, 4).memory, before)
        assert [*workbench.asking.ask(QUESTION, [old])][-1].documents == (old,)
    kept = sum(view.compressed_segments for view in workbench.library.documents() if view.title == "New")
    workbench.queue.retry(job)
    assert workbench.queue.work()
    new = next(view for view in workbench.library.documents() if view.title == "New")
    assert new.state == "ready"
    assert new.segments is not None and room // 30 <= kept < new.segments
    whole = workbench.memories.recall(new.sha256, 4).memory
    workbench.intake.compress(new.sha256, anew=True)
    assert same(workbench.memories.recall(new.sha256, 4).memory, whole)


def test_the_queue_goes_on_by_itself_when_a_failing_disk_is_back(
    workbench: Workbench, prose, monkeypatch, caplog
) -> None:
    workbench.model.load()
    workbench.queue.add_text(prose(), "Log")
    monkeypatch.setattr("app.documents.queue.LOOK_EVERY_S", 0.05)
    with failing_disk():
        workbench.queue.start()
        until(lambda: "The queue cannot be used" in caplog.text)
        assert workbench.queue.list()[0].state in ("queued", "running")
    until(lambda: workbench.queue.list()[0].state == "stored")
    assert workbench.library.documents()[0].state == "ready"
    assert "check the disk and try again" in caplog.text


def test_a_database_that_turns_read_only_is_still_read(workbench: Workbench, prose) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    chat = workbench.conversations.new("Ships", [sha256])
    with pragma(workbench, "query_only", 1, 0):
        answer = [*workbench.asking.ask(QUESTION, [sha256])][-1]
        assert answer.notes == ()
        for write in (
            lambda: workbench.intake.ingest_text(prose(50, 1)),
            lambda: workbench.queue.add_text("fog"),
            lambda: workbench.library.delete(sha256),
            lambda: list(workbench.asking.ask(QUESTION, [sha256], chat=chat.id)),
        ):
            with pytest.raises(StoreUnavailable, match="make the file and its folder writable"):
                write()
    assert [view.sha256 for view in workbench.library.documents()] == [sha256]
    assert workbench.conversations.messages(chat.id) == []
    *_, again = workbench.asking.ask(QUESTION, [sha256], chat=chat.id)
    assert again.text == answer.text
    assert len(workbench.conversations.messages(chat.id)) == 2


def test_without_its_adapter_the_workbench_keeps_texts_and_goes_on_when_it_is_back(
    settings: Settings, prose, tmp_path
) -> None:
    adapter = tmp_path / "adapter"
    with Workbench(replace(settings, adapter=adapter)) as workbench:
        job = workbench.queue.add_text(prose(), "Log").id
        assert workbench.queue.work()
        assert workbench.queue.list()[0].reason.startswith(f"There is no adapter in {adapter}: point to a folder")
        assert [(view.title, view.state) for view in workbench.library.documents()] == [("Log", "unknown")]
        assert len(workbench.library.search("fog")) == 1
        Adapter.load(settings.adapter).save(adapter)
        (shard,) = adapter.glob("*.safetensors")
        whole = shard.read_bytes()
        shard.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(AdapterError, match="is damaged: copy the folder again"):
            workbench.model.load()
        shard.write_bytes(whole)
        workbench.queue.retry(job)
        assert workbench.queue.work()
        assert workbench.library.documents()[0].state == "ready"
        shutil.rmtree(adapter)
        assert [*workbench.asking.ask(QUESTION, [workbench.library.documents()[0].sha256])][-1].notes == ()


def test_an_adapter_that_is_not_what_its_card_says_is_refused(settings: Settings, tmp_path) -> None:
    adapter = tmp_path / "adapter"
    Adapter.load(settings.adapter).save(adapter)
    (adapter / "card.json").write_text(json.dumps({"fingerprint": Adapter.load(adapter).fingerprint}))
    with Workbench(replace(settings, adapter=adapter)) as workbench:
        workbench.model.load()
    (shard,) = adapter.glob("*.safetensors")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with Workbench(replace(settings, adapter=adapter)) as workbench, pytest.raises(AdapterError, match=r"card\.json"):
        workbench.model.load()


#: More than any machine has, asked for as a tensor and as a Python object: the errors are torch's and Python's own.
WANTING = [lambda: torch.empty(2**60, dtype=torch.uint8), lambda: bytearray(2**60)]


@pytest.mark.parametrize("want", WANTING)
def test_too_little_memory_while_compressing_loses_nothing(
    workbench: Workbench, prose, monkeypatch, encoded, want
) -> None:
    encode = Encoder.begin

    def short(self: Encoder, *args: object) -> object:
        if len(encoded) >= 8:
            want()
        return encode(self, *args)

    job = workbench.queue.add_text(prose(), "Log").id
    with monkeypatch.context() as patched:
        patched.setattr(Encoder, "begin", short)
        assert workbench.queue.work()
    (failed,) = workbench.queue.list()
    assert failed.reason.startswith("There is not enough memory for this: close other programs")
    (half,) = workbench.library.documents()
    assert (half.state, half.compressed_segments) == ("partial", 8)
    workbench.queue.retry(job)
    assert workbench.queue.work()
    assert workbench.library.documents()[0].state == "ready"
    assert len(encoded) == workbench.library.documents()[0].segments


@pytest.mark.parametrize("want", WANTING)
def test_too_little_memory_while_answering_gives_the_model_back(workbench: Workbench, prose, monkeypatch, want) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    chat = workbench.conversations.new("Ships", [sha256])
    with monkeypatch.context() as patched:
        patched.setattr(Decoder, "prefix", lambda *_: want())
        with pytest.raises(OutOfMemory, match="a coarser ratio, and try again"):
            list(workbench.asking.ask(QUESTION, [sha256], chat=chat.id))
    assert workbench.conversations.messages(chat.id) == []
    assert [*workbench.asking.ask(QUESTION, [sha256], chat=chat.id)][-1].documents == (sha256,)


def test_other_errors_of_the_model_keep_their_own_words(workbench: Workbench, prose, monkeypatch) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    monkeypatch.setattr(Decoder, "prefix", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        list(workbench.asking.ask(QUESTION, [sha256]))


def test_a_damaged_text_is_answered_from_nowhere_until_its_file_is_given_again(
    workbench: Workbench, settings: Settings, prose, sql, encoded
) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    sound = workbench.memories.recall(sha256, 4).memory
    sql("UPDATE documents SET text = replace(text, 'seven', 'eight')")
    encoded.clear()
    with Workbench(settings) as later:
        for use in (
            lambda: list(later.asking.ask(QUESTION, [sha256])),
            lambda: later.memories.recall(sha256, 4).memory,
            lambda: later.intake.compress(sha256, anew=True),
            lambda: later.library.text(sha256),
        ):
            with pytest.raises(
                DocumentDamaged, match="The text of “Log” is damaged in the database; add the same file"
            ):
                use()
        assert later.intake.ingest_text(prose(), "Log").from_cache
        assert same(later.memories.recall(sha256, 4).memory, sound)
    assert encoded == []
