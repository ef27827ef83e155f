"""Encode documents into stored memories, and read them back.

What is stored is never encoded again, and what is damaged is never served.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeAlias

import ccf_core
from app.errors import DocumentTooLong, NoSegment, NotAnswerable
from app.runtime.locks import KeyedLock
from app.runtime.lru import LruCache
from app.runtime.model import Model, model_key
from app.types import CancelCheck, IngestProgress, Progress, Recalled, never, silent
from ccf_core import Cancelled, DamagedMemory
from ccf_core.device import enough_memory
from ccf_core.memory.dtypes import MEMORY_DTYPES, MemoryDtype
from ccf_core.memory.segments import Segmented
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, Block

#: Documents whose tokens are cached.
CACHED_DOCUMENTS = 16

#: The blocks of a document by (segment, level).
Blocks: TypeAlias = "dict[tuple[int, int], Block]"


class Memories:
    """Memories of the documents in ``store``, made and read by ``model``."""

    def __init__(self, store: Store, model: Model, max_tokens: int) -> None:
        self.store = store
        self.model = model
        self.max_tokens = max_tokens
        self._encoding = KeyedLock()
        self._caches: list[LruCache[Any]] = []
        self._segmented: LruCache[Segmented] = self.cache(CACHED_DOCUMENTS)

    @property
    def dtype(self) -> MemoryDtype:
        """The dtype in which memories are stored, and read."""
        return self.model.settings.memory_dtype

    def segmented(self, sha256: str, cancelled: CancelCheck = never, ccf: CCF | None = None) -> Segmented:
        """Tokenize a stored document and cut it into segments, or take the cached result.

        Without ``ccf`` the model in use does it; a caller that passes one goes on with it if another is chosen.

        Raises DocumentNotFound, DocumentTooLong.
        """
        stored = self.store.documents.get(sha256)
        ccf = ccf or self.model.load(cancelled=cancelled)
        key = sha256, ccf.base.tokenizer_fingerprint, ccf.config.segment_length
        document = self._segmented.get(key)
        if document is None:
            text = self.store.documents.text(sha256)
            with self.model.hold(cancelled, short=True):
                document = ccf.segment(text)
                self._segmented.put(key, document)
        if (stored.tokens, stored.segments) != (len(document.input_ids), len(document.spans)):
            self.store.documents.set_tokens(sha256, len(document.input_ids), len(document.spans))
        if len(document.input_ids) > self.max_tokens:
            raise DocumentTooLong(
                f"The document has {len(document.input_ids):,} tokens and the limit is {self.max_tokens:,}; "
                "split it into parts."
            )
        return document

    def cache(self, size: int) -> LruCache[Any]:
        """Make a cache for what is computed from documents, from which ``forget`` drops those that are deleted."""
        self._caches.append(LruCache(size))
        return self._caches[-1]

    def forget(self, sha256: str) -> None:
        """Drop all that this process holds of a deleted document."""
        for cache in self._caches:
            cache.forget(sha256)

    def shape(self) -> tuple[int, int]:
        """Return (layers, key-value heads) of a memory. Waits for the model."""
        header = self.model.load().header
        return header.layers, header.kv_heads

    def busy(self, sha256: str) -> bool:
        """Tell whether the document is being compressed in this process."""
        return self._encoding.busy(sha256)

    def missing(self, sha256: str, segments: int, ccf: CCF | None = None) -> list[int]:
        """List the segments that lack a level under ``ccf``, or under the model in use, which must be loaded.

        One that is stored in a more exact dtype than the one in use is not missing: see ``migrate``.
        """
        ccf = ccf or self.model.load()
        missing = self._unstored(sha256, segments, ccf, self.dtype)
        for dtype in self._more_exact() if missing else ():
            elsewhere = set(self._unstored(sha256, segments, ccf, dtype))
            missing = [index for index in missing if index in elsewhere]
        return missing

    def _unstored(self, sha256: str, segments: int, ccf: CCF, dtype: MemoryDtype) -> list[int]:
        return self.store.memories.missing(sha256, self.model.key_of(ccf, dtype), segments, ccf.config.ratios)

    def _more_exact(self) -> tuple[MemoryDtype, ...]:
        return MEMORY_DTYPES[: MEMORY_DTYPES.index(self.dtype)]

    def migrate(self, document: Segmented, ccf: CCF, cancelled: CancelCheck = never) -> None:
        """Convert what the database holds of a document in a more exact dtype to the one in use, without encoding.

        The larger memory is deleted once nothing is left to take from it. Raises Cancelled while waiting for others.
        """
        with self._encoding.hold(document.sha256, cancelled):
            self._migrate(document, ccf)

    def _migrate(self, document: Segmented, ccf: CCF) -> None:
        sha256 = document.sha256
        for dtype in self._more_exact():
            if not self.store.memories.nbytes(sha256, model_key(ccf, dtype)):
                continue
            for index in self._unstored(sha256, len(document.spans), ccf, self.dtype):
                blocks, _ = self._read(ccf, document, [index], ccf.config.ratios, dtype)
                by_level = {level: block for (_, level), block in blocks.items()}
                parts = [(index, level, data) for level, data in packed(by_level, self.dtype)]
                self.store.memories.put_many(sha256, self.model.key_of(ccf), parts)
            self.store.memories.delete(sha256, model_key(ccf, dtype))

    def levels(self, ratio: int) -> tuple[int, ...]:
        """List the levels of a memory at ``ratio``, coarse to fine. Raises NotAnswerable for an unknown ratio."""
        config = self.model.load().config
        if ratio not in config.ratios:
            raise NotAnswerable(f"The ratio must be one of {', '.join(map(str, config.ratios))}, not {ratio}.")
        return config.levels(ratio)

    def complete(
        self,
        document: Segmented,
        progress: Progress,
        cancelled: CancelCheck,
        *,
        anew: bool = False,
        ccf: CCF | None = None,
    ) -> list[int]:
        """Encode and store the segments that lack a level, or all of them; returns which these were.

        If another thread is at it, waits for that one. Raises Cancelled; what was stored until then is kept.
        """
        ccf = ccf or self.model.load()
        with self._encoding.hold(document.sha256, cancelled):
            for dtype in MEMORY_DTYPES if anew else ():
                self.store.memories.delete(document.sha256, model_key(ccf, dtype))
            self._migrate(document, ccf)
            missing = self.missing(document.sha256, len(document.spans), ccf)
            self._encode(ccf, document, missing, progress, cancelled)
            return missing

    def _encode(
        self, ccf: CCF, document: Segmented, segments: Sequence[int], progress: Progress, cancelled: CancelCheck
    ) -> None:
        key = self.model.key_of(ccf)
        total = len(document.input_ids)
        at_start = done = total - sum(len(document.spans[i]) for i in segments)
        progress(IngestProgress("memory", done, total))
        started = time.perf_counter()
        tokens = total - at_start, 0
        with closing(
            self.model.compute(ccf, encoded, document, segments, self.dtype, tokens=tokens, cancelled=cancelled)
        ) as pieces:
            for _ in segments:
                with self.model.hold(cancelled):
                    index, levels = next(pieces)
                self.store.memories.put_many(document.sha256, key, [(index, level, data) for level, data in levels])
                done += len(document.spans[index])
                seconds_a_token = (time.perf_counter() - started) / (done - at_start)
                progress(IngestProgress("memory", done, total, (total - done) * seconds_a_token))

    def recall(
        self,
        sha256: str,
        ratio: int,
        segments: Sequence[int] | None = None,
        progress: Progress = silent,
        cancelled: CancelCheck = never,
        ccf: CCF | None = None,
    ) -> Recalled:
        """Read the stored memory at ``ratio``, of all or of some segments; no level finer than ``ratio`` is read.

        Parts that are missing, or that the database holds damaged, are compressed again from the text and
        noted; only then is ``progress`` called.

        Raises:
            DocumentNotFound, Cancelled: of store, of ccf_core.
            NotAnswerable, NoSegment: there is no such ratio, no such segment.
        """
        ccf = ccf or self.model.load(cancelled=cancelled)
        document = self.segmented(sha256, cancelled, ccf)
        wanted = list(range(len(document.spans)) if segments is None else segments)
        for index in wanted:
            check_segment(document, index)
        levels = self.levels(ratio)
        blocks, damaged = self._read(ccf, document, wanted, levels)
        absent = _absent(blocks, wanted, levels)
        if absent:
            with self._encoding.hold(sha256, cancelled):
                # Whoever held the turn before may have made them.
                self._migrate(document, ccf)
                blocks, more = self._read(ccf, document, wanted, levels)
                damaged |= more
                absent = _absent(blocks, wanted, levels)
                self._encode(ccf, document, absent, progress, cancelled)
            blocks |= self._read(ccf, document, absent, levels)[0]
            if _absent(blocks, wanted, levels):
                raise DamagedMemory("The database does not keep what is written to it: check its disk.")
        memory = ccf_core.KVMemory(
            ccf.header,
            tuple(document.spans[i] for i in wanted),
            tuple({level: blocks[i, level] for level in levels} for i in wanted),
            ratio,
        )
        return Recalled(memory, self._notes(sha256, wanted, absent, damaged))

    def _read(
        self,
        ccf: CCF,
        document: Segmented,
        segments: Sequence[int],
        levels: Sequence[int],
        dtype: MemoryDtype | None = None,
    ) -> tuple[Blocks, set[int]]:
        """Read the sound blocks by (segment, level), and the segments that had an unsound one."""
        header = ccf.header
        key = model_key(ccf, dtype or self.dtype)
        blocks: Blocks = {}
        with enough_memory():
            parts = self.store.memories.get(document.sha256, key, segments, levels)
            damaged = {segment for segment, _ in parts.corrupted}
            for (segment, level), data in parts.items():
                try:
                    blocks[segment, level] = ccf_core.block_from_bytes(
                        data, header, len(document.spans[segment]), level
                    )
                except DamagedMemory:
                    damaged.add(segment)
        return blocks, damaged

    def _notes(self, sha256: str, wanted: Sequence[int], encoded: Sequence[int], damaged: set[int]) -> tuple[str, ...]:
        title = self.store.documents.get(sha256).title
        of = f"of {len(wanted)} segments of “{title}”"
        mended = len(damaged)
        new = len(set(encoded) - damaged)
        notes = []
        if mended:
            notes.append(
                f"The database held {mended} {of} damaged; {'it was' if mended == 1 else 'they were'} "
                "compressed again from the text."
            )
        if new:
            notes.append(f"The database did not hold {new} {of}; compressed now, from the text.")
        return tuple(notes)


def check_segment(document: Segmented, index: int) -> None:
    """Check that the document has a segment of this number. Raises NoSegment."""
    if index not in range(len(document.spans)):
        raise NoSegment(f"The document has no segment {index}; choose one from 0 to {len(document.spans) - 1}.")


def encoded(
    ccf: CCF, document: Segmented, segments: Sequence[int], dtype: MemoryDtype, cancelled: CancelCheck
) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """Yield (segment, ``packed`` levels) as they get ready. Raises Cancelled, of ccf_core."""
    pieces = ccf.encode(document, segments, dtype=dtype)
    for _ in segments:
        if cancelled():
            raise Cancelled("Compression was cancelled; the segments that were finished are kept.")
        index, blocks = next(pieces)
        yield index, packed(blocks, dtype)


def packed(blocks: Mapping[int, Block], dtype: MemoryDtype) -> list[tuple[int, bytes]]:
    """Pack one encoded segment into (level, bytes as they are stored in ``dtype``)."""
    return [(level, ccf_core.block_to_bytes(block.quantize(dtype))) for level, block in blocks.items()]


def _absent(blocks: Blocks, segments: Sequence[int], levels: Sequence[int]) -> list[int]:
    return [i for i in segments if any((i, level) not in blocks for level in levels)]
