"""Ingest a folder of documents, spread over the processes of one launch.

The main process alone reads files and writes to the database. Segments that are missing, of many documents together,
are sorted by length and dealt out in shares of one batch's tokens, so that batches are full and need no padding; what
comes back is stored while the next round is encoded. A killed run loses the rounds on their way and nothing else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.documents.ingest import Intake
from app.documents.memory_cache import packed
from app.errors import NothingIngested, WorkbenchError
from app.parsers import Limits, ReadDocument, ReadError
from app.runtime.distributed import Processes
from app.runtime.model import Model
from app.settings import Settings
from app.types import FolderProgress, never, silent
from ccf_core import NothingToCompress
from ccf_core.memory.segments import Segmented
from store import DocumentNotFound, InvalidText

if TYPE_CHECKING:
    from ccf_core import CCF

#: Tokens of documents whose segments are dealt out together: many enough for full batches of tails too.
TOGETHER = 2_000_000

T = TypeVar("T")
R = TypeVar("R")

#: (level, bytes as stored) of one segment.
Parts = list[tuple[int, bytes]]


@dataclass(frozen=True)
class Piece:
    """A segment that has to be encoded."""

    document: Segmented
    index: int

    def __len__(self) -> int:
        return len(self.document.spans[self.index])


@dataclass(frozen=True)
class PendingFile:
    """A file whose text is stored, and its segments that are not."""

    file: str
    document: Segmented
    missing: Sequence[int]


@dataclass
class FolderResult:
    """What came of a folder; ``cached`` counts files of which nothing had to be encoded, ``failed`` is file: reason."""

    documents: set[str] = field(default_factory=set)
    files: int = 0
    tokens: int = 0
    cached: int = 0
    segments: int = 0
    encoded_segments: int = 0
    failed: dict[str, str] = field(default_factory=dict)


class Folders:
    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.store = intake.store
        self.memories = intake.memories

    def ingest(self, folder: Path, processes: Processes, progress: FolderProgress) -> FolderResult:
        """Take in every file below ``folder``; called by the main process while the others ``assist``.

        A file that cannot be taken is told in the outcome, and the others go on. ``progress`` is told what is at
        hand and (tokens stored, tokens in all) of what is being encoded, 0 of 0 before that.

        Raises:
            NothingIngested: there is no file, or none could be taken.
            ProcessFailed: another process failed or is gone; what was stored until then is kept.
            CCFError, ModelNotReady: the model cannot be loaded.
        """
        files = files_below(folder)
        ccf = self.memories.model.load(lambda _, message: progress(message, 0, 0))
        processes.agree(partial(self.memories.model.key_of, ccf))
        taken, seen, waiting = FolderResult(), set[str](), list[PendingFile]()
        for number, (path, reading) in enumerate(ahead(self._read, files), 1):
            name = os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")
            progress(f"{number}/{len(files)} {name}", 0, 0)
            try:
                waiting.append(self._receive(name, *reading.result(), ccf, seen))
            except (ReadError, WorkbenchError, NothingToCompress, InvalidText) as error:
                taken.failed[name] = str(error)
            except OSError as error:
                taken.failed[name] = f"{error.strerror or error}."
            if number == len(files) or sum(len(one.document.input_ids) for one in waiting) >= TOGETHER:
                self._complete(waiting, ccf, processes, progress, taken)
                waiting = []
        processes.dismiss()
        if not taken.files:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(taken.failed.items())[:3])
            raise NothingIngested(f"None of the {len(files)} files in {folder} could be taken ({reasons})")
        return taken

    def _read(self, path: Path) -> tuple[ReadDocument, int]:
        Limits().check_size(path.stat().st_size)
        data = path.read_bytes()
        return self.intake.read(data, path.name), len(data)

    def _receive(self, name: str, read: ReadDocument, source_bytes: int, ccf: CCF, seen: set[str]) -> PendingFile:
        with self.intake.stored_text(read, source_bytes, name) as stored:
            document = self.memories.segmented(stored.sha256, ccf=ccf)
        # A second file of the same text waits for what the first one brings.
        known = document.sha256 in seen
        seen.add(document.sha256)
        missing = [] if known else self.memories.missing(document.sha256, len(document.spans), ccf)
        return PendingFile(name, document, missing)

    def _complete(
        self,
        waiting: Sequence[PendingFile],
        ccf: CCF,
        processes: Processes,
        progress: FolderProgress,
        taken: FolderResult,
    ) -> None:
        gone: set[str] = set()
        if not ccf.config.trained:
            self._one_by_one(waiting, ccf, progress, gone)
        pieces = [Piece(one.document, index) for one in waiting for index in one.missing if ccf.config.trained]
        total, done = sum(map(len, pieces)), 0
        storing: Future[int] | None = None
        # A database is slower than several GPUs: it writes one round while they encode the next.
        with ThreadPoolExecutor(1) as writer:
            work = partial(encode, self.memories.model)
            for dealt in processes.deal(work, shares(pieces, ccf.batch_size, ccf.config.segment_length), _token_ids):
                if storing:
                    done += storing.result()
                    progress("memory", done, total)
                storing = writer.submit(self._store, self.memories.model.key_of(ccf), dealt, gone)
            if storing:
                progress("memory", done + storing.result(), total)
        for one in waiting:
            if one.document.sha256 in gone:
                taken.failed[one.file] = "It was deleted from the library meanwhile; give it again to have it back."
                continue
            taken.documents.add(one.document.sha256)
            taken.files += 1
            taken.tokens += len(one.document.input_ids)
            taken.cached += not one.missing
            taken.segments += len(one.document.spans)
            taken.encoded_segments += len(one.missing)

    def _one_by_one(self, waiting: Sequence[PendingFile], ccf: CCF, progress: FolderProgress, gone: set[str]) -> None:
        """Compress documents in this process: without an adapter a segment is read after those before it."""
        documents = [one.document for one in waiting if one.missing]
        total, done = sum(len(document.input_ids) for document in documents), 0
        for document in documents:
            try:
                self.memories.complete(document, silent, never, ccf=ccf)
            except DocumentNotFound:
                gone.add(document.sha256)
            done += len(document.input_ids)
            progress("memory", done, total)

    def _store(self, key: str, dealt: Sequence[tuple[list[list[Piece]], list[Parts]]], gone: set[str]) -> int:
        """Store a round, document by document; returns its tokens. Documents that were deleted go into ``gone``."""
        by_document: dict[str, list[tuple[int, int, bytes]]] = {}
        tokens = 0
        for share, encoded in dealt:
            for piece, parts in zip((piece for batch in share for piece in batch), encoded, strict=True):
                own = by_document.setdefault(piece.document.sha256, [])
                own += [(piece.index, level, data) for level, data in parts]
                tokens += len(piece)
        for sha256, blocks in by_document.items():
            try:
                self.store.memories.put_many(sha256, key, blocks)
            except DocumentNotFound:
                gone.add(sha256)
        return tokens


def assist(settings: Settings, processes: Processes) -> None:
    """Load the model and encode what the main process deals out; for the other processes, which open no database.

    Raises ProcessFailed when the main process is gone.
    """
    model = Model(settings)
    processes.agree(lambda: model.key_of(model.load()))
    processes.serve(partial(encode, model))


def encode(model: Model, batches: Sequence[Sequence[Sequence[int]]]) -> list[Parts]:
    """Encode batches of segments of one length each: token ids in, out what is stored of every segment."""
    ccf = model.load()
    encoded: list[Parts] = []
    for batch in batches:
        with model.hold():
            dtype = model.settings.memory_dtype
            encoded += [packed(blocks, dtype) for blocks in ccf.encoder.encode(batch, ccf.config.finest, dtype)]
    return encoded


def shares(pieces: Sequence[Piece], batch_size: int, segment_length: int) -> Iterator[list[list[Piece]]]:
    """Yield batches of pieces of equal length, longest first, as many together as hold the tokens of one full batch.

    They do not depend on how many processes there are: alike devices give alike memories, however many.
    """
    share: list[list[Piece]] = []
    capacity = free = batch_size * segment_length
    for length, alike in groupby(sorted(pieces, key=len, reverse=True), key=len):
        while batch := list(islice(alike, batch_size)):
            if share and len(batch) * length > free:
                yield share
                share, free = [], capacity
            share.append(batch)
            free -= len(batch) * length
    if share:
        yield share


def ahead(work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, Future[R]]]:
    """Yield the items in order, each with its result or failure, while as many are worked on as there are cores."""
    count = os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:
        coming = deque(pool.submit(work, item) for item in items[:count])
        for index, item in enumerate(items):
            yield item, coming.popleft()
            coming.extend(pool.submit(work, later) for later in items[index + count : index + count + 1])


def _token_ids(share: Sequence[Sequence[Piece]]) -> list[list[tuple[int, ...]]]:
    return [[piece.document.segment(piece.index) for piece in batch] for batch in share]


def files_below(folder: Path) -> list[Path]:
    """List the files below ``folder`` by name, without hidden ones and those in hidden folders."""
    if not folder.is_dir():
        raise NothingIngested(f"{folder} is no folder; name one that holds documents.")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise NothingIngested(f"There are no files in {folder}; name a folder that holds documents.")
    return found
