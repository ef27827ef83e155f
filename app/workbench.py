"""The use cases, as plain Python: one door to models, documents and chats for the page and the command line.

It knows nothing of gradio, does no tensor maths and writes no SQL. Every method may be called from any
thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.asking import Asking
from app.comparing import Comparing
from app.conversations import Conversations
from app.errors import NotInDemo
from app.evaluating import Evaluating
from app.exporting import export_memory
from app.folders import Folders
from app.ingest import Intake
from app.inspecting import Inspecting
from app.jobs import Jobs
from app.library import Library
from app.looking import Looking
from app.measuring import Measuring
from app.memories import Memories
from app.model import Model, Seat
from app.settings import Settings
from app.views import (
    Cancelled,
    DocumentView,
    Ingested,
    LoadProgress,
    ModelState,
    Progress,
    Recalled,
    Reconstruction,
    Savings,
    SearchHit,
    SegmentView,
    never,
    silent,
)
from ccf_core import CCFConfig, KVMemory
from store import Store, StoreStats


class Workbench:
    """Opens the database of ``settings``; the model is loaded on demand, or beforehand by ``load_model``.

    Use cases that need the model load it, or wait while another thread does.

    Raises:
        StoreUnavailable: the database cannot be used.
    """

    def __init__(self, settings: Settings, model: Model | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.database, memory_cap_bytes=settings.memory_cap_bytes)
        self._model = model or Model(settings)
        self._memories = Memories(self.store, self._model, settings.max_tokens)
        #: Documents on the shelf, their collections, places in their texts.
        self.library = Library(self.store, self._memories)
        self._intake = Intake(self.store, self._memories, self.library, settings.caps)
        #: Whole folders, by all processes of a launch.
        self.folders = Folders(self._intake)
        #: What waits to be compressed, and what came of it.
        self.jobs = Jobs(self.store, self._intake)
        asking = Asking(self.store, self._memories, settings.kv_budget)
        self.ask = asking.ask
        #: Questions and answers that are kept.
        self.conversations = Conversations(self.store)
        self._inspecting = Inspecting(self.store, self._memories)
        #: Attention, slot map, fidelity, summaries, surgery.
        self.looking = Looking(self.store, self._memories, self._inspecting)
        self.compare = Comparing(asking, self._memories).compare
        self.measuring = Measuring(self.store, self._memories, self._inspecting)
        self.evaluate = Evaluating(self.store, self._model, settings.caps is None).evaluate

    def beside(self, settings: Settings) -> Workbench:
        """Another workbench with data of its own, whose model is this one's; the model serves those beside it in
        rotation. Raises StoreUnavailable."""
        return Workbench(settings, Seat(self._model, settings.data_dir.name))

    def close(self) -> None:
        """Let the queue go and close the database; nothing can be done with this object afterwards."""
        self.jobs.stop()
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
        return replace(self._model.state, ahead=self._model.ahead())

    def load_model(self, progress: LoadProgress | None = None) -> None:
        """Load the model unless it is there; wait if another thread does. May be called from any thread.

        Failures are raised, kept in ``model_state`` and may be retried by calling again.

        Raises:
            BaseModelError, AdapterError, MemoryMismatch: of ccf_core, with what to do.
            ModelNotReady: anything else that went wrong.
        """
        self._model.load(progress)

    def use_adapter(self, adapter: Path, progress: LoadProgress | None = None) -> None:
        """Load another adapter folder; documents have memories of their own under each. Raises as ``load_model``,
        and NotInDemo for a visitor, who would change it for all others."""
        if self.settings.caps is not None:
            raise NotInDemo("This demo has one adapter for all visitors: choose another on a machine of your own.")
        self._model.use(adapter, progress)

    def adapters(self) -> list[tuple[Path, bool]]:
        """Adapter folders to choose from, and whether each is in use."""
        return [(folder, folder == self._model.adapter) for folder in self._model.adapters()]

    @property
    def ratios(self) -> tuple[int, ...]:
        """Ratios that the model serves, finest first; (4, 8, 16, 32) until it is loaded."""
        ccf = self._model.ccf
        return ccf.config.ratios if ccf else CCFConfig.ratios

    def info(self) -> dict[str, Any]:
        """``version``, ``base`` (id), ``adapter`` (fingerprint), ``device``, ``dtype``, ``memory_dtype``, ``card``.

        The card is the adapter's, a JSON object, {} if it has none; what the model alone knows is None until it is
        loaded.
        """
        return self._model.info()

    # Documents in

    def ingest(self, data: bytes, filename: str, progress: Progress = silent, cancelled: Cancelled = never) -> Ingested:
        """Bytes of a file -> text -> segments -> memory, stored as it comes.

        Every encoded segment is stored at once, so an interrupted ingest goes on where it stopped, and what
        is stored under the model in use is never encoded again.

        Raises:
            ReadError: the file cannot be read (app.readers).
            DocumentTooLong: nothing was stored.
            Cancelled: of ccf_core; text and segments finished so far are kept.
        """
        return self._intake.ingest(data, filename, progress, cancelled)

    def ingest_file(self, path: Path, progress: Progress = silent, cancelled: Cancelled = never) -> Ingested:
        """``ingest`` of a file, refused by its size before it is read. Raises OSError too."""
        return self._intake.ingest_file(path, progress, cancelled)

    def ingest_text(
        self, text: str, title: str = "", progress: Progress = silent, cancelled: Cancelled = never
    ) -> Ingested:
        """``ingest`` of pasted text; without a title the beginning of the text is one."""
        return self._intake.ingest_text(text, title, progress, cancelled)

    def compress(
        self, sha256: str, progress: Progress = silent, cancelled: Cancelled = never, *, anew: bool = False
    ) -> Ingested:
        """Compress what is missing of a stored document; with ``anew`` all of it. Raises DocumentNotFound."""
        return self._intake.compress(sha256, progress, cancelled, anew=anew)

    # The library

    def documents(self) -> list[DocumentView]:
        """The newest first. Never waits for the model."""
        return self.library.documents()

    def document(self, sha256: str) -> DocumentView:
        """Raises DocumentNotFound."""
        return self.library.document(sha256)

    def text(self, sha256: str) -> str:
        """The whole text of a document. Raises DocumentNotFound."""
        return self.store.documents.text(sha256)

    def rename(self, sha256: str, title: str) -> DocumentView:
        """Raises DocumentNotFound."""
        return self.library.rename(sha256, title)

    def delete(self, sha256: str) -> None:
        """Delete text, memories and what chats quote of it, from the file too. Raises DocumentNotFound."""
        self.library.delete(sha256)
        self.looking.forget(sha256)

    def search(self, query: str, limit: int = 20) -> list[SearchHit]:
        """Documents that hold all words of the query, the best first."""
        return self.library.search(query, limit)

    def stats(self) -> StoreStats:
        """Sizes in bytes, and counts, of the whole database."""
        return self.store.stats()

    def vacuum(self) -> None:
        """Give the space of what was deleted back to the disk."""
        self.store.vacuum()

    # Memories

    def recall(
        self,
        sha256: str,
        ratio: int,
        segments: Sequence[int] | None = None,
        progress: Progress = silent,
        cancelled: Cancelled = never,
    ) -> Recalled:
        """The stored memory at ``ratio``, of all or of some segments; no level finer than ``ratio`` is read.

        Parts that are missing, or that the database holds damaged, are compressed again from the text and
        noted; only then is ``progress`` called.

        Raises:
            DocumentNotFound, Cancelled: of store, of ccf_core.
            NotAnswerable, NoSegment: there is no such ratio, no such segment.
        """
        return self._memories.recall(sha256, ratio, segments, progress, cancelled)

    def memory(self, sha256: str, ratio: int) -> KVMemory:
        """``recall(sha256, ratio).memory``."""
        return self.recall(sha256, ratio).memory

    # Looking into memories

    def segments(self, sha256: str) -> list[SegmentView]:
        """In the order of the text. Needs the tokenizer, so it waits for the model."""
        return self._inspecting.segments(sha256)

    def reconstruct(self, sha256: str, segment: int, ratio: int, *, cancelled: Cancelled = never) -> Reconstruction:
        """One segment, decoded from its own slots alone.

        Raises DocumentNotFound, NoSegment, NotAnswerable (no such ratio), Cancelled (while waiting).
        """
        return self._inspecting.reconstruct(sha256, segment, ratio, cancelled)

    def reconstruct_all(
        self,
        sha256: str,
        ratio: int,
        segments: Sequence[int] | None = None,
        *,
        cancelled: Cancelled = never,
    ) -> Iterator[Reconstruction]:
        """Every segment, or these, in order, as batches get ready; raises what ``reconstruct`` raises."""
        return self._inspecting.reconstruct_all(sha256, ratio, segments, cancelled)

    def savings(self, sha256: str) -> Savings:
        """Sizes of a document as text, full cache, memory and stored memory. Raises DocumentNotFound."""
        return self._inspecting.savings(sha256)

    # Taking things out

    def export_memory(self, sha256: str, ratio: int, out: Path) -> Path:
        """Write the memory file; in a folder ``out`` it is named after the document. Returns its path."""
        document = self.store.documents.get(sha256)
        return export_memory(self.memory(sha256, ratio), document.title, out)
