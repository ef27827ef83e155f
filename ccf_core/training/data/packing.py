"""Examples to one batch of fixed shape: every token stream is a run of sequences without padding between them.

Fixed shapes let the layers be compiled once; what is left over at the end of a stream is a sequence of its own that
nobody learns from.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset

from ccf_core.config import CCFConfig
from ccf_core.memory.layout import Placement, SlotLayout, slot_layout, window_start
from ccf_core.training.data.batch import Batch, Stream
from ccf_core.training.data.batch_size import (
    PAD_RUN,
    Capacity,
    draw_examples,
    fitting,
    is_repeated,
    is_taught,
    source_tokens,
)
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.examples import Decoded, Example, Kind, Mix
from ccf_core.training.data.sampling import Sampler


@lru_cache(maxsize=4096)
def _slots(tokens: int, ratio: int, ratios: tuple[int, ...]) -> tuple[SlotLayout, np.ndarray]:
    slots = slot_layout(tokens, ratio, ratios)
    return slots, np.asarray(slots.ends)


class _EncoderStreams:
    """The streams of what is encoded: segments in a row, each with its slots behind it."""

    def __init__(self, config: CCFConfig) -> None:
        self.config = config
        self.with_slots = config.compressor != "mean_pool"
        self.ids: list[np.ndarray] = []
        self.positions: list[np.ndarray] = []
        self.lengths: list[int] = []
        self.slot_at: list[np.ndarray] = []
        self.slot_level: list[np.ndarray] = []
        self.slot_window: list[np.ndarray] = []
        self.pool_from: list[np.ndarray] = []
        self.pool_into: list[np.ndarray] = []
        self.at = self.slots = 0

    def add(self, segment: np.ndarray, ratio: int) -> tuple[int, np.ndarray]:
        """Append a segment. Returns the number of its first slot, and where in the segment each of its slots ends."""
        config, at, first = self.config, self.at, self.slots
        slots, ends = _slots(len(segment), ratio, config.ratios)
        n, count = len(segment), len(slots)
        self.slot_level.append(np.asarray([config.ratios.index(level) for level in slots.levels]))
        if self.with_slots:
            self.ids += [segment, np.zeros(count, np.int64)]
            self.positions += [np.arange(n), ends - 1]
            self.slot_at.append(at + n + np.arange(count))
            starts = [window_start(e, lv, config.slot_window) for e, lv in zip(slots.ends, slots.levels, strict=True)]
            self.slot_window.append(np.stack((at + np.asarray(starts), at + ends), axis=1))
        else:
            self.ids.append(segment)
            self.positions.append(np.arange(n))
            by_end = np.argsort(ends)
            self.pool_from.append(at + np.arange(n))
            self.pool_into.append(first + by_end[np.searchsorted(ends[by_end], np.arange(n), side="right")])
        self.lengths.append(n + count * self.with_slots)
        self.at += self.lengths[-1]
        self.slots += count
        return first, ends


class _DecoderStream:
    """Collects sequences in a row, and the slots that each reads, to be filled up to a Stream."""

    def __init__(self) -> None:
        self.ids: list[np.ndarray] = []
        self.positions: list[np.ndarray] = []
        self.lengths: list[int] = []
        self.slots_read: list[int] = []
        self.memory_slot: list[np.ndarray] = []
        self.memory_positions: list[np.ndarray] = []

    def add(self, d: Decoded, segments: list[np.ndarray], slots: list[tuple[int, np.ndarray]]) -> int:
        """Append a sequence of an example, and return where in the stream it begins.

        ``slots`` is what ``_EncoderStreams.add`` returned for each of the example's ``segments``.
        """
        at, placed = sum(self.lengths), Placement(sum(len(segments[i]) for i in d.segments), 1, 2**d.shift)
        start = 0
        for i in d.segments:
            first, ends = slots[i]
            self.memory_slot.append(first + np.arange(len(ends)))
            self.memory_positions.append((start + ends - 1) * placed.numerator // placed.denominator)
            start += len(segments[i])
        self.ids.append(d.input_ids)
        self.positions.append((placed.question if d.segments else 0) + np.arange(len(d.input_ids)))
        self.lengths.append(len(d.input_ids))
        self.slots_read.append(sum(len(slots[i][1]) for i in d.segments))
        return at

    def filled(self, tokens: int, memory: int, capacity: Capacity) -> Stream:
        """Fill up to so many tokens and slots read."""
        rest, memory_rest = tokens - sum(self.lengths), memory - sum(self.slots_read)
        # What is left becomes short sequences that have both keys and queries: attention kernels leave gradients of
        # keys that nobody queries uninitialised.
        runs = -(-max(rest, memory_rest) // PAD_RUN)
        lengths, slots_read = self.lengths + _even(rest, runs), self.slots_read + _even(memory_rest, runs)
        order = _interleave(slots_read, lengths)
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        arrays = {
            "ids": _filled(self.ids, tokens, 0),
            "positions": _filled(self.positions, tokens, 0),
            "query_bounds": _bounds(lengths, capacity.sequences),
            "key_bounds": _bounds([m + d for m, d in zip(slots_read, lengths, strict=True)], capacity.sequences),
            "memory_slot": _filled(self.memory_slot, memory, capacity.slots - 1),
            "memory_positions": _filled(self.memory_positions, memory, 0),
            "order": order,
            "inverse": inverse,
        }
        return Stream(**{name: torch.from_numpy(a) for name, a in arrays.items()}, longest=capacity.longest)


class _DecoderStreams:
    """The streams of what is decoded, and the targets in them."""

    def __init__(self, config: CCFConfig, capacity: Capacity, mix: Mix) -> None:
        self.config, self.capacity, self.mix = config, capacity, mix
        self.read, self.repeat, self.teacher = _DecoderStream(), _DecoderStream(), _DecoderStream()
        self.teacher_at: list[np.ndarray] = []
        self.teacher_share: list[np.ndarray] = []
        #: (where, target, kind, weight within its kind) without and with a teacher
        self.asked: tuple[list, list] = ([], [])

    def add(self, example: Example, slots: list[tuple[int, np.ndarray]]) -> None:
        """Append the sequences of an example; ``slots`` is what ``_EncoderStreams.add`` returned for each segment."""
        streams = [
            self.teacher if d.frozen else self.repeat if is_repeated(d, self.config) else self.read
            for d in example.decoded
        ]
        begins = [s.add(d, example.segments, slots) for d, s in zip(example.decoded, streams, strict=True)]
        for d, stream, begin in zip(example.decoded, streams, begins, strict=True):
            if d.frozen:
                continue
            asked = np.flatnonzero(d.targets >= 0)
            kinds = np.where(asked < d.asked, int(Kind.ASK), int(d.kind))
            own = np.ones(len(asked))
            if d.kind in (Kind.ANSWER, Kind.READ):
                own[kinds == d.kind] = float((kinds == d.kind).sum()) ** -self.mix.balance
            at = begin + (self.capacity.read if stream is self.repeat else 0)
            self.asked[is_taught(d)].append((at + asked, d.targets[asked], kinds, own))
            if d.teacher is not None:
                self.teacher_at.append(begins[d.teacher[0]] + d.teacher[1] + asked)
                self.teacher_share.append(np.where(kinds == Kind.ASK, 1.0, self.mix.distil))

    def targets(self) -> list[np.ndarray]:
        """Fill up where, target, kind and weight within its kind, each (taught + targets,)."""
        sizes = (self.capacity.targets, self.capacity.taught)
        fills = ((self.capacity.read - 1, np.int64), (0, np.int64), (len(Kind), np.int64), (0, np.float64))
        return [
            np.concatenate([_filled([a[i] for a in self.asked[t]], sizes[t], fill, dtype) for t in (True, False)])
            for i, (fill, dtype) in enumerate(fills)
        ]


class Batches(Dataset):
    """Batch number i of about ``tokens`` source tokens, made from (seed, i) alone.

    fitting : share of examples that have room in a batch, ordinary and long. Raises BatchTooSmall if hardly any has.
    """

    def __init__(self, data: TrainingData, config: CCFConfig, mix: Mix, tokens: int, seed: int) -> None:
        self.sampler = Sampler(data, config, mix)
        self.config, self.mix, self.seed = config, mix, seed
        kinds = (False, True) if mix.long_every else (False,)
        self.capacities = [Capacity.measured(self.sampler, tokens, long) for long in kinds]
        self.notable = data.vocabulary.notable
        self.fitting = [fitting(self.sampler, *one) for one in zip(self.capacities, kinds, strict=True)]

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, number))
        every = self.mix.long_every
        # Eight in a row are of a kind, so that up to eight processes have a step of equal work.
        long = bool(every) and number // 8 % every == every - 1
        capacity = self.capacities[long]
        return pack(draw_examples(self.sampler, capacity, rng, long), self.config, capacity, self.mix, self.notable)


def pack(
    examples: list[Example], config: CCFConfig, capacity: Capacity, mix: Mix, notable: np.ndarray | None = None
) -> Batch:
    """Lay examples out in the streams of a Batch. Each kind's targets weigh ``mix.weights[kind]`` in all.

    notable : tokens that ``mix.emphasis`` is for, bool (vocabulary,).
    """
    encoder, decoder = _EncoderStreams(config), _DecoderStreams(config, capacity, mix)
    for example in examples:
        decoder.add(example, [encoder.add(segment, example.ratio) for segment in example.segments])
    target_at, targets, kind, own = decoder.targets()
    rest = capacity.encoder - sum(encoder.lengths)
    pairs = 0 if encoder.with_slots else capacity.encoder
    arrays = {
        "encoder_ids": _filled(encoder.ids, capacity.encoder, 0),
        "encoder_positions": _filled(encoder.positions, capacity.encoder, 0),
        "encoder_bounds": _bounds(encoder.lengths + _even(rest, -(-rest // PAD_RUN)), capacity.sequences),
        "slot_at": _filled(encoder.slot_at, capacity.slots, capacity.encoder - 1),
        "slot_level": _filled(encoder.slot_level, capacity.slots, 0),
        "slot_window": _filled(encoder.slot_window, capacity.slots, np.array([0, 1])),
        "pool_from": _filled(encoder.pool_from, pairs, capacity.encoder - 1),
        "pool_into": _filled(encoder.pool_into, pairs, capacity.slots - 1),
        "target_at": target_at,
        "targets": targets,
        "target_kind": kind,
        "target_weight": _target_weights(kind, targets, own, mix, notable),
        "teacher_at": _filled(decoder.teacher_at, capacity.taught, max(0, (capacity.teacher or capacity.read) - 1)),
        "teacher_share": _filled(decoder.teacher_share, capacity.taught, 0, np.float32),
        "source_tokens": np.asarray(sum(map(source_tokens, examples))),
    }
    return Batch(
        **{name: torch.from_numpy(np.asarray(a)) for name, a in arrays.items()},
        read=decoder.read.filled(capacity.read, capacity.read_memory, capacity),
        repeat=decoder.repeat.filled(capacity.repeat, capacity.repeat_memory, capacity) if capacity.repeat else None,
        teacher=decoder.teacher.filled(capacity.teacher, 0, capacity) if capacity.teacher else None,
    )


def _target_weights(
    kind: np.ndarray, targets: np.ndarray, own: np.ndarray, mix: Mix, notable: np.ndarray | None
) -> np.ndarray:
    """Weigh targets, float32: each kind's add up to its weight, in proportion to ``own``, times ``mix.emphasis`` for
    the notable tokens of a reconstruction."""
    if notable is not None and mix.emphasis != 1:
        own = np.where((kind == Kind.RECONSTRUCT) & notable[targets], mix.emphasis * own, own)
    totals = np.bincount(kind, own, minlength=len(mix.weights) + 1)
    per_kind = np.append(np.asarray(mix.weights) / np.where(totals[:-1] > 0, totals[:-1], 1), 0.0)
    return (per_kind[kind] * own).astype(np.float32)


def _filled(parts: list[np.ndarray], length: int, fill: int | np.ndarray, dtype: type = np.int64) -> np.ndarray:
    used = sum(map(len, parts))
    rest = np.broadcast_to(np.asarray(fill), (length - used, *np.shape(fill)))
    return np.concatenate([*parts, rest]).astype(dtype)


def _even(total: int, runs: int) -> list[int]:
    return [total // runs + (i < total % runs) for i in range(runs)]


def _bounds(lengths: list[int], sequences: int) -> np.ndarray:
    edges = np.cumsum([0, *lengths])
    return np.concatenate([edges, np.full(sequences + 1 - len(edges), edges[-1])]).astype(np.int32)


def _interleave(memory: list[int], tokens: list[int]) -> np.ndarray:
    """Index each key of the sequences [memory_i, tokens_i] in a row within [all memory | all tokens]."""
    total = sum(memory)
    mem_edge, tok_edge = np.cumsum([0, *memory]), np.cumsum([0, *tokens])
    parts = [
        np.concatenate((np.arange(mem_edge[i], mem_edge[i + 1]), total + np.arange(tok_edge[i], tok_edge[i + 1])))
        for i in range(len(memory))
    ]
    return np.concatenate(parts)
