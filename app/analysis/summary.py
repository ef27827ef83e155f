"""Summarise a segment in one sentence, decoded from its slots alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ccf_core
from app.analysis.attention import Attention
from app.documents.memory_cache import Memories
from app.runtime.lru import LruCache
from app.types import CancelCheck, never
from ccf_core.answering.prompt import ABSTENTION
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory

SUMMARY_QUESTION = "Summarise this part in one sentence."
SUMMARY_TOKENS = 80


@dataclass(frozen=True)
class SummaryView:
    """A segment in one sentence, decoded from its slots alone, beside a sentence chosen from its text.

    abstained : the decoder's own answer was that this is not in the document, as it may be trained to say of what is no
        question of fact; ``summary`` is then its answer with the first token of that one barred.
    """

    document: str
    segment: int
    ratio: int
    question: str
    summary: str
    key_sentence: str
    slots: int
    abstained: bool


class Summaries:
    """Summaries of segments, cached.

    Every method raises DocumentNotFound, NoSegment, NotAnswerable (no such ratio), AdapterNeeded and Cancelled.
    """

    def __init__(self, store: Store, memories: Memories, attention: Attention) -> None:
        self.store = store
        self.memories = memories
        self.attention = attention
        self._cache: LruCache[SummaryView] = memories.cache(1024)

    def summarise(self, sha256: str, segment: int, ratio: int, cancelled: CancelCheck = never) -> SummaryView:
        """Ask the decoder for one sentence about a segment's memory, or take the cached answer; beside it stands the
        sentence of the text to which the same slots attend most."""
        if known := self.known(sha256, segment, ratio):
            return known
        self.memories.model.load(cancelled=cancelled).config.check_trained("A summary from memory")
        looked = self.attention.view(sha256, segment, ratio, cancelled)
        memory = self.memories.recall(sha256, ratio, [segment], cancelled=cancelled).memory
        ccf = self.memories.model.load()
        with self.memories.model.hold(cancelled):
            read = memory.slots, 2 * SUMMARY_TOKENS
            ((summary, abstained),) = self.memories.model.compute(
                ccf, _summarised, memory, tokens=read, cancelled=cancelled
            )
        key = looked.key_sentence
        made = SummaryView(sha256, segment, ratio, SUMMARY_QUESTION, summary, key, memory.slots, abstained)
        # Nothing is kept of a document that was deleted meanwhile.
        self.store.documents.get(sha256)
        self._cache.put((sha256, segment, ratio, self.memories.model.key), made)
        return made

    def known(self, sha256: str, segment: int, ratio: int) -> SummaryView | None:
        """Look up a cached summary."""
        return self._cache.get((sha256, segment, ratio, self.memories.model.key))


def _summarised(ccf: CCF, memory: KVMemory, cancelled: CancelCheck) -> Iterator[tuple[str, bool]]:
    """Yield a memory in one sentence, and whether the decoder first said that this is not in the document."""
    prefix = ccf.decoder.prefix(memory)

    def said(barred: Sequence[int] = ()) -> str:
        ids = ccf_core.answer_from(ccf, prefix, SUMMARY_QUESTION, SUMMARY_TOKENS, cancelled, barred=barred)
        return str(ccf.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    summary = said()
    abstained = summary == ABSTENTION
    if abstained:
        summary = said(ccf.tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"][:1])
    yield summary, abstained
