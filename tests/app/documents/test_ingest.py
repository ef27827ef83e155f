"""Documents come in once, whole, and go on where they stopped."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from app.errors import DocumentTooLong
from app.parsers import EmptyDocument, ReadError, UndecodableText, UnsupportedDocument
from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from ccf_core import CCF, Cancelled, KVMemory
from store import DocumentNotFound

SEGMENT = 32


def stop_after(segments: int):
    """(progress, cancelled) that ask to stop once so many segments are stored."""
    steps: list[IngestProgress] = []
    return steps.append, lambda: sum(s.stage == "memory" and s.done > 0 for s in steps) >= segments


def same(a: KVMemory, b: KVMemory) -> bool:
    return (a.header, a.spans, a.ratio) == (b.header, b.spans, b.ratio) and all(
        torch.equal(x, y)
        for (_, _, left), (_, _, right) in zip(a.parts(), b.parts(), strict=True)
        for x, y in zip(left.tensors().values(), right.tensors().values(), strict=True)
    )


def test_what_is_stored_is_what_the_model_made(workbench: Workbench, settings: Settings, prose) -> None:
    done = workbench.intake.ingest_text(prose(), "Log")
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    made = ccf.compress(workbench.library.text(done.document.sha256)).quantize()
    for ratio in workbench.model.ratios:
        assert same(workbench.memories.recall(done.document.sha256, ratio).memory, made.at(ratio))
        assert done.slots[ratio] == made.at(ratio).slots
    assert (done.tokens, done.segments) == (made.tokens, made.segments)
    assert done.stored_bytes > made.nbytes


def test_stages_come_in_order_and_tokens_add_up(workbench: Workbench, prose) -> None:
    steps: list[IngestProgress] = []
    done = workbench.intake.ingest(prose().encode(), "log.txt", steps.append)
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages == ["received", "text", "segments", "memory", "stored"]
    counted = [step for step in steps if step.stage == "memory"]
    assert [step.done for step in counted] == [*range(0, done.tokens, SEGMENT), done.tokens]
    assert {step.total for step in counted} == {done.tokens}
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert steps[-1].fraction == 1.0
    assert counted[-1].seconds_left == 0.0
    assert done.document.state == "ready"
    assert done.document.title == "log"


def test_a_document_seen_before_is_never_encoded_again(
    workbench: Workbench, settings: Settings, prose, encoded
) -> None:
    first = workbench.intake.ingest(prose().encode(), "log.txt")
    assert (first.from_cache, first.encoded_segments) == (False, first.segments)
    assert sum(encoded) == first.tokens
    encoded.clear()
    again = workbench.intake.ingest(b"\xef\xbb\xbf" + prose().encode(), "other name.md")
    workbench.intake.compress(first.document.sha256)
    with Workbench(settings) as later:
        later.intake.ingest_text(prose(), "pasted")
    assert encoded == []
    assert (again.from_cache, again.encoded_segments, again.tokens_per_s) == (True, 0, 0.0)
    assert (again.stored_bytes, again.slots) == (first.stored_bytes, first.slots)
    assert [d.title for d in workbench.library.documents()] == ["log"]


def test_another_adapter_has_memories_of_its_own(
    workbench: Workbench, settings: Settings, prose, encoded, tmp_path
) -> None:
    done = workbench.intake.ingest_text(prose(), "Log")
    other = CCF.from_pretrained(settings.adapter, settings.base, device="cpu", dtype="float32").adapter
    replace(other, config=replace(other.config, segment_length=16)).save(tmp_path / "other")
    encoded.clear()
    with Workbench(replace(settings, adapter=tmp_path / "other")) as second:
        second.model.load()
        assert second.library.document(done.document.sha256).state == "text"
        assert second.intake.compress(done.document.sha256).from_cache is False
    assert sum(encoded) == done.tokens
    assert workbench.intake.compress(done.document.sha256).from_cache is True
    assert workbench.library.document(done.document.sha256).state == "ready"


@pytest.mark.parametrize("finished", [1, 5, 10])
def test_an_interrupted_ingest_goes_on_where_it_stopped(
    workbench: Workbench, settings: Settings, prose, encoded, finished: int
) -> None:
    progress, cancelled = stop_after(finished)
    with pytest.raises(Cancelled, match="kept"):
        workbench.intake.ingest_text(prose(), "Log", progress, cancelled)
    (half,) = workbench.library.documents()
    assert (half.state, half.compressed_segments) == ("partial", finished)
    workbench.close()
    encoded.clear()
    with Workbench(settings) as later:
        steps: list[IngestProgress] = []
        done = later.intake.ingest_text(prose(), "Log", steps.append)
        assert done.encoded_segments == len(encoded) == done.segments - finished
        assert next(s.done for s in steps if s.stage == "memory") == finished * SEGMENT
        assert later.library.document(done.document.sha256).state == "ready"
        whole = later.memories.recall(done.document.sha256, 4).memory
        later.intake.compress(done.document.sha256, anew=True)
        assert same(later.memories.recall(done.document.sha256, 4).memory, whole)


def test_a_crash_keeps_what_was_stored(workbench: Workbench, prose, encoded) -> None:
    def crash(step: IngestProgress) -> None:
        if step.done == 3 * SEGMENT:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workbench.intake.ingest_text(prose(), "Log", crash)
    (half,) = workbench.library.documents()
    assert half.compressed_segments == 3
    assert workbench.intake.compress(half.sha256).encoded_segments == 11 - 3


def test_concurrent_ingests_of_one_document_encode_it_once(workbench: Workbench, prose, encoded) -> None:
    start = threading.Barrier(4)

    def ingest(_: int):
        start.wait()
        return workbench.intake.ingest_text(prose(), "Log")

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(ingest, range(4)))
    assert len(encoded) == done[0].segments
    assert sorted(one.from_cache for one in done) == [False, True, True, True]
    assert len(workbench.library.documents()) == 1


def test_documents_of_several_threads_all_arrive(workbench: Workbench, prose) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda seed: workbench.intake.ingest_text(prose(100, seed), f"Log {seed}"), range(6)))
    assert {d.sha256 for d in workbench.library.documents()} == {one.document.sha256 for one in done}
    assert all(d.state == "ready" for d in workbench.library.documents())


def test_compressing_anew_encodes_everything(workbench: Workbench, prose, encoded) -> None:
    done = workbench.intake.ingest_text(prose(), "Log")
    encoded.clear()
    assert workbench.intake.compress(done.document.sha256, anew=True).encoded_segments == len(encoded) == done.segments


def test_a_document_that_is_too_long_is_refused_and_leaves_nothing(settings: Settings, prose, encoded) -> None:
    with Workbench(replace(settings, max_tokens=100)) as workbench:
        with pytest.raises(DocumentTooLong, match="the limit is 100"):
            workbench.intake.ingest_text(prose(), "Log")
        assert workbench.library.documents() == []
        # Nor does it vanish without a word from the queue.
        workbench.queue.add_text(prose(), "Log")
        workbench.queue.work()
        ((state, reason),) = [(job.state, job.reason) for job in workbench.queue.list()]
        assert (state, "the limit is 100" in reason) == ("failed", True)
        assert workbench.library.documents() == []
    assert encoded == []


def test_a_stored_document_survives_a_lower_limit(workbench: Workbench, settings: Settings, prose) -> None:
    done = workbench.intake.ingest_text(prose(), "Log")
    with Workbench(replace(settings, max_tokens=100)) as strict:
        with pytest.raises(DocumentTooLong):
            strict.intake.ingest_text(prose(), "Log")
        assert [d.sha256 for d in strict.library.documents()] == [done.document.sha256]


def test_a_document_deleted_meanwhile_stays_deleted(workbench: Workbench, prose) -> None:
    def delete(step: IngestProgress) -> None:
        if step.done == 2 * SEGMENT:
            workbench.library.delete(workbench.library.documents()[0].sha256)

    with pytest.raises(DocumentNotFound):
        workbench.intake.ingest_text(prose(), "Log", delete)
    assert workbench.library.documents() == []
    assert workbench.library.stats().blobs == 0


def test_a_text_of_three_tokens(workbench: Workbench) -> None:
    done = workbench.intake.ingest_text("xyz")
    assert (done.tokens, done.segments) == (3, 1)
    assert done.slots == {4: 1, 8: 1, 16: 1, 32: 1}
    assert done.document.title == "xyz"


@pytest.mark.parametrize(
    ("data", "filename", "error"),
    [
        (b"", "empty.txt", EmptyDocument),
        (b" \n\t ", "blank.md", EmptyDocument),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "renamed.txt", UnsupportedDocument),
        (b"\xff\xfe" + bytes(range(256)) * 8, "old.txt", UndecodableText),
    ],
)
def test_bad_files_get_a_sentence_and_leave_nothing(
    workbench: Workbench, data: bytes, filename: str, error: type[ReadError]
) -> None:
    with pytest.raises(error) as caught:
        workbench.intake.ingest(data, filename)
    assert str(caught.value).endswith(".")
    assert workbench.library.documents() == []
    assert workbench.model.state.status == "absent"


def test_pasted_text_with_half_a_character_is_read_with_a_note(workbench: Workbench) -> None:
    done = workbench.intake.ingest_text("fog \ud800 and rain")
    assert done.notes == ("3 bytes that are no UTF-8 were replaced by “\ufffd”.",)


def test_a_file_is_refused_by_its_size_before_it_is_read(workbench: Workbench, tmp_path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(ReadError, match="limit"):
        workbench.intake.ingest_file(path)


def test_reader_notes_reach_the_user(workbench: Workbench) -> None:
    done = workbench.intake.ingest(b"fog and rain", "renamed.pdf")
    assert len(done.notes) == 1
    assert done.document.media_type == "text/plain"


def test_cancelled_before_the_first_segment(workbench: Workbench, prose, encoded) -> None:
    steps: list[IngestProgress] = []
    with pytest.raises(Cancelled):
        workbench.intake.ingest_text(
            prose(), "Log", steps.append, lambda: any(step.stage == "segments" for step in steps)
        )
    assert encoded == []
    assert workbench.library.documents()[0].state == "text"
