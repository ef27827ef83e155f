"""Looking into memories further: what slots read, how they lie, how faithful each segment is, what it says in short."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import NoSegment, NotAnswerable
from app.inspecting import BATCH, Inspecting
from app.memories import Memories
from app.operating import Operating, Operation
from app.pairing import Pairing
from app.remembered import Remembered
from app.views import Cancelled, Reconstruction, never
from app.words import key_sentence, sums, word_starts
from ccf_core import CCF, KVMemory
from ccf_core.answer import ABSTENTION
from ccf_core.inspection import TextAttention, slot_map, text_attention
from ccf_core.segment import tokenize
from ccf_core.surgery import Cut, answer_from
from store import Store

SUMMARY_QUESTION = "Summarise this part in one sentence."
SUMMARY_TOKENS = 80


@dataclass(frozen=True)
class SlotView:
    """A slot of a segment: its number in the memory's order, its level, the token it ends at (counted from 1)."""

    number: int
    level: int
    end: int


@dataclass(frozen=True)
class AttentionView:
    """What each slot of a segment looks at, aggregated to words.

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


class Looking:
    """Everything here raises DocumentNotFound, NoSegment and NotAnswerable (no such ratio), and Cancelled."""

    def __init__(self, store: Store, memories: Memories, inspecting: Inspecting) -> None:
        self.store = store
        self.memories = memories
        self._inspecting = inspecting
        self._operating = Operating(memories)
        #: Two adapters on one segment.
        self.pair = Pairing(memories).pair
        self._attention: Remembered[tuple[TextAttention, _Text]] = Remembered(64)
        self._reconstructions: Remembered[Reconstruction] = Remembered(1024)
        self._summaries: Remembered[SummaryView] = Remembered(1024)

    def forget(self, sha256: str) -> None:
        """Keep nothing of a deleted document in the process."""
        self._attention.forget(sha256)
        self._reconstructions.forget(sha256)
        self._summaries.forget(sha256)

    def shape(self) -> tuple[int, int]:
        """(layers, key-value heads) of a memory. Waits for the model."""
        header = self.memories.model.load().header
        return header.layers, header.kv_heads

    def slice(self, sha256: str, segment: int, ratio: int) -> Slice:
        """A segment at another ratio: read from the database, without a pass of the encoder."""
        started = time.perf_counter()
        recalled = self.memories.recall(sha256, ratio, [segment])
        seconds = time.perf_counter() - started
        ends = self.memories.model.load().encoder.plan(recalled.memory.tokens, ratio).slots
        return Slice(_slot_views(ends.levels, ends.ends), recalled.memory.tokens, seconds, recalled.notes)

    def attention(self, sha256: str, segment: int, ratio: int, cancelled: Cancelled = never) -> AttentionView:
        """What the slots of a segment look at. The first look runs the encoder once, at the finest ratio; every other
        ratio is a slice of that."""
        finest, source = self._look(sha256, segment, ratio, cancelled)
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

    def looked(self, sha256: str, segment: int, ratio: int) -> AttentionView | None:
        """``attention`` if that takes no pass of the encoder."""
        known = self._attention.get((sha256, segment, 0, self.memories.model.key))
        return self.attention(sha256, segment, ratio) if known else None

    def summary(self, sha256: str, segment: int, ratio: int, cancelled: Cancelled = never) -> SummaryView:
        """What the decoder answers when it is asked for one sentence about a segment's memory, and the sentence of the
        text that the same slots look at most. Remembered."""
        if known := self.summarised(sha256, segment, ratio):
            return known
        looked = self.attention(sha256, segment, ratio, cancelled)
        memory = self.memories.recall(sha256, ratio, [segment], cancelled=cancelled).memory
        ccf = self.memories.model.load()
        with self.memories.model.turn(cancelled):
            read = memory.slots, 2 * SUMMARY_TOKENS
            ((summary, abstained),) = self.memories.model.compute(
                ccf, _summarised, memory, tokens=read, cancelled=cancelled
            )
        key = looked.key_sentence
        made = SummaryView(sha256, segment, ratio, SUMMARY_QUESTION, summary, key, memory.slots, abstained)
        # Nothing is kept of a document that was deleted meanwhile.
        self.store.documents.get(sha256)
        self._summaries.put((sha256, segment, ratio, self.memories.model.key), made)
        return made

    def summarised(self, sha256: str, segment: int, ratio: int) -> SummaryView | None:
        """A summary that was made before."""
        return self._summaries.get((sha256, segment, ratio, self.memories.model.key))

    def slot_map(
        self, sha256: str, ratio: int, part: Literal["keys", "values"] = "values", layer: int | None = None
    ) -> MapView:
        """Two principal components of all slots of a document; of more than 4,000 slots an even sample."""
        layers, _ = self.shape()
        if layer is not None and layer not in range(layers):
            raise NotAnswerable(f"The layer must be one of 0 to {layers - 1}, not {layer}.")
        found = slot_map(self.memories.recall(sha256, ratio).memory, part, layer)
        x, y = found.points.T.tolist()
        return MapView(sha256, ratio, tuple(x), tuple(y), found.segments, found.levels, found.explained, found.total)

    def reconstruct(self, sha256: str, segment: int, ratio: int, cancelled: Cancelled = never) -> Reconstruction:
        """``Workbench.reconstruct``, remembered."""
        return next(self._reconstructed(sha256, [segment], ratio, cancelled))

    def remembered(self, sha256: str, segment: int, ratio: int) -> Reconstruction | None:
        """A reconstruction that was made before."""
        return self._reconstructions.get((sha256, segment, ratio, self.memories.model.key))

    def fidelity(self, sha256: str, ratio: int, cancelled: Cancelled = never) -> Iterator[list[float | None]]:
        """ROUGE-L of every segment's greedy reconstruction, None for those to come; what is known at first, then after
        every batch. What was computed before is remembered."""
        count = len(self.memories.segmented(sha256, cancelled).spans)
        scores = self.known_fidelity(sha256, ratio)
        yield list(scores)
        missing = [i for i in range(count) if scores[i] is None]
        for start in range(0, len(missing), BATCH):
            for one in self._reconstructed(sha256, missing[start : start + BATCH], ratio, cancelled):
                scores[one.segment] = one.rouge_l
            yield list(scores)

    def known_fidelity(self, sha256: str, ratio: int) -> list[float | None]:
        """What ``fidelity`` would begin with; computes nothing."""
        self.memories.levels(ratio)
        found = [self.remembered(sha256, i, ratio) for i in range(len(self.memories.segmented(sha256).spans))]
        return [one.rouge_l if one else None for one in found]

    def there(self, sha256: str, segment: int, ratio: int) -> tuple[Any, ...]:
        """What is known of a segment without running the model: the same as long as that is the same."""
        attention = self._attention.get((sha256, segment, 0, self.memories.model.key))
        known = attention, self.remembered(sha256, segment, ratio), self.summarised(sha256, segment, ratio)
        return *(one is not None for one in known), *self.known_fidelity(sha256, ratio)

    def operate(
        self,
        sha256: str,
        segment: int,
        ratio: int,
        cut: Cut,
        question: str = "",
        cancelled: Cancelled = never,
    ) -> Operation:
        """A segment's memory with parts switched off, asked or reconstructed (no question), beside the intact one."""
        return self._operating.operate(sha256, segment, ratio, cut, question, cancelled)

    def _reconstructed(
        self, sha256: str, segments: Sequence[int], ratio: int, cancelled: Cancelled
    ) -> Iterator[Reconstruction]:
        missing = [i for i in segments if self.remembered(sha256, i, ratio) is None]
        made = {one.segment: one for one in self._inspecting.reconstruct_all(sha256, ratio, missing, cancelled)}
        for segment in segments:
            one = made.get(segment) or self.remembered(sha256, segment, ratio)
            assert one is not None
            # Nothing is kept of a document that was deleted meanwhile.
            self.store.documents.get(sha256)
            self._reconstructions.put((sha256, segment, ratio, self.memories.model.key), one)
            yield one

    def _look(self, sha256: str, segment: int, ratio: int, cancelled: Cancelled) -> tuple[TextAttention, _Text]:
        document = self.memories.segmented(sha256, cancelled)
        if segment not in range(len(document.spans)):
            raise NoSegment(f"The document has no segment {segment}; choose one from 0 to {len(document.spans) - 1}.")
        self.memories.levels(ratio)
        ccf = self.memories.model.load(cancelled=cancelled)
        key = (sha256, segment, 0, self.memories.model.key)
        if (known := self._attention.get(key)) is None:
            text, span = self.store.documents.text(sha256), document.spans[segment]
            ids = document.segment(segment)
            with self.memories.model.turn(cancelled):
                _, offsets = tokenize(text, ccf.tokenizer)
                (looked,) = self.memories.model.compute(ccf, _attention, ids, tokens=(len(ids), 0), cancelled=cancelled)
            starts = tuple(start - span.char_start for start, _ in offsets[span.start : span.end])
            known = looked, _Text(text[span.char_start : span.char_end], starts)
            self._attention.put(key, known)
        return known


def _attention(ccf: CCF, input_ids: Sequence[int], cancelled: Cancelled) -> Iterator[TextAttention]:
    yield text_attention(ccf.encoder, input_ids, ccf.config.finest)


def _summarised(ccf: CCF, memory: KVMemory, cancelled: Cancelled) -> Iterator[tuple[str, bool]]:
    """A memory in one sentence, and whether the decoder first said that this is not in the document."""
    prefix = ccf.decoder.prefix(memory)

    def said(barred: Sequence[int] = ()) -> str:
        ids = answer_from(ccf, prefix, SUMMARY_QUESTION, SUMMARY_TOKENS, cancelled, barred=barred)
        return str(ccf.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    summary = said()
    abstained = summary == ABSTENTION
    if abstained:
        summary = said(ccf.tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"][:1])
    yield summary, abstained


def _slot_views(levels: Sequence[int], ends: Sequence[int]) -> tuple[SlotView, ...]:
    return tuple(SlotView(i, level, end) for i, (level, end) in enumerate(zip(levels, ends, strict=True)))
