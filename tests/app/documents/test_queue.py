"""Whatever is dropped is queued, worked off in order, and kept until it has its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.documents.ingest import Intake
from app.documents.queue import CANCELLED
from app.parsers import DocumentTooLarge
from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from store import DocumentNotFound, JobNotFound


@pytest.fixture
def drop(workbench: Workbench, tmp_path: Path, prose) -> Callable[..., int]:
    """``drop(name, data)``: a file that is gone as soon as it is queued; the number of its job."""

    def run(name: str = "log.txt", data: bytes | None = None, seed: int = 0) -> int:
        path = tmp_path / name
        path.write_bytes(prose(200, seed).encode() if data is None else data)
        job = workbench.queue.add_file(path)
        path.unlink()
        return job.id

    return run


def states(workbench: Workbench) -> list[tuple[str, str]]:
    return [(job.name, job.state) for job in workbench.queue.list()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_files_are_done_in_the_order_of_arrival(workbench: Workbench, drop) -> None:
    for seed, name in enumerate(("a.txt", "b.txt", "c.txt")):
        drop(name, seed=seed)
    assert workbench.queue.work()
    assert states(workbench) == [("a.txt", "stored"), ("b.txt", "queued"), ("c.txt", "queued")]
    while workbench.queue.work():
        pass
    assert [d.state for d in workbench.library.documents()] == ["ready"] * 3
    outcome = workbench.queue.list()[0].outcome
    assert outcome is not None
    assert (outcome.title, outcome.segments, outcome.from_cache) == (
        "a",
        workbench.library.documents()[-1].segments,
        False,
    )
    workbench.queue.clear()
    assert workbench.queue.list() == []


def test_pasted_text_keeps_its_title_or_its_beginning(workbench: Workbench, prose) -> None:
    workbench.queue.add_text(prose(50, 1), " My\nnotes ")
    workbench.queue.add_text(prose(50, 2))
    while workbench.queue.work():
        pass
    later, first = (document.title for document in workbench.library.documents())
    assert first == "My notes"
    assert later.startswith("Log 2. ")


def test_steps_of_the_running_job_can_be_watched(workbench: Workbench, drop, monkeypatch) -> None:
    seen: list[tuple[str, str | None]] = []
    ingest = Intake.ingest

    def watched(self, data, filename, progress, *rest):
        def look(step: IngestProgress) -> None:
            progress(step)
            (job,) = workbench.queue.list()
            assert job.step == step
            seen.append((step.stage, job.document))

        return ingest(self, data, filename, look, *rest)

    monkeypatch.setattr(Intake, "ingest", watched)
    drop()
    workbench.queue.work()
    (document,) = workbench.library.documents()
    assert list(dict.fromkeys(seen)) == [
        ("received", None), ("text", None), ("segments", document.sha256), ("memory", document.sha256),
        ("stored", document.sha256),
    ]  # fmt: skip
    assert workbench.queue.list()[0].step is None


def test_a_failure_has_a_reason_and_can_be_tried_again(workbench: Workbench, settings: Settings, drop) -> None:
    torn = drop("torn.pdf", b"%PDF-1.7 and no more")
    drop("good.txt")
    while workbench.queue.work():
        pass
    assert states(workbench) == [("torn.pdf", "failed"), ("good.txt", "stored")]
    assert "PDF" in workbench.queue.list()[0].reason
    workbench.close()
    with Workbench(settings) as later:
        assert later.queue.list()[0].state == "failed"
        later.queue.retry(torn)
        assert later.queue.list()[0].state == "queued"
        assert later.queue.work()
        assert later.queue.list()[0].state == "failed"
        later.queue.dismiss(torn)
        assert states(later) == [("good.txt", "stored")]
        with pytest.raises(JobNotFound):
            later.queue.retry(torn)


def test_unforeseen_trouble_is_said_too(workbench: Workbench, drop, monkeypatch, caplog) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(Intake, "ingest", broken)
    drop()
    assert workbench.queue.work()
    (job,) = workbench.queue.list()
    assert (job.state, "ZeroDivisionError: no such luck" in job.reason) == ("failed", True)
    assert "A job failed" in caplog.text


def test_a_file_that_cannot_be_queued_is_listed_with_its_reason(workbench: Workbench, tmp_path: Path) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(DocumentTooLarge, match="limit") as caught:
        workbench.queue.add_file(huge)
    job = workbench.queue.refuse(huge, str(caught.value))
    assert (job.name, job.state, job.reason) == ("huge.txt", "failed", str(caught.value))
    workbench.queue.retry(job.id)
    workbench.queue.work()
    assert "add the file again" in workbench.queue.list()[0].reason


def test_a_document_is_compressed_again_in_its_turn(workbench: Workbench, prose, encoded) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    encoded.clear()
    workbench.queue.add_document(sha256)
    workbench.queue.work()
    assert encoded == []
    workbench.queue.add_document(sha256, anew=True)
    workbench.queue.work()
    assert len(encoded) == workbench.library.document(sha256).segments
    with pytest.raises(DocumentNotFound):
        workbench.queue.add_document("0" * 64)


def test_a_running_job_is_cancelled_and_goes_on_when_tried_again(workbench: Workbench, drop, encoded, prose) -> None:
    job = drop(data=prose(3_000).encode())
    workbench.queue.start()
    until(lambda: len(encoded) > 2)
    workbench.queue.dismiss(job)
    until(lambda: workbench.queue.list()[0].state == "failed")
    assert workbench.queue.list()[0].reason == CANCELLED
    kept = workbench.library.documents()[0].compressed_segments
    encoded.clear()
    workbench.queue.retry(job)
    until(lambda: workbench.queue.list()[0].state == "stored")
    assert workbench.library.documents()[0].segments == kept + len(encoded)


def test_what_is_left_when_the_program_ends_goes_on_at_its_next_start(
    workbench: Workbench, settings: Settings, drop, encoded, prose
) -> None:
    drop("long.txt", prose(3_000).encode())
    drop("later.txt", seed=5)
    workbench.queue.start()
    until(lambda: len(encoded) > 2)
    workbench.close()
    encoded.clear()
    with Workbench(settings) as later:
        assert states(later) == [("long.txt", "queued"), ("later.txt", "queued")]
        later.model.load()
        kept = later.library.documents()[0].compressed_segments
        assert kept > 0
        later.queue.start()
        until(lambda: [state for _, state in states(later)] == ["stored", "stored"])
        assert [d.state for d in later.library.documents()] == ["ready", "ready"]
        assert len(encoded) == sum(d.segments or 0 for d in later.library.documents()) - kept


def test_a_job_that_ran_when_the_process_was_killed_waits_again(workbench: Workbench, settings: Settings, drop) -> None:
    drop()
    workbench.store.jobs.take()
    with Workbench(settings) as later:
        assert states(later) == [("log.txt", "running")]
        later.queue.start()
        until(lambda: states(later) == [("log.txt", "stored")])


def test_a_deleted_document_takes_its_job_along(workbench: Workbench, drop, encoded, prose) -> None:
    drop(data=prose(3_000).encode())
    workbench.queue.start()
    until(lambda: len(encoded) > 2)
    workbench.library.delete(workbench.library.documents()[0].sha256)
    until(lambda: workbench.queue.list() == [])
    assert workbench.library.documents() == []


def test_another_adapter_is_chosen_and_each_keeps_its_memories(
    workbench: Workbench, settings: Settings, prose, encoded, tiny_model_folders
) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    other = settings.data_dir / "adapters" / "short"
    base = workbench.model.load()
    replace(base.adapter, config=replace(base.adapter.config, segment_length=16)).save(other)
    assert (workbench.model.adapters(), workbench.model.adapter) == ([settings.adapter, other], settings.adapter)
    workbench.model.use(other)
    assert (workbench.model.adapters(), workbench.model.adapter) == ([settings.adapter, other], other)
    assert workbench.library.document(sha256).state == "text"
    encoded.clear()
    workbench.queue.add_document(sha256)
    workbench.queue.work()
    assert set(encoded[:-1]) == {16}
    assert workbench.library.document(sha256).state == "ready"
    encoded.clear()
    workbench.model.use(settings.adapter)
    assert len(workbench.memories.recall(sha256, 4).memory.spans[0]) == 32
    assert encoded == []


def test_an_adapter_that_cannot_be_loaded_leaves_the_one_in_use(workbench: Workbench, prose, tmp_path: Path) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    with pytest.raises(RuntimeError):
        workbench.model.use(tmp_path)
    assert workbench.model.state.status == "ready"
    assert workbench.model.adapter == workbench.model.adapters()[0]
    assert workbench.library.document(sha256).state == "ready"
