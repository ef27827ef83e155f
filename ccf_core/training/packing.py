"""Examples to one batch of fixed shape: every token stream is a run of sequences without padding between them.

Fixed shapes let the layers be compiled once; what is left over at the end of a stream is a sequence of its own that
nobody learns from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ccf_core.config import CCFConfig
from ccf_core.layout import Placement, SlotLayout, slot_layout, window_start
from ccf_core.training.capacity import PAD_RUN, Capacity, is_taught
from ccf_core.training.examples import Example, Kind, Mix


class Batch(NamedTuple):
    """Tensors of one batch, int64 unless said otherwise; E, D, S, M, T, N as in Capacity, Q sequences.

    encoder_ids (E,), encoder_positions (E,), encoder_bounds (Q,) int32: text and slots of each segment in a row.
    slot_at (S,): where in the encoder stream; slot_level (S,): index of the level; slot_window (S, 2): [start, end).
    pool_from, pool_into (P,): a token of the encoder stream and a slot that takes part of its mean over text, where
        the compressor pools; P is 0, E or 3 E.
    decoder_ids (D,), decoder_positions (D,), query_bounds (Q,), key_bounds (Q,) int32.
    memory_slot (M,), memory_positions (M,): slots read, sequence after sequence.
    order, inverse (M + D,): from [memory | tokens] to each sequence's own [memory, tokens], and back.
    target_at, targets, target_kind, target_weight float32 (T + N,): 0 where unused; the first T have a teacher.
    teacher_at (T,), teacher_share (T,) float32: where it is in the decoder stream, and how much it counts.
    source_tokens: text tokens that went in. longest: the Capacity's, a plain number.
    """

    encoder_ids: Tensor
    encoder_positions: Tensor
    encoder_bounds: Tensor
    slot_at: Tensor
    slot_level: Tensor
    slot_window: Tensor
    pool_from: Tensor
    pool_into: Tensor
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
    teacher_at: Tensor
    teacher_share: Tensor
    source_tokens: Tensor
    longest: int

    def to(self, device: torch.device | str) -> Batch:
        moved: dict[str, Any] = {
            n: t.to(device, non_blocking=True) for n, t in self._asdict().items() if isinstance(t, Tensor)
        }
        return self._replace(**moved)


@lru_cache(maxsize=4096)
def _slots(tokens: int, ratio: int, ratios: tuple[int, ...]) -> tuple[SlotLayout, np.ndarray]:
    slots = slot_layout(tokens, ratio, ratios)
    return slots, np.asarray(slots.ends)


def pack(
    examples: list[Example], config: CCFConfig, capacity: Capacity, mix: Mix, notable: np.ndarray | None = None
) -> Batch:
    """Lay examples out in the streams of a Batch. Each kind's targets weigh ``mix.weights[kind]`` in all.

    notable : tokens that ``mix.emphasis`` is for, bool (vocabulary,).
    """
    enc_ids, enc_pos, enc_len, pool_from, pool_into = [], [], [], [], []
    slot_at, slot_level, slot_window = [], [], []
    dec_ids, dec_pos, dec_len, mem_len = [], [], [], []
    mem_slot, mem_pos, teacher_at = [], [], []
    asked_for: tuple[list, list] = ([], [])  # (where, target, kind) without and with a teacher
    at = queried = source = 0
    slots_before = 0
    with_slots = config.compressor != "mean_pool"
    for example in examples:
        first_slot, slot_count, ends_of = [], [], []
        for segment in example.segments:
            slots, ends = _slots(len(segment), example.ratio, config.ratios)
            n, count = len(segment), len(slots)
            first_slot.append(slots_before)
            slot_count.append(count)
            ends_of.append(ends)
            slot_level.append(np.asarray([config.ratios.index(level) for level in slots.levels]))
            if with_slots:
                enc_ids += [segment, np.zeros(count, np.int64)]
                enc_pos += [np.arange(n), ends - 1]
                slot_at.append(at + n + np.arange(count))
                starts = [
                    window_start(e, lv, config.slot_window) for e, lv in zip(slots.ends, slots.levels, strict=True)
                ]
                slot_window.append(np.stack((at + np.asarray(starts), at + ends), axis=1))
                if config.compressor == "pooled_slots":
                    for slot, (end, level) in enumerate(zip(slots.ends, slots.levels, strict=True)):
                        first = window_start(end, level, None)
                        pool_from.append(at + np.arange(first, end))
                        pool_into.append(np.full(end - first, slots_before + slot))
            else:
                enc_ids.append(segment)
                enc_pos.append(np.arange(n))
                by_end = np.argsort(ends)
                pool_from.append(at + np.arange(n))
                pool_into.append(slots_before + by_end[np.searchsorted(ends[by_end], np.arange(n), side="right")])
            enc_len.append(n + count * with_slots)
            slots_before += count
            at += enc_len[-1]
            source += n
        begins = np.cumsum([queried, *(len(d.input_ids) for d in example.decoded)])
        for d, queried in zip(example.decoded, begins.tolist(), strict=False):
            placed = Placement(sum(len(example.segments[i]) for i in d.segments), 1, 2**d.shift)
            start = read = 0
            for i in d.segments:
                mem_slot.append(first_slot[i] + np.arange(slot_count[i]))
                mem_pos.append((start + ends_of[i] - 1) * placed.numerator // placed.denominator)
                start += len(example.segments[i])
                read += slot_count[i]
            begin = placed.question if d.segments else 0
            source += 0 if example.segments else len(d.input_ids)
            dec_ids.append(d.input_ids)
            dec_pos.append(begin + np.arange(len(d.input_ids)))
            dec_len.append(len(d.input_ids))
            mem_len.append(read)
            asked = np.flatnonzero(d.targets >= 0)
            asked_for[is_taught(d)].append((queried + asked, d.targets[asked], np.full(len(asked), int(d.kind))))
            if d.teacher is not None:
                teacher_at.append(begins[d.teacher[0]] + d.teacher[1] + asked)
        queried = int(begins[-1])

    sizes = (capacity.taught, capacity.targets)
    fills = (capacity.decoder - 1, 0, len(mix.weights))
    target_at, targets, kind = (
        np.concatenate(
            [_filled([a[column] for a in asked_for[taught]], sizes[not taught], fill) for taught in (True, False)]
        )
        for column, fill in enumerate(fills)
    )
    weight = _target_weights(kind, targets, mix, notable)
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
    share = np.zeros(capacity.taught, np.float32)
    share[: sum(map(len, teacher_at))] = mix.distil
    pairs = {"slots": 0, "mean_pool": 1, "pooled_slots": 3}[config.compressor] * capacity.encoder
    streams = {
        "encoder_ids": _filled(enc_ids, capacity.encoder, 0),
        "encoder_positions": _filled(enc_pos, capacity.encoder, 0),
        "encoder_bounds": _bounds(enc_len, capacity.sequences),
        "slot_at": _filled(slot_at, capacity.slots, capacity.encoder - 1),
        "slot_level": _filled(slot_level, capacity.slots, 0),
        "slot_window": _filled(slot_window, capacity.slots, np.array([0, 1])),
        "pool_from": _filled(pool_from, pairs, capacity.encoder - 1),
        "pool_into": _filled(pool_into, pairs, capacity.slots - 1),
        "decoder_ids": _filled(dec_ids, capacity.decoder, 0),
        "decoder_positions": _filled(dec_pos, capacity.decoder, 0),
        "query_bounds": _bounds(dec_len, capacity.sequences),
        "key_bounds": _bounds([m + d for m, d in zip(mem_len, dec_len, strict=True)], capacity.sequences),
        "memory_slot": _filled(mem_slot, capacity.memory, capacity.slots - 1),
        "memory_positions": _filled(mem_pos, capacity.memory, 0),
        "order": order,
        "inverse": inverse,
        "target_at": target_at,
        "targets": targets,
        "target_kind": kind,
        "target_weight": weight,
        "teacher_at": _filled(teacher_at, capacity.taught, capacity.decoder - 1),
        "teacher_share": share,
        "source_tokens": np.asarray(source),
    }
    return Batch(**{name: torch.from_numpy(np.asarray(a)) for name, a in streams.items()}, longest=capacity.longest)


def _target_weights(kind: np.ndarray, targets: np.ndarray, mix: Mix, notable: np.ndarray | None) -> np.ndarray:
    """float32; each kind's add up to its weight, the notable tokens of a reconstruction counting more than others."""
    own = np.ones(len(kind))
    if notable is not None and mix.emphasis != 1:
        own[(kind == Kind.RECONSTRUCT) & notable[targets]] = mix.emphasis
    totals = np.bincount(kind, own, minlength=len(mix.weights) + 1)
    per_kind = np.append(np.asarray(mix.weights) / np.maximum(totals[:-1], 1), 0.0)
    return (per_kind[kind] * own).astype(np.float32)


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
