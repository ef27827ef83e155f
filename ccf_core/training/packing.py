"""Examples to one batch of fixed shape: every token stream is a run of sequences without padding between them.

Fixed shapes let the layers be compiled once; what is left over at the end of a stream is a sequence of its own that
nobody learns from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ccf_core.config import CCFConfig
from ccf_core.layout import Placement, SlotLayout, slot_layout, window_start
from ccf_core.training.examples import Example, Sampler

#: Bounds on the length of an encoder sequence (text and slots of a segment) and of a decoder sequence (slots read
#: and tokens), which attention kernels have to know beforehand.
PAD_RUN = 512
LONGEST = 1280


@dataclass(frozen=True)
class Capacity:
    """Sizes of one batch: tokens through the encoder (slots included) and the decoder, slots, slots read, targets."""

    encoder: int
    decoder: int
    slots: int
    memory: int
    targets: int
    sequences: int

    @classmethod
    def for_tokens(cls, tokens: int) -> Capacity:
        """Room for about ``tokens`` source tokens under the default mix (measured: 93 to 97% of it gets used)."""

        def aligned(share: float) -> int:
            return int(tokens * share) // 128 * 128 + 128

        return cls(aligned(1.18), aligned(1.25), aligned(0.17), aligned(0.42), aligned(1.12), tokens // 96 + 128)


class Batch(NamedTuple):
    """Tensors of one batch, int64 unless said otherwise; E, D, S, M, N as in Capacity, Q sequences.

    encoder_ids (E,), encoder_positions (E,), encoder_bounds (Q,) int32: text and slots of each segment in a row.
    slot_at (S,): where in the encoder stream; slot_level (S,): index of the level; slot_window (S, 2): [start, end).
    decoder_ids (D,), decoder_positions (D,), query_bounds (Q,), key_bounds (Q,) int32.
    memory_slot (M,), memory_positions (M,): slots read, sequence after sequence.
    order, inverse (M + D,): from [memory | tokens] to each sequence's own [memory, tokens], and back.
    target_at, targets (N,), target_kind (N,), target_weight (N,) float32 (0 where unused).
    source_tokens: text tokens that went in.
    """

    encoder_ids: Tensor
    encoder_positions: Tensor
    encoder_bounds: Tensor
    slot_at: Tensor
    slot_level: Tensor
    slot_window: Tensor
    decoder_ids: Tensor
    decoder_positions: Tensor
    query_bounds: Tensor
    key_bounds: Tensor
    memory_slot: Tensor
    memory_positions: Tensor
    order: Tensor
    inverse: Tensor
    target_at: Tensor
    targets: Tensor
    target_kind: Tensor
    target_weight: Tensor
    source_tokens: Tensor

    def to(self, device: torch.device | str) -> Batch:
        return Batch(*(t.to(device, non_blocking=True) for t in self))


@lru_cache(maxsize=4096)
def _slots(tokens: int, ratio: int, ratios: tuple[int, ...]) -> tuple[SlotLayout, np.ndarray]:
    slots = slot_layout(tokens, ratio, ratios)
    return slots, np.asarray(slots.ends)


def size_of(example: Example, config: CCFConfig) -> np.ndarray:
    """(encoder, decoder, slots, memory, targets, sequences) that an example takes."""
    slots = [-(-len(s) // example.ratio) for s in example.segments]
    memory = sum(slots[i] for d in example.decoded for i in d.segments)
    tokens = sum(len(d.input_ids) for d in example.decoded)
    targets = sum(int((d.targets >= 0).sum()) for d in example.decoded)
    text = sum(map(len, example.segments))
    return np.array([text + sum(slots), tokens, sum(slots), memory, targets, max(len(slots), len(example.decoded))])


def _short_enough(example: Example, config: CCFConfig) -> bool:
    slots = [-(-len(s) // example.ratio) for s in example.segments]
    return all(n + len(s) <= PAD_RUN for n, s in zip(slots, example.segments, strict=True)) and all(
        len(d.input_ids) + sum(slots[i] for i in d.segments) <= LONGEST for d in example.decoded
    )


def draw_examples(sampler: Sampler, capacity: Capacity, rng: np.random.Generator) -> list[Example]:
    """Draw until the next example no longer fits; two misses are drawn over first."""
    room = np.array(list(vars(capacity).values()))
    runs = 1 + max(capacity.encoder, capacity.decoder, capacity.memory) // PAD_RUN
    reserve = np.array([1, runs, 1, 1, 0, runs])
    used, misses, examples = reserve, 0, []
    while misses < 3:
        example = sampler.draw(rng)
        after = used + size_of(example, sampler.config)
        if not _short_enough(example, sampler.config):
            continue
        if (after > room).any():
            misses += 1
            continue
        used = after
        examples.append(example)
    return examples


def pack(examples: list[Example], config: CCFConfig, capacity: Capacity, weights: tuple[float, ...]) -> Batch:
    """Lay examples out in the streams of a Batch. Each kind's targets weigh weights[kind] in all."""
    enc_ids, enc_pos, enc_len = [], [], []
    slot_at, slot_level, slot_window = [], [], []
    dec_ids, dec_pos, dec_len, mem_len = [], [], [], []
    mem_slot, mem_pos, target_at, targets, kinds = [], [], [], [], []
    at = queried = source = 0
    slots_before = 0
    for example in examples:
        first_slot, slot_count, ends_of = [], [], []
        for segment in example.segments:
            slots, ends = _slots(len(segment), example.ratio, config.ratios)
            n = len(segment)
            enc_ids += [segment, np.zeros(len(slots), np.int64)]
            enc_pos += [np.arange(n), ends - 1]
            enc_len.append(n + len(slots))
            slot_at.append(at + n + np.arange(len(slots)))
            slot_level.append(np.asarray([config.ratios.index(level) for level in slots.levels]))
            starts = [window_start(e, lv, config.slot_window) for e, lv in zip(slots.ends, slots.levels, strict=True)]
            slot_window.append(np.stack((at + np.asarray(starts), at + ends), axis=1))
            first_slot.append(slots_before)
            slot_count.append(len(slots))
            ends_of.append(ends)
            slots_before += len(slots)
            at += n + len(slots)
            source += n
        for d in example.decoded:
            placed = Placement(sum(len(example.segments[i]) for i in d.segments), 1, 2**d.shift)
            start = read = 0
            for i in d.segments:
                mem_slot.append(first_slot[i] + np.arange(slot_count[i]))
                mem_pos.append((start + ends_of[i] - 1) * placed.numerator // placed.denominator)
                start += len(example.segments[i])
                read += slot_count[i]
            begin = placed.question if d.segments else 0
            source += 0 if d.segments else len(d.input_ids)
            dec_ids.append(d.input_ids)
            dec_pos.append(begin + np.arange(len(d.input_ids)))
            dec_len.append(len(d.input_ids))
            mem_len.append(read)
            asked = np.flatnonzero(d.targets >= 0)
            target_at.append(queried + asked)
            targets.append(d.targets[asked])
            kinds.append(np.full(len(asked), int(d.kind)))
            queried += len(d.input_ids)

    kind = _filled(kinds, capacity.targets, len(weights))
    counts = np.bincount(kind, minlength=len(weights) + 1)
    per_target = np.append(np.asarray(weights) / np.maximum(counts[:-1], 1), 0.0)
    # What is left of a stream becomes short sequences that have both keys and queries: attention kernels leave
    # gradients of keys that nobody queries uninitialised.
    enc_rest, dec_rest, mem_rest = (
        room - sum(used)
        for room, used in (
            (capacity.encoder, enc_len),
            (capacity.decoder, dec_len),
            (capacity.memory, mem_len),
        )
    )
    enc_len += _even(enc_rest, -(-enc_rest // PAD_RUN))
    runs = -(-max(dec_rest, mem_rest) // PAD_RUN)
    dec_len, mem_len = dec_len + _even(dec_rest, runs), mem_len + _even(mem_rest, runs)
    order = _interleave(mem_len, dec_len)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    streams = {
        "encoder_ids": _filled(enc_ids, capacity.encoder, 0),
        "encoder_positions": _filled(enc_pos, capacity.encoder, 0),
        "encoder_bounds": _bounds(enc_len, capacity.sequences),
        "slot_at": _filled(slot_at, capacity.slots, capacity.encoder - 1),
        "slot_level": _filled(slot_level, capacity.slots, 0),
        "slot_window": _filled(slot_window, capacity.slots, np.array([0, 1])),
        "decoder_ids": _filled(dec_ids, capacity.decoder, 0),
        "decoder_positions": _filled(dec_pos, capacity.decoder, 0),
        "query_bounds": _bounds(dec_len, capacity.sequences),
        "key_bounds": _bounds([m + d for m, d in zip(mem_len, dec_len, strict=True)], capacity.sequences),
        "memory_slot": _filled(mem_slot, capacity.memory, capacity.slots - 1),
        "memory_positions": _filled(mem_pos, capacity.memory, 0),
        "order": order,
        "inverse": inverse,
        "target_at": _filled(target_at, capacity.targets, capacity.decoder - 1),
        "targets": _filled(targets, capacity.targets, 0),
        "target_kind": kind,
        "target_weight": per_target[kind].astype(np.float32),
        "source_tokens": np.asarray(source),
    }
    return Batch(**{name: torch.from_numpy(np.asarray(array)) for name, array in streams.items()})


def _filled(parts: list[np.ndarray], length: int, fill: int | np.ndarray) -> np.ndarray:
    used = sum(map(len, parts))
    rest = np.broadcast_to(np.asarray(fill), (length - used, *np.shape(fill)))
    return np.concatenate([*parts, rest]).astype(np.int64)


def _even(total: int, runs: int) -> list[int]:
    return [total // runs + (i < total % runs) for i in range(runs)]


def _bounds(lengths: list[int], sequences: int) -> np.ndarray:
    edges = np.cumsum([0, *lengths])
    return np.concatenate([edges, np.full(sequences + 1 - len(edges), edges[-1])]).astype(np.int32)


def _interleave(memory: list[int], tokens: list[int]) -> np.ndarray:
    """For each key of the sequences [memory_i, tokens_i] in a row, its index in [all memory | all tokens]."""
    total = sum(memory)
    mem_edge, tok_edge = np.cumsum([0, *memory]), np.cumsum([0, *tokens])
    parts = [
        np.concatenate((np.arange(mem_edge[i], mem_edge[i + 1]), total + np.arange(tok_edge[i], tok_edge[i + 1])))
        for i in range(len(memory))
    ]
    return np.concatenate(parts)
