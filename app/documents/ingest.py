"""Ingest documents: bytes -> text -> segments -> memory, each stored as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.documents.library import Library
from app.documents.memory_cache import Memories
from app.documents.names import file_name
from app.errors import DocumentTooLong
from app.limits import Caps
from app.parsers import Limits, Page, ReadDocument, read_in_sandbox
from app.parsers.normalise import one_line
from app.types import CancelCheck, Ingested, IngestProgress, Progress, never, silent
from ccf_core import Cancelled
from ccf_core.memory.segments import text_sha256
from store import Document, Store

PASTED_TITLE = 60


class Intake:
    def __init__(self, store: Store, memories: Memories, library: Library, caps: Caps | None = None) -> None:
        self.store = store
        self.memories = memories
        self.library = library
        self.caps = caps

    def ingest_file(self, path: Path, progress: Progress = silent, cancelled: CancelCheck = never) -> Ingested:
        """Ingest a file, which is refused by its size before it is read. Raises what ``ingest`` raises, and OSError."""
        Limits().check_size(path.stat().st_size)
        return self.ingest(path.read_bytes(), path.name, progress, cancelled)

    def ingest_text(
        self, text: str, title: str = "", progress: Progress = silent, cancelled: CancelCheck = never
    ) -> Ingested:
        """Ingest pasted text; without a title the beginning of the text is one. Raises what ``ingest`` raises."""
        # Lone surrogates are passed on: the reader has the sentence for them.
        return self.ingest(
            text.encode("utf-8", "surrogatepass"), "pasted.txt", progress, cancelled, self.title_of(text, title)
        )

    def title_of(self, text: str, title: str = "") -> str:
        """Return the title given to pasted text, or its beginning."""
        return one_line(title) or one_line(text[:300])[:PASTED_TITLE]

    def ingest(
        self,
        data: bytes,
        filename: str,
        progress: Progress = silent,
        cancelled: CancelCheck = never,
        title: str = "",
        job: int | None = None,
    ) -> Ingested:
        """Read, segment and encode the bytes of a file; for ``job`` see ``stored_text``.

        With a ``title`` it is pasted text, which has no file.

        Every encoded segment is stored at once, so an interrupted ingest goes on where it stopped, and what
        is stored under the model in use is never encoded again.

        Raises:
            ReadError: the file cannot be read (app.parsers).
            DocumentTooLong: nothing was stored.
            Cancelled: of ccf_core; text and segments finished so far are kept.
        """
        started = time.perf_counter()
        progress(IngestProgress("received"))
        progress(IngestProgress("text"))
        document = self.read(data, filename, cancelled, progress)
        with self.stored_text(document, len(data), "" if title else filename, title, job) as stored:
            reading = time.perf_counter() - started
            done = self.compress(stored.sha256, progress, cancelled)
        return replace(done, seconds=done.seconds + reading, notes=document.notes)

    def read(
        self, data: bytes, filename: str, cancelled: CancelCheck = never, progress: Progress = silent
    ) -> ReadDocument:
        """Read the text of a file. Raises ReadError, Cancelled."""

        def watch() -> None:
            if cancelled():
                raise Cancelled("Reading was cancelled; nothing was changed.")

        return read_in_sandbox(
            data, filename, watch=watch, progress=lambda step: progress(IngestProgress("text", message=step))
        )

    def check_caps(self, nbytes: int) -> None:
        """Check that a further document of so many bytes may come in. Raises LibraryFull."""
        if self.caps is not None:
            used = self.store.usage()
            self.caps.check(used.documents, used.nbytes, nbytes)

    @contextmanager
    def stored_text(
        self, document: ReadDocument, source_bytes: int, filename: str, title: str = "", job: int | None = None
    ) -> Iterator[Document]:
        """Store the text and yield it; if the block raises DocumentTooLong, delete it unless it was there before.

        The caps were checked when a ``job`` was queued. Its file gives way to the text in the same transaction, so that
        a document is never counted twice.
        """
        left_out = [(part.what, part.text) for part in document.left_out]
        with self.store.transaction():
            known = self.store.documents.find(text_sha256(document.text)) is not None
            if not known and job is None:
                self.check_caps(sum(len(text.encode()) for text in (document.text, *(text for _, text in left_out))))
            stored = self.store.documents.add(
                document.text,
                title=title or document.title,
                media_type=document.media_type,
                pages=_every_page(document.pages),
                source_bytes=source_bytes,
                filename=file_name(filename),
                left_out=left_out,
            )
            if job is not None:
                self.store.jobs.read(job, stored.sha256)
        try:
            yield stored
        except DocumentTooLong:
            if not known:
                if job is not None:
                    self.store.jobs.read(job, None)  # or it would go with its document, and nobody learn why
                self.library.delete(stored.sha256)
            raise

    def compress(
        self, sha256: str, progress: Progress = silent, cancelled: CancelCheck = never, *, anew: bool = False
    ) -> Ingested:
        """Compress what is missing of a stored document; with ``anew`` all of it. Raises DocumentNotFound."""
        self.store.documents.get(sha256)
        progress(IngestProgress("segments", document=sha256))
        ccf = self.memories.model.load(
            lambda _, message: progress(IngestProgress("segments", message=message)), cancelled
        )
        started = time.perf_counter()
        document = self.memories.segmented(sha256, cancelled, ccf)
        encoding = time.perf_counter()
        encoded = self.memories.complete(document, progress, cancelled, anew=anew, ccf=ccf)
        ended = time.perf_counter()
        tokens = len(document.input_ids)
        progress(IngestProgress("stored", tokens, tokens, 0.0))
        return Ingested(
            document=self.library.document(sha256),
            tokens=tokens,
            segments=len(document.spans),
            encoded_segments=len(encoded),
            slots={ratio: document.slots(ratio) for ratio in ccf.config.ratios},
            seconds=ended - started,
            tokens_per_s=sum(len(document.spans[i]) for i in encoded) / (ended - encoding) if encoded else 0.0,
            stored_bytes=self.store.memories.nbytes(sha256, self.memories.model.key_of(ccf)),
            from_cache=not encoded,
        )


def _every_page(pages: Sequence[Page]) -> list[tuple[int, int]]:
    """Return the offsets of pages 1, 2, 3, …; pages without text, which parsers leave out, are empty ranges."""
    ranges: list[tuple[int, int]] = []
    for page in pages:
        end = ranges[-1][1] if ranges else 0
        ranges += [(end, end)] * (page.number - len(ranges) - 1)
        ranges.append((page.start, page.end))
    return ranges
