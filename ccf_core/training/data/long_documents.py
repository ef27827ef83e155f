"""Long documents, one Batch for each segment: what incremental decoding reads, segment after segment.

Plain numpy, no model. Several documents go side by side: their t-th segments share the t-th Batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ccf_core.config import CCFConfig
from ccf_core.errors import CCFError
from ccf_core.memory.segments import slot_count
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.batch_size import PAD_RUN, Capacity, size_of
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.examples import Decoded, Example, Kind, Mix
from ccf_core.training.data.packing import pack

#: Segments of one document, each an int64 array of token ids.
Document = list[np.ndarray]

ENCODER_FIELDS = (
    "encoder_ids", "encoder_positions", "encoder_bounds", "slot_at", "slot_level", "slot_window", "pool_from",
    "pool_into",
)  # fmt: skip


class ShortTexts(CCFError):
    """No text is long enough to be decoded segment by segment."""


@dataclass(frozen=True)
class SegmentCapacity:
    """Sizes of one Batch: those of the streams that are encoded, and those of what is decoded."""

    encoder: Capacity
    decoder: Capacity

    @classmethod
    def of(cls, encoded: list[Example], decoded: list[Example], config: CCFConfig) -> SegmentCapacity:
        """Count what examples take; the encoder gets an unused token and slot more, for filling to point at."""
        text, slots, *_ = _sizes(encoded, config)
        _, _, tokens, memory, *_, targets, _ = _sizes(decoded, config)
        longest = max(len(d.input_ids) + e.slots_read(d) for e in decoded for d in e.decoded)
        sequences = sum(len(e.decoded) for e in decoded)
        return cls(
            # pack wants something to decode
            Capacity(text + 1, slots + 1, 1, 0, 0, 0, 0, 0, 0, len(encoded) + 1, 0),
            Capacity(0, 0, tokens, memory, 0, 0, 0, 0, targets, sequences, longest),
        )

    @classmethod
    def fixed(cls, documents: int, segments: int, config: CCFConfig) -> SegmentCapacity:
        """Bound all segments of ``documents`` documents of up to ``segments`` segments at any ratio: compiled layers
        want one shape."""
        ids = np.zeros(config.segment_length, np.int64)
        tight = cls.of(*_step([[ids] * segments] * documents, segments - 1, config.finest, 0, config), config)
        e, d = tight.encoder, tight.decoder
        encoder = -(-e.encoder // 128) * 128  # a multiple, as in Capacity.measured
        fillers = 1 + max(d.read_memory, d.read) // PAD_RUN  # sequences that fill up a stream, each with a query
        return cls(
            dataclasses.replace(e, encoder=encoder, sequences=e.sequences + 1 + encoder // PAD_RUN),
            dataclasses.replace(
                d,
                read=d.read + fillers,
                sequences=d.sequences + fillers + 1,
                longest=max(d.longest, 2 * PAD_RUN),  # filling is as long: PAD_RUN slots and PAD_RUN tokens
            ),
        )


def _sizes(examples: list[Example], config: CCFConfig) -> list[int]:
    return [int(n) for n in np.sum([size_of(e, config) for e in examples], axis=0)]


def _step(
    documents: Sequence[Document], t: int, ratio: int, shift: int, config: CCFConfig
) -> tuple[list[Example], list[Example]]:
    """List (t-th segments to encode, sequences in which the decoder reads these and earlier segments)."""
    encoded = [Example(ratio, [document[t]]) for document in documents]
    decoded = []
    for document in documents:
        segment = document[t]
        begun = np.concatenate(([config.repeat_token], segment[:-1]))
        asked = [Decoded(Kind.RECONSTRUCT, (t,), begun, segment)]
        if t and len(segment) > 1:
            asked.append(Decoded(Kind.CONTINUE, tuple(range(t)), segment[:-1], segment[1:], shift))
        decoded.append(Example(ratio, document[: t + 1], asked))
    return encoded, decoded


def segment_batches(
    documents: Sequence[Document],
    ratio: int,
    config: CCFConfig,
    mix: Mix,
    *,
    shift: int = 0,
    capacity: SegmentCapacity | None = None,
    notable: np.ndarray | None = None,
) -> list[Batch]:
    """Batch t holds the t-th segment of every document: to encode, to reconstruct and, after the first, to continue.

    documents : of equally many segments, which may differ in length. ratio : text tokens a slot.
    shift : power of two by which positions of continuations are squeezed. capacity : of every Batch; exactly
    what each takes if ``None``. notable : as in ``pack``.

    ``read.memory_slot`` of Batch t counts through the slots that encoding Batches 0 … t gives, one after the other.
    Over all Batches the targets of each kind weigh ``mix.weights[kind]``. Raises ValueError for unequal documents.
    """
    if len({len(document) for document in documents}) != 1:
        raise ValueError("give documents of equally many segments")
    slots = np.array([[slot_count(len(s), ratio) for s in document] for document in documents])
    within = np.cumsum(slots, axis=0) - slots  # of earlier documents, in the same segment
    batches: list[Batch] = []
    edges = [0]
    for t in range(slots.shape[1]):
        encoded, decoded = _step(documents, t, ratio, shift, config)
        own = capacity or SegmentCapacity.of(encoded, decoded, config)
        source = pack(encoded, config, own.encoder, mix)
        # Only the decoder's side of this one is used, but pack wants capacity for all segments that are read.
        batch = pack(decoded, config, _with_text(own.decoder, decoded, config), mix, notable)
        first = np.array(edges)
        edges.append(edges[-1] + len(source.slot_at))
        rows = [first[i] + within[d, i] + np.arange(slots[d, i]) for d in range(len(documents)) for i in range(t + 1)]
        read = sum(e.slots_read(d) for e in decoded for d in e.decoded)
        at = np.concatenate(rows)[batch.read.memory_slot[:read].numpy()]
        # Spread out: the gradients of what fills the stream, all zero, are added one by one to the rows it points to.
        spare = np.arange(len(batch.read.memory_slot) - read) % edges[-1]
        bounds = own.decoder.sequences + 1
        batches.append(
            batch._replace(
                **{name: getattr(source, name) for name in ENCODER_FIELDS},
                read=batch.read._replace(
                    query_bounds=batch.read.query_bounds[:bounds],
                    key_bounds=batch.read.key_bounds[:bounds],
                    memory_slot=torch.from_numpy(np.concatenate((at, spare))),
                ),
                source_tokens=source.source_tokens,
            )
        )
    return _weighed(batches, len(mix.weights))


def _with_text(capacity: Capacity, decoded: list[Example], config: CCFConfig) -> Capacity:
    text, slots, *_ = _sizes(decoded, config)
    segments = sum(len(e.segments) for e in decoded)
    return dataclasses.replace(capacity, encoder=text, slots=slots, sequences=max(segments, capacity.sequences))


def _weighed(batches: list[Batch], kinds: int) -> list[Batch]:
    """Weigh the targets of each kind in a Batch by the share of that kind's targets that the Batch holds."""
    counts = torch.stack(
        [torch.bincount(b.target_kind[b.target_weight > 0], minlength=kinds + 1) for b in batches]
    ).float()
    shares = counts / counts.sum(0).clamp_min(1)
    return [
        b._replace(target_weight=b.target_weight * share[b.target_kind])
        for b, share in zip(batches, shares, strict=True)
    ]


class Documents(Dataset):
    """Step number i, made from (seed, i) alone: the Batches of documents of 2 to ``segments`` segments.

    As many documents at once as ``segments`` of them make ``tokens`` source tokens. fixed : one shape for every
    Batch of every step. Raises ShortTexts if no text has two segments.
    """

    def __init__(
        self, data: TrainingData, config: CCFConfig, mix: Mix, segments: int, tokens: int, seed: int, *, fixed: bool
    ) -> None:
        self.data, self.config, self.mix, self.seed = data, config, mix, seed
        lengths = data.texts.lengths()
        self.whole = np.minimum(lengths // config.segment_length, segments)
        self.weights = np.where(self.whole >= 2, lengths, 0).astype(np.float64)
        if not self.weights.any():
            raise ShortTexts(
                f"Segment by segment needs texts and --segments of two segments of {config.segment_length} tokens "
                "or more: give longer texts or a smaller --segment-length."
            )
        self.documents = max(1, tokens // (segments * config.segment_length))
        self.capacity = SegmentCapacity.fixed(self.documents, segments, config) if fixed else None
        self.notable = data.vocabulary.notable

    def __getitem__(self, number: int) -> list[Batch]:
        """Draw texts by their length; the first sets how many segments all have."""
        rng = np.random.default_rng((self.seed, number))
        ratio = int(rng.choice(self.config.ratios, p=self.mix.ratios))
        shift = int(rng.choice(len(self.mix.strides), p=self.mix.strides))
        chosen = [self._pick(rng, 2)]
        count = int(self.whole[chosen[0]])
        chosen += [self._pick(rng, count) for _ in range(self.documents - 1)]
        documents = [self._cut(rng, self.data.texts[index], count) for index in chosen]
        return segment_batches(
            documents, ratio, self.config, self.mix, shift=shift, capacity=self.capacity, notable=self.notable
        )

    def _pick(self, rng: np.random.Generator, at_least: int) -> int:
        edges = np.cumsum(np.where(self.whole >= at_least, self.weights, 0.0))
        return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))

    def _cut(self, rng: np.random.Generator, text: np.ndarray, count: int) -> Document:
        full = self.config.segment_length
        ragged = full > 1 and rng.random() < self.mix.ragged
        lengths = rng.integers(1, full, count) if ragged else np.full(count, full)
        start = int(rng.integers(len(text) - lengths.sum() + 1))
        ids = text[start : start + lengths.sum()].astype(np.int64)
        return np.split(ids, np.cumsum(lengths)[:-1])
