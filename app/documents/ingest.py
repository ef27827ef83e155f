"""A document comes in: bytes -> text -> segments -> memory, each stored as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.caps import Caps
from app.errors import DocumentTooLong
from app.library import Library, one_line
from app.memories import Memories
from app.readers import Limits, Page, ReadDocument, read_apart
from app.views import Cancelled, Ingested, IngestProgress, Progress, never
from ccf_core import Cancelled as WasCancelled
from ccf_core.segment import Span, text_sha256
from store import Document, Store

PASTED_TITLE = 60
Admitted = Callable[[str | None], object]


class Intake:
    def __init__(self, store: Store, memories: Memories, library: Library, caps: Caps | None = None) -> None:
        self.store = store
        self.memories = memories
        self.library = library
        self.caps = caps

    def ingest_file(self, path: Path, progress: Progress, cancelled: Cancelled) -> Ingested:
        """See ``Workbench.ingest_file``."""
        Limits().check_size(path.stat().st_size)
        return self.ingest(path.read_bytes(), path.name, progress, cancelled)

    def ingest_text(self, text: str, title: str, progress: Progress, cancelled: Cancelled) -> Ingested:
        """See ``Workbench.ingest_text``."""
        # Lone surrogates are passed on: the reader has the sentence for them.
        return self.ingest(
            text.encode("utf-8", "surrogatepass"), "pasted.txt", progress, cancelled, self.title_of(text, title)
        )

    def title_of(self, text: str, title: str = "") -> str:
        """The title given to pasted text, or its beginning."""
        return one_line(title) or one_line(text[:300])[:PASTED_TITLE]

    def ingest(
        self,
        data: bytes,
        filename: str,
        progress: Progress,
        cancelled: Cancelled,
        title: str = "",
        admitted: Admitted | None = None,
    ) -> Ingested:
        """See ``Workbench.ingest``; for ``admitted`` see ``received``."""
        started = time.perf_counter()
        progress(IngestProgress("received"))
        progress(IngestProgress("text"))
        document = self.read(data, filename, cancelled)
        with self.received(document, len(data), title, admitted) as stored:
            reading = time.perf_counter() - started
            done = self.compress(stored.sha256, progress, cancelled)
        return replace(done, seconds=done.seconds + reading, notes=document.notes)

    def read(self, data: bytes, filename: str, cancelled: Cancelled = never) -> ReadDocument:
        """The text of a file. Raises ReadError, Cancelled."""

        def watch() -> None:
            if cancelled():
                raise WasCancelled("Reading was cancelled; nothing was changed.")

        return read_apart(data, filename, watch=watch)

    def check_room(self, nbytes: int) -> None:
        """Whether a further document may come in. Raises LibraryFull."""
        if self.caps is not None:
            self.caps.check(self.store, nbytes)

    @contextmanager
    def received(
        self, document: ReadDocument, source_bytes: int, title: str = "", admitted: Admitted | None = None
    ) -> Iterator[Document]:
        """A text, stored; one that the block finds too long goes again, unless it was there before.

        A file that was let in when it was queued needs no room any more: ``admitted`` is told its document in the
        transaction that stores it, so that it is never counted twice; None if it goes again.
        """
        with self.store.transaction():
            known = self.store.documents.find(text_sha256(document.text)) is not None
            if not known and admitted is None:
                self.check_room(len(document.text.encode()))
            stored = self.store.documents.add(
                document.text,
                title=title or document.title,
                media_type=document.media_type,
                pages=_every_page(document.pages),
                source_bytes=source_bytes,
            )
            if admitted is not None:
                admitted(stored.sha256)
        try:
            yield stored
        except DocumentTooLong:
            if not known:
                if admitted is not None:
                    admitted(None)  # or the job would go with its document, and nobody learn why
                self.library.delete(stored.sha256)
            raise

    def compress(self, sha256: str, progress: Progress, cancelled: Cancelled, *, anew: bool = False) -> Ingested:
        """See ``Workbench.compress``."""
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
            slots={ratio: document_slots(document.spans, ratio) for ratio in ccf.config.ratios},
            seconds=ended - started,
            tokens_per_s=sum(len(document.spans[i]) for i in encoded) / (ended - encoding) if encoded else 0.0,
            stored_bytes=self.store.memories.nbytes(sha256, self.memories.model.key_of(ccf)),
            from_cache=not encoded,
        )


def document_slots(spans: Sequence[Span], ratio: int) -> int:
    """Slots of a document at a ratio: ceil(tokens / ratio) for each of its segments."""
    return sum(-(-len(span) // ratio) for span in spans)


def _every_page(pages: Sequence[Page]) -> list[tuple[int, int]]:
    """Offsets of pages 1, 2, 3, …: those without text, which readers leave out, are empty ranges."""
    ranges: list[tuple[int, int]] = []
    for page in pages:
        end = ranges[-1][1] if ranges else 0
        ranges += [(end, end)] * (page.number - len(ranges) - 1)
        ranges.append((page.start, page.end))
    return ranges
