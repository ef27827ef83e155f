"""Reconstruct segments greedily beside their originals, and measure how faithful each reconstruction is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.documents.library import page_at
from app.documents.memory_cache import Memories
from app.runtime.lru import LruCache
from app.types import CancelCheck, Reconstruction, Word, never
from ccf_core import Cancelled
from ccf_core.metrics import exact_token, rouge_l
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory

BATCH = 8


class Fidelity:
    """Reconstructions of the segments of stored documents.

    Every method raises DocumentNotFound, NoSegment, NotAnswerable (no such ratio), and Cancelled while it waits.
    """

    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories
        self._cache: LruCache[Reconstruction] = memories.cache(1024)

    def reconstruct(self, sha256: str, segment: int, ratio: int, cancelled: CancelCheck = never) -> Reconstruction:
        """Decode one segment from its own slots alone, or take the cached result of that."""
        return next(self._cached(sha256, [segment], ratio, cancelled))

    def known(self, sha256: str, segment: int, ratio: int) -> Reconstruction | None:
        """Look up a cached reconstruction."""
        return self._cache.get((sha256, segment, ratio, self.memories.model.key))

    def reconstruct_all(
        self, sha256: str, ratio: int, segments: Sequence[int] | None = None, cancelled: CancelCheck = never
    ) -> Iterator[Reconstruction]:
        """Decode every segment, or those given, in order and without the cache; yields as batches get ready."""
        spans = self.memories.segmented(sha256, cancelled).spans
        wanted = range(len(spans)) if segments is None else segments
        for start in range(0, len(wanted), BATCH):
            if cancelled():
                raise Cancelled("Reconstruction was cancelled.")
            yield from self._reconstruct(sha256, wanted[start : start + BATCH], ratio, cancelled)

    def scores(self, sha256: str, ratio: int, cancelled: CancelCheck = never) -> Iterator[list[float | None]]:
        """Yield ROUGE-L of every segment, None for those to come: what is cached, then again after each batch."""
        scores = self.known_scores(sha256, ratio, cancelled)
        yield list(scores)
        missing = [i for i, score in enumerate(scores) if score is None]
        for start in range(0, len(missing), BATCH):
            for found in self._cached(sha256, missing[start : start + BATCH], ratio, cancelled):
                scores[found.segment] = found.rouge_l
            yield list(scores)

    def known_scores(self, sha256: str, ratio: int, cancelled: CancelCheck = never) -> list[float | None]:
        """Look up what ``scores`` would begin with; nothing is decoded."""
        self.memories.levels(ratio)
        count = len(self.memories.segmented(sha256, cancelled).spans)
        found = [self.known(sha256, i, ratio) for i in range(count)]
        return [one.rouge_l if one else None for one in found]

    def _cached(
        self, sha256: str, segments: Sequence[int], ratio: int, cancelled: CancelCheck
    ) -> Iterator[Reconstruction]:
        missing = [i for i in segments if self.known(sha256, i, ratio) is None]
        made = {one.segment: one for one in self.reconstruct_all(sha256, ratio, missing, cancelled)}
        for segment in segments:
            one = made.get(segment) or self.known(sha256, segment, ratio)
            assert one is not None
            # Nothing is kept of a document that was deleted meanwhile.
            self.store.documents.get(sha256)
            self._cache.put((sha256, segment, ratio, self.memories.model.key), one)
            yield one

    def _reconstruct(
        self, sha256: str, segments: Sequence[int], ratio: int, cancelled: CancelCheck
    ) -> list[Reconstruction]:
        recalled = self.memories.recall(sha256, ratio, segments, cancelled=cancelled)
        document = self.store.documents.get(sha256)
        text = self.store.documents.text(sha256)
        tokens = self.memories.segmented(sha256, cancelled)
        ccf = self.memories.model.load()
        memory = recalled.memory
        with self.memories.model.hold(cancelled):
            read = memory.slots, memory.tokens
            outputs = list(self.memories.model.compute(ccf, reconstructed, memory, tokens=read, cancelled=cancelled))
        result = []
        for i, (ids, words, kv_bytes) in enumerate(outputs):
            span = memory.spans[i]
            wanted = tokens.segment(span.index)
            result.append(
                Reconstruction(
                    document=sha256,
                    segment=span.index,
                    ratio=ratio,
                    original=text[span.char_start : span.char_end],
                    text="".join(word.text for word in words),
                    words=words,
                    tokens=len(span),
                    rouge_l=rouge_l(wanted, ids),
                    exact_token=exact_token(wanted, ids),
                    slots=memory.select([i]).slots,
                    kv_bytes=kv_bytes,
                    start=span.char_start,
                    end=span.char_end,
                    page=page_at(document, span.char_start),
                    notes=recalled.notes,
                )
            )
        return result


def reconstructed(
    ccf: CCF, memory: KVMemory, cancelled: CancelCheck
) -> Iterator[tuple[list[int], tuple[Word, ...], int]]:
    """Yield of every segment's greedy reconstruction the ids, words with their probabilities, and bytes read."""
    for i, ids in enumerate(ccf.reconstruct_ids(memory, cancelled=cancelled)):
        prefix = ccf.decoder.prefix(memory.select([i]))
        log_probabilities = ccf.repeater.score(prefix, [ccf.config.repeat_token], ids).tolist()
        yield ids, _words(ccf, ids, log_probabilities), prefix.nbytes


def _words(ccf: CCF, ids: Sequence[int], log_probabilities: Sequence[float]) -> tuple[Word, ...]:
    """Join tokens into words, each with the white space before it; their texts joined are the decoded ids.

    A character may be spread over several tokens: they show as a replacement character until it is complete.
    """
    words: list[tuple[str, float]] = []
    shown, waiting = "", 0.0
    for count, log_probability in enumerate(log_probabilities, 1):
        waiting += log_probability
        text = str(ccf.tokenizer.decode(list(ids[:count]), clean_up_tokenization_spaces=False))
        if text.endswith("\N{REPLACEMENT CHARACTER}") and count < len(ids):
            continue
        piece, shown = text[len(shown) :], text
        begins = not words or piece[:1].isspace() or words[-1][0][-1:].isspace()
        if begins:
            words.append((piece, waiting))
        else:
            words[-1] = words[-1][0] + piece, words[-1][1] + waiting
        waiting = 0.0
    return tuple(Word(text, math.exp(total)) for text, total in words)
