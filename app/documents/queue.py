"""Queue documents to be compressed: the queue is kept in the store and worked off by one thread.

A page may be reloaded and the program restarted at any moment: what was queued stays queued, and what was half
compressed goes on with the next segment.
"""

from __future__ import annotations

import logging
import threading
from contextvars import Context, copy_context
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from app.documents.ingest import Intake
from app.documents.names import file_name
from app.errors import WorkbenchError
from app.parsers import Limits, ReadError
from app.parsers.normalise import one_line
from app.runtime.locks import BACKGROUND
from app.types import Ingested, IngestProgress
from ccf_core import Cancelled, CCFError
from store import Job, JobNotFound, Store, StoreError, StoreUnavailable

LOOK_EVERY_S = 2.0
CANCELLED = "Cancelled; what was finished is kept. Try again to go on."
PASTED = "Pasted text"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobResult:
    """What the queue keeps of what one job came to; the fields are those of ``Ingested``."""

    title: str
    tokens: int
    segments: int
    stored_bytes: int
    seconds: float
    tokens_per_s: float
    from_cache: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, done: Ingested) -> JobResult:
        kept = {field.name: getattr(done, field.name) for field in fields(cls) if field.name != "title"}
        return cls(title=done.document.title, **kept)


@dataclass(frozen=True)
class JobView:
    """A file, or a document, on its way into memory.

    ``step`` is its last step while it runs, in this process; ``segment_length`` tokens make a segment of it.
    ``document`` is None until its text is stored, ``outcome`` until all of it is. One that failed can be tried again if
    it is ``repeatable``; of a refused file nothing is kept but its name and the reason.
    """

    id: int
    name: str
    state: Literal["queued", "running", "stored", "failed"]
    document: str | None
    reason: str
    step: IngestProgress | None
    outcome: JobResult | None
    repeatable: bool = True


class Queue:
    def __init__(self, store: Store, intake: Intake) -> None:
        self.store = store
        self.intake = intake
        self._added = threading.Event()
        self._ending = threading.Event()
        self._cancelled: set[int] = set()
        self._steps: dict[int, IngestProgress] = {}
        #: In which a job was asked for: where GPUs are lent by the call, they are lent to whoever asks.
        self._contexts: dict[int, Context] = {}
        self._worker: threading.Thread | None = None

    # Into the queue

    def add_file(self, path: Path) -> JobView:
        """Queue a file; its bytes are kept, so it may go at once. Raises DocumentTooLarge, LibraryFull, OSError."""
        Limits().check_size(path.stat().st_size)
        return self._add_data(file_name(path.name), path.read_bytes())

    def refuse(self, path: Path, reason: str) -> JobView:
        """List a file that cannot even be queued as failed, with the reason."""
        with self.store.transaction():  # or the queue's thread might take it
            job = self.store.jobs.add(file_name(path.name))
            self.store.jobs.fail(job.id, reason)
        return self._view(self.store.jobs.get(job.id))

    def add_text(self, text: str, title: str = "") -> JobView:
        """Queue pasted text; without a title the beginning of the text becomes one. Raises LibraryFull."""
        data = text.encode("utf-8", "surrogatepass")
        return self._add_data(one_line(title) or PASTED, data, self.intake.title_of(text, title))

    def add_document(self, sha256: str, *, anew: bool = False) -> JobView:
        """Queue a stored document: what is missing of it, or all with ``anew``. Raises DocumentNotFound."""
        document = self.store.documents.get(sha256)
        return self._add(self.store.jobs.add(document.title, document=sha256, anew=anew))

    # What is in it

    def list(self) -> list[JobView]:
        """List the jobs, oldest first. Never waits."""
        return [self._view(job) for job in self.store.jobs.list()]

    def retry(self, job: int) -> None:
        """Queue a failed job again. Raises JobNotFound."""
        self._cancelled.discard(job)
        self._contexts[job] = copy_context()
        self.store.jobs.retry(job)
        self._added.set()

    def dismiss(self, job: int) -> None:
        """Delete a job; one that runs is stopped first and is then listed as failed. Raises JobNotFound."""
        if self.store.jobs.get(job).state == "running" and self._worker is not None:
            self._cancelled.add(job)
        else:
            self._contexts.pop(job, None)
            self.store.jobs.delete(job)

    def clear(self) -> None:
        """Delete the jobs that are stored."""
        self.store.jobs.clear()

    # Working it off

    def start(self) -> None:
        """Work the queue off on a thread of its own, first of all what an earlier process left running."""
        if self._worker is None:
            self.store.jobs.requeue()
            self._worker = threading.Thread(target=self._run, daemon=True)
            self._worker.start()

    def stop(self) -> None:
        """Stop working; the running job waits for the next start, and what is finished of it is kept."""
        self._ending.set()
        self._added.set()
        if self._worker is not None:
            self._worker.join()

    def work(self) -> bool:
        """Do the job that waits longest, to its end; returns whether there was one."""
        job = self.store.jobs.take()
        if job is None:
            return False
        try:
            # One that an earlier process left is nobody's.
            self._contexts.pop(job.id, Context()).run(self._do, job)
        except Cancelled:
            if self._ending.is_set():
                self.store.jobs.requeue()
            else:
                self.store.jobs.fail(job.id, CANCELLED)
        except (WorkbenchError, ReadError, CCFError, StoreError) as error:
            self.store.jobs.fail(job.id, str(error))
        except Exception as error:  # nobody else would say so
            logger.exception("A job failed")
            self.store.jobs.fail(job.id, f"Unforeseen trouble ({type(error).__name__}: {error}); try it again.")
        finally:
            self._steps.pop(job.id, None)
            self._cancelled.discard(job.id)
        return True

    def _run(self) -> None:
        unwritten = False
        while not self._ending.is_set():
            self._added.clear()
            try:
                if unwritten:  # the outcome of a job could not be written, and nobody else works on it
                    self.store.jobs.requeue()
                    unwritten = False
                if self.work():
                    continue
            except StoreUnavailable:  # a busy or full disk: another look later
                logger.exception("The queue cannot be used")
                unwritten = True
            self._added.wait(LOOK_EVERY_S)

    def _do(self, job: Job) -> None:
        BACKGROUND.set(True)

        def note(step: IngestProgress) -> None:
            self._steps[job.id] = step
            if step.document:
                self.store.jobs.read(job.id, step.document)

        def cancelled() -> bool:
            return self._ending.is_set() or job.id in self._cancelled

        if job.document is not None:
            done = self.intake.compress(job.document, note, cancelled, anew=job.anew)
        else:
            data = self.store.jobs.data(job.id)
            if data is None:
                raise JobNotFound(job.id)
            name = "pasted.txt" if job.title else job.name
            done = self.intake.ingest(data, name, note, cancelled, job.title, job.id)
        self.store.jobs.finish(job.id, asdict(JobResult.of(done)))

    def _add_data(self, name: str, data: bytes, title: str = "") -> JobView:
        with self.store.transaction():
            self.intake.check_caps(len(data))
            job = self.store.jobs.add(name, data, title=title)
        return self._add(job)

    def _add(self, job: Job) -> JobView:
        self._contexts[job.id] = copy_context()
        self._added.set()
        return self._view(job)

    def _view(self, job: Job) -> JobView:
        outcome = JobResult(**job.outcome | {"notes": tuple(job.outcome["notes"])}) if job.outcome else None
        step = self._steps.get(job.id) if job.state == "running" else None
        return JobView(job.id, job.name, job.state, job.document, job.reason, step, outcome, job.repeatable)
