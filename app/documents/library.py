"""Look up the stored documents: what they are, in what state, on which page something stands."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.documents.memory_cache import Memories
from app.parsers import LeftOut
from app.parsers.normalise import one_line
from app.types import DocumentState, DocumentView, SearchHit, SegmentView
from store import Document, DocumentNotFound, Store, StoreStats

MAX_COLLECTIONS = 20
#: Characters of a segment by which it is known in a list.
PREVIEW = 160
#: Characters of a text that are shown on each side of a place in it.
AROUND = 20_000


@dataclass(frozen=True)
class Passage:
    """A place in a document's text: ``before`` + ``marked`` + ``after``, the first of them beginning at ``start``.

    ``skipped_before`` and ``skipped_after`` count the characters beyond. ``pages`` are (number, offset into the
    joined text) of the pages that begin within it; ``page`` is that of the place, None for kinds without pages.
    ``left_out`` is what the document's file holds besides its text.
    """

    document: str
    title: str
    before: str
    marked: str
    after: str
    start: int
    skipped_before: int
    skipped_after: int
    page: int | None
    pages: tuple[tuple[int, int], ...]
    filename: str = ""
    left_out: tuple[LeftOut, ...] = ()


class Library:
    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories

    def documents(self) -> list[DocumentView]:
        """List the documents, newest first. Never waits for the model."""
        views = []
        for document in self.store.documents.list():
            with suppress(DocumentNotFound):  # deleted in the meantime
                views.append(self._view(document))
        return views

    def document(self, sha256: str) -> DocumentView:
        """Look up a document. Raises DocumentNotFound."""
        return self._view(self.store.documents.get(sha256))

    def text(self, sha256: str) -> str:
        """Return the whole text of a document. Raises DocumentNotFound."""
        return self.store.documents.text(sha256)

    def left_out(self, sha256: str) -> tuple[LeftOut, ...]:
        """Return what the document's file holds besides its text. Raises DocumentNotFound."""
        return tuple(LeftOut(what, text) for what, text in self.store.documents.left_out(sha256))

    def segments(self, sha256: str) -> list[SegmentView]:
        """List the segments of a document in the order of its text; waits for the model. Raises DocumentNotFound."""
        document = self.store.documents.get(sha256)
        text = self.store.documents.text(sha256)
        return [
            SegmentView(
                index=span.index,
                token_start=span.start,
                token_end=span.end,
                start=span.char_start,
                end=span.char_end,
                page=page_at(document, span.char_start),
                preview=" ".join(text[span.char_start : min(span.char_end, span.char_start + PREVIEW)].split()),
            )
            for span in self.memories.segmented(sha256).spans
        ]

    def rename(self, sha256: str, title: str) -> DocumentView:
        """Give a document another title; a blank one leaves the old. Raises DocumentNotFound."""
        line = one_line(title)
        documents = self.store.documents
        return self._view(documents.rename(sha256, line) if line else documents.get(sha256))

    def delete(self, sha256: str) -> None:
        """Delete text, memories and what chats quote of it, from the file too. Raises DocumentNotFound."""
        self.store.documents.delete(sha256)
        self.memories.forget(sha256)
        self.store.wipe()

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Find the documents that hold all words of the query, the best first."""
        return [
            SearchHit(self._view(hit.document), hit.snippet, hit.start, hit.marks, page_at(hit.document, place))
            for hit in self.store.documents.search(query, limit)
            for place in [hit.start + (hit.marks[0][0] if hit.marks else 0)]
        ]

    def passage(self, sha256: str, start: int, end: int, around: int = AROUND) -> Passage:
        """Return a place in a document's text with ``around`` characters on each side. Raises DocumentNotFound."""
        document = self.store.documents.get(sha256)
        text = self.store.documents.text(sha256)
        start = min(max(start, 0), len(text))
        end = min(max(end, start), len(text))
        first, last = max(0, start - around), min(len(text), end + around)
        pages = [(number, begin) for number, (begin, finish) in enumerate(document.pages, 1) if begin < finish]
        return Passage(
            document=sha256,
            title=document.title,
            before=text[first:start],
            marked=text[start:end],
            after=text[end:last],
            start=first,
            skipped_before=first,
            skipped_after=len(text) - last,
            page=page_at(document, start),
            pages=tuple((number, begin - first) for number, begin in pages if first <= begin < last),
            filename=document.filename,
            left_out=self.left_out(sha256),
        )

    def collections(self) -> dict[str, tuple[str, ...]]:
        """Return the documents of every collection, by its name."""
        return {collection.name: collection.documents for collection in self.store.collections.list()}

    def collect(self, sha256: str, names: Sequence[str]) -> None:
        """Put a document into exactly these collections. Raises DocumentNotFound."""
        cleaned = [line for name in names if (line := one_line(name))]
        self.store.collections.set(sha256, cleaned[:MAX_COLLECTIONS])

    def stats(self) -> StoreStats:
        """Return sizes in bytes, and counts, of the whole database."""
        return self.store.stats()

    def _view(self, document: Document) -> DocumentView:
        state, compressed = self._state(document)
        return DocumentView(
            sha256=document.sha256,
            title=document.title,
            media_type=document.media_type,
            source_bytes=document.source_bytes,
            text_bytes=document.text_bytes,
            characters=document.characters,
            pages=len(document.pages),
            tokens=document.tokens,
            segments=document.segments,
            compressed_segments=compressed,
            state=state,
            stored_bytes=document.memory_bytes,
            created_at=document.created_at,
            filename=document.filename,
        )

    def _state(self, document: Document) -> tuple[DocumentState, int]:
        if self.memories.model.ccf is None:
            return "unknown", 0
        segments = document.segments or 0
        compressed = segments - len(self.memories.missing(document.sha256, segments))
        if self.memories.busy(document.sha256):
            return "compressing", compressed
        if not compressed:
            return "text", 0
        return ("ready" if compressed == segments else "partial"), compressed


def page_at(document: Document, offset: int) -> int | None:
    """Return the number, from 1, of the page on which the character at ``offset`` stands; None without pages."""
    numbers = [number for number, (start, end) in enumerate(document.pages, 1) if start <= offset and start < end]
    return numbers[-1] if numbers else None
