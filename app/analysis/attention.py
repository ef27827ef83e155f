"""Show what the slots of a segment attend to while it is encoded, word by word, and how slots lie as points."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import ccf_core
from app.documents.memory_cache import Memories, check_segment
from app.errors import NotAnswerable
from app.runtime.lru import LruCache
from app.types import CancelCheck, never
from ccf_core.memory.segments import tokenize
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, TextAttention

#: A sentence of fewer tokens is a heading or a fragment, unless there is nothing else.
SENTENCE_TOKENS = 5

# A full stop with closing quotes and brackets after it, or an empty line; the wide ones need no space.
_SENTENCE_END = re.compile(
    "[.!?\u2026][\"'\u201d\u2019)\\]]*\\s+(?![a-z])|[\u3002\uff01\uff1f][\u300d\u300f\u201d]?|\\n\\s*\\n"
)


@dataclass(frozen=True)
class SlotView:
    """A slot of a segment: its number in the memory's order, its level, the token it ends at (counted from 1)."""

    number: int
    level: int
    end: int


@dataclass(frozen=True)
class AttentionView:
    """Attention of each slot of a segment, summed over the tokens of each word.

    words : with the white space after them; joined they are the segment's text.
    weights : for every slot, its attention to every word; a row sums to 1.
    sink : share of all attention that the segment's first token draws, whatever it says: an attention sink.
    key_sentence : the sentence that draws the most attention a token, the first token of the segment left out.
    """

    document: str
    segment: int
    ratio: int
    words: tuple[str, ...]
    slots: tuple[SlotView, ...]
    weights: tuple[tuple[float, ...], ...]
    sink: float
    key_sentence: str


@dataclass(frozen=True)
class MapView:
    """Slots of a document as points: x, y, segment and level of each; ``total`` counts those that are not shown too."""

    document: str
    ratio: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    segments: tuple[int, ...]
    levels: tuple[int, ...]
    explained: tuple[float, float]
    total: int


@dataclass(frozen=True)
class Slice:
    """A segment's memory at a ratio as it came out of the database: its slots, and the seconds that it took."""

    slots: tuple[SlotView, ...]
    tokens: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Text:
    """A segment's text and, for each of its tokens, where it begins in it."""

    text: str
    starts: tuple[int, ...]


class Attention:
    """Attention of slots to words, cached by segment.

    Every method raises DocumentNotFound, NoSegment and NotAnswerable (no such ratio), and Cancelled.
    """

    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories
        self._cache: LruCache[tuple[TextAttention, _Text]] = memories.cache(64)

    def slice(self, sha256: str, segment: int, ratio: int) -> Slice:
        """Read a segment at another ratio from the database, without a pass of the encoder."""
        started = time.perf_counter()
        recalled = self.memories.recall(sha256, ratio, [segment])
        seconds = time.perf_counter() - started
        ends = self.memories.model.load().encoder.tables(recalled.memory.tokens, ratio).slots
        return Slice(_slot_views(ends.levels, ends.ends), recalled.memory.tokens, seconds, recalled.notes)

    def view(self, sha256: str, segment: int, ratio: int, cancelled: CancelCheck = never) -> AttentionView:
        """Compute what the slots of a segment attend to.

        The encoder runs once a segment, at the finest ratio; every other ratio is a slice of that.
        """
        finest, source = self._attend(sha256, segment, ratio, cancelled)
        found = finest.at(ratio)
        weights = found.weights.tolist()
        first_words = word_starts(source.text, source.starts)
        bounds = [source.starts[i] for i in first_words] + [len(source.text)]
        # White space before the first token belongs to the first word.
        bounds[0] = 0
        by_token = found.by_token.tolist()
        return AttentionView(
            document=sha256,
            segment=segment,
            ratio=ratio,
            words=tuple(source.text[a:b] for a, b in itertools.pairwise(bounds)),
            slots=_slot_views(found.layout.levels, found.layout.ends),
            weights=tuple(tuple(sums(row, first_words)) for row in weights),
            sink=by_token[0] / sum(by_token),
            key_sentence=key_sentence(source.text, source.starts, by_token),
        )

    def sentence_of(self, sha256: str, segment: int, ratio: int, cancelled: CancelCheck = never) -> str:
        """Choose the sentence of a segment that draws the most attention in all: a longer one than ``key_sentence``."""
        finest, source = self._attend(sha256, segment, ratio, cancelled)
        return key_sentence(source.text, source.starts, finest.at(ratio).by_token.tolist(), a_token=False)

    def known(self, sha256: str, segment: int, ratio: int) -> AttentionView | None:
        """Return ``view`` if that takes no pass of the encoder."""
        return self.view(sha256, segment, ratio) if self.cached(sha256, segment) else None

    def cached(self, sha256: str, segment: int) -> bool:
        """Tell whether the encoder has been run for a segment's ``view``."""
        return self._cache.get((sha256, segment, 0, self.memories.model.key)) is not None

    def slot_map(
        self, sha256: str, ratio: int, part: Literal["keys", "values"] = "values", layer: int | None = None
    ) -> MapView:
        """Compute two principal components of all slots of a document; of more than 4,000 slots an even sample."""
        layers, _ = self.memories.shape()
        if layer is not None and layer not in range(layers):
            raise NotAnswerable(f"The layer must be one of 0 to {layers - 1}, not {layer}.")
        found = ccf_core.slot_map(self.memories.recall(sha256, ratio).memory, part, layer)
        x, y = found.points.T.tolist()
        return MapView(sha256, ratio, tuple(x), tuple(y), found.segments, found.levels, found.explained, found.total)

    def _attend(self, sha256: str, segment: int, ratio: int, cancelled: CancelCheck) -> tuple[TextAttention, _Text]:
        document = self.memories.segmented(sha256, cancelled)
        check_segment(document, segment)
        self.memories.levels(ratio)
        ccf = self.memories.model.load(cancelled=cancelled)
        key = (sha256, segment, 0, self.memories.model.key)
        if (known := self._cache.get(key)) is None:
            text, span = self.store.documents.text(sha256), document.spans[segment]
            ids = document.segment(segment)
            with self.memories.model.hold(cancelled):
                _, offsets = tokenize(text, ccf.tokenizer)
                (looked,) = self.memories.model.compute(ccf, _attention, ids, tokens=(len(ids), 0), cancelled=cancelled)
            starts = tuple(start - span.char_start for start, _ in offsets[span.start : span.end])
            known = looked, _Text(text[span.char_start : span.char_end], starts)
            self._cache.put(key, known)
        return known


def _attention(ccf: CCF, input_ids: Sequence[int], cancelled: CancelCheck) -> Iterator[TextAttention]:
    yield ccf_core.text_attention(ccf.encoder, input_ids, ccf.config.finest)


def _slot_views(levels: Sequence[int], ends: Sequence[int]) -> tuple[SlotView, ...]:
    return tuple(SlotView(i, level, end) for i, (level, end) in enumerate(zip(levels, ends, strict=True)))


def sums(row: Sequence[float], starts: Sequence[int]) -> list[float]:
    """Sum the runs of ``row`` that begin at ``starts``."""
    return [sum(row[a:b]) for a, b in zip(starts, [*starts[1:], len(row)], strict=True)]


def word_starts(text: str, starts: Sequence[int]) -> list[int]:
    """List the tokens that begin a word: the first, and those that begin with or follow white space.

    A character of several tokens belongs to the first of them.
    """
    return [
        i
        for i, start in enumerate(starts)
        if i == 0 or (start > starts[i - 1] and (text[start].isspace() or text[start - 1].isspace()))
    ]


def sentences(text: str) -> list[tuple[int, int]]:
    """List (start, end) of the sentences, paragraphs and headings of a text, without the white space around them."""
    bounds = [0, *(found.end() for found in _SENTENCE_END.finditer(text)), len(text)]
    found = []
    for a, b in itertools.pairwise(bounds):
        piece = text[a:b]
        if piece.strip():
            found.append((a + len(piece) - len(piece.lstrip()), a + len(piece.rstrip())))
    return found


def key_sentence(text: str, starts: Sequence[int], by_token: Sequence[float], *, a_token: bool = True) -> str:
    """Choose the sentence of a segment with the most attention a token, or in all; the earlier of equals.

    The first token of the segment counts for no sentence: it is a sink that draws a third of all attention whatever it
    says (arXiv 2309.17453). Headings and fragments of under five tokens are taken only if there is nothing else.
    """
    ranked: list[tuple[bool, float, str]] = []
    for a, b in sentences(text):
        own = [by_token[i] for i in range(1, len(starts)) if a <= starts[i] < b]
        drawn = sum(own) / (len(own) or 1) if a_token else sum(own)
        ranked.append((len(own) >= SENTENCE_TOKENS, drawn, text[a:b]))
    return max(ranked, key=lambda one: one[:2])[2] if ranked else ""
