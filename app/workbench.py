"""The use cases, as plain Python: one door to models, documents and chats for the page and the command line.

It knows nothing of gradio, does no tensor maths and writes no SQL. Every method may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from ccf_core import KVMemory
from store import Chat, Store, StoreStats

from app.settings import Settings
from app.views import (
    AnswerView,
    Cancelled,
    DocumentView,
    Ingested,
    MessageView,
    ModelState,
    Progress,
    Reader,
    Recalled,
    Reconstruction,
    Savings,
    SearchHit,
    SegmentView,
    never,
    silent,
)


class Workbench:
    """Opens the database of ``settings``; the model is loaded on demand, or beforehand by ``load_model``.

    Use cases that need the model load it, or wait while another thread does.

    Raises:
        StoreUnavailable: the database cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.database, memory_cap_bytes=settings.memory_cap_bytes)

    def close(self) -> None:
        """Close the database; nothing can be done with this object afterwards."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The model

    def model_state(self) -> ModelState:
        """Never waits."""
        raise NotImplementedError

    def load_model(self) -> None:
        """Load the model unless it is there; wait if another thread does. Safe to call from a background thread.

        Failures are raised, kept in ``model_state`` and may be retried by calling again.

        Raises:
            BaseModelError, AdapterError, MemoryMismatch: of ccf_core, with what to do.
            ModelNotReady: anything else that went wrong.
        """
        raise NotImplementedError

    @property
    def ratios(self) -> tuple[int, ...]:
        """Ratios that the model serves, finest first; (4, 8, 16, 32) until it is loaded."""
        raise NotImplementedError

    def info(self) -> dict[str, Any]:
        """``version``, ``base``, ``adapter``, ``device``, ``dtype`` (None until the model is loaded), ``card``: the
        adapter's card, a JSON object, {} if it has none."""
        raise NotImplementedError

    # Documents in

    def ingest(
        self, data: bytes, filename: str, progress: Progress = silent, cancelled: Cancelled = never
    ) -> Ingested:
        """Bytes of a file -> text -> segments -> memory, stored as it comes.

        Every encoded segment is stored at once, so an interrupted ingest goes on where it stopped, and what is
        stored under the model in use is never encoded again.

        Raises:
            ReadError: the file cannot be read (app.readers).
            DocumentTooLong: nothing was stored.
            Cancelled: of ccf_core; text and segments finished so far are kept.
        """
        raise NotImplementedError

    def ingest_file(self, path: Path, progress: Progress = silent, cancelled: Cancelled = never) -> Ingested:
        """``ingest`` of a file, refused by its size before it is read. Raises OSError if it cannot be read."""
        raise NotImplementedError

    def ingest_text(
        self, text: str, title: str = "", progress: Progress = silent, cancelled: Cancelled = never
    ) -> Ingested:
        """``ingest`` of pasted text; without a title the beginning of the text is one."""
        raise NotImplementedError

    def compress(
        self, sha256: str, progress: Progress = silent, cancelled: Cancelled = never, *, anew: bool = False
    ) -> Ingested:
        """Compress what is missing of a stored document; with ``anew`` all of it. Raises DocumentNotFound."""
        raise NotImplementedError

    # The library

    def documents(self) -> list[DocumentView]:
        """The newest first. Never waits for the model."""
        raise NotImplementedError

    def document(self, sha256: str) -> DocumentView:
        """Raises DocumentNotFound."""
        raise NotImplementedError

    def text(self, sha256: str) -> str:
        """The whole text of a document. Raises DocumentNotFound."""
        return self.store.documents.text(sha256)

    def rename(self, sha256: str, title: str) -> DocumentView:
        """Raises DocumentNotFound."""
        raise NotImplementedError

    def delete(self, sha256: str) -> None:
        """Delete text, memories and what chats quote of it. Raises DocumentNotFound."""
        raise NotImplementedError

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Documents that hold all words of the query, the best first."""
        raise NotImplementedError

    def stats(self) -> StoreStats:
        """Sizes in bytes, and counts, of the whole database."""
        return self.store.stats()

    def vacuum(self) -> None:
        """Give the space of what was deleted back to the disk."""
        self.store.vacuum()

    # Asking

    def recall(
        self,
        sha256: str,
        ratio: int,
        segments: Sequence[int] | None = None,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> Recalled:
        """The stored memory at ``ratio``, of all or of some segments; no level finer than ``ratio`` is read.

        Parts that are missing, or that the database holds damaged, are compressed again from the text and noted; only
        then is ``progress`` called. Raises DocumentNotFound, NotAnswerable (ratio), NoSegment, Cancelled.
        """
        raise NotImplementedError

    def memory(self, sha256: str, ratio: int) -> KVMemory:
        """``recall(sha256, ratio).memory``."""
        return self.recall(sha256, ratio).memory

    def ask(
        self,
        question: str,
        documents: Sequence[str],
        ratio: int = 8,
        reader: Reader = "memory",
        *,
        max_new_tokens: int = 64,
        chat: int | None = None,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> Iterator[str | AnswerView]:
        """Pieces of the answer as they come, then the AnswerView; errors are raised at the first step.

        From stored memory the encoder never runs; ``progress`` is called only if something has to be compressed
        again. Several documents are read one after the other, in the order given. When ``cancelled`` turns true while
        the answer is being written, it ends there, and a note says so. Closing the iterator stops the model. With
        ``chat``, question and answer are appended to it.

        Raises:
            NoDocument: no document, though the reader is not ``none``.
            NotAnswerable: no question, one that is too long, an unknown ratio or reader, a text too long to be read in
                full.
            DocumentNotFound, ChatNotFound: of store.
            Cancelled: of ccf_core, before the answer began.
        """
        raise NotImplementedError

    # Looking into memories

    def segments(self, sha256: str) -> list[SegmentView]:
        """In the order of the text. Needs the tokenizer, so it waits for the model."""
        raise NotImplementedError

    def reconstruct(
        self, sha256: str, segment: int, ratio: int, *, cancelled: Cancelled = never
    ) -> Reconstruction:
        """One segment, decoded from its own slots alone. Raises DocumentNotFound, NoSegment, NotAnswerable."""
        raise NotImplementedError

    def reconstruct_all(
        self, sha256: str, ratio: int, *, cancelled: Cancelled = never
    ) -> Iterator[Reconstruction]:
        """Every segment in the order of the text, as batches get ready."""
        raise NotImplementedError

    def savings(self, sha256: str) -> Savings:
        """Sizes of a document as text, full cache, memory and stored memory. Raises DocumentNotFound."""
        raise NotImplementedError

    # Taking things out

    def export_memory(self, sha256: str, ratio: int, out: Path) -> Path:
        """Write the memory file; in a folder ``out`` it is named after the document. Returns its path."""
        raise NotImplementedError

    def export_answer(self, answer: AnswerView, form: Literal["markdown", "json"] = "markdown") -> str:
        """An answer with settings, costs and evidence as one text."""
        raise NotImplementedError

    # Chats

    def new_chat(self, title: str, documents: Sequence[str] = ()) -> Chat:
        """Raises DocumentNotFound."""
        return self.store.chats.create(title, documents)

    def chats(self) -> list[Chat]:
        """The one last written to first."""
        return self.store.chats.list()

    def messages(self, chat: int) -> list[MessageView]:
        """Oldest first. Raises ChatNotFound."""
        raise NotImplementedError

    def rename_chat(self, chat: int, title: str) -> Chat:
        """Raises ChatNotFound."""
        return self.store.chats.rename(chat, title)

    def delete_chat(self, chat: int) -> None:
        """Raises ChatNotFound."""
        self.store.chats.delete(chat)
