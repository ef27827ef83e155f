"""The tensors of one batch: streams of sequences that lie end to end, without padding between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Stream(NamedTuple):
    """Sequences for one decoder, each of which reads its slots, then its tokens; D tokens, M slots read, Q sequences.

    ids (D,), positions (D,), query_bounds (Q,), key_bounds (Q,) int32.
    memory_slot (M,), memory_positions (M,): slots read, sequence after sequence.
    order, inverse (M + D,): from [memory | tokens] to each sequence's own [memory, tokens], and back.
    longest: bound on a sequence, a plain number.
    """

    ids: Tensor
    positions: Tensor
    query_bounds: Tensor
    key_bounds: Tensor
    memory_slot: Tensor
    memory_positions: Tensor
    order: Tensor
    inverse: Tensor
    longest: int

    def to(self, device: torch.device | str) -> Stream:
        return self._replace(**_moved(self, device))


class Batch(NamedTuple):
    """Tensors of one batch, int64 unless said otherwise; E, S, T, N as in Capacity, Q sequences.

    encoder_ids (E,), encoder_positions (E,), encoder_bounds (Q,) int32: text and slots of each segment in a row.
    slot_at (S,): where in the encoder stream; slot_level (S,): index of the level; slot_window (S, 2): [start, end).
    pool_from, pool_into (P,): a token of the encoder stream and the slot that takes part of its mean over text, where
        the compressor pools; P is 0 or E.
    read: the sequences of the decoder; repeat: those under the LoRA for repeating; teacher: those of a frozen reader,
        without memory. A stream without a sequence is None.
    target_at, targets, target_kind, target_weight float32 (T + N,): 0 where unused; the first T have a teacher.
        ``target_at`` counts through ``read``, then ``repeat``.
    teacher_at (T,), teacher_share (T,) float32: where each target's teacher is in ``teacher``, or without that stream
        in ``read``, and its share of the target.
    source_tokens: text tokens that went in.
    """

    encoder_ids: Tensor
    encoder_positions: Tensor
    encoder_bounds: Tensor
    slot_at: Tensor
    slot_level: Tensor
    slot_window: Tensor
    pool_from: Tensor
    pool_into: Tensor
    read: Stream
    repeat: Stream | None
    teacher: Stream | None
    target_at: Tensor
    targets: Tensor
    target_kind: Tensor
    target_weight: Tensor
    teacher_at: Tensor
    teacher_share: Tensor
    source_tokens: Tensor

    def to(self, device: torch.device | str) -> Batch:
        return self._replace(**_moved(self, device))


def _moved(parts: Stream | Batch, device: torch.device | str) -> dict[str, Any]:
    return {
        name: part.to(device) if isinstance(part, Stream) else part.to(device, non_blocking=True)
        for name, part in parts._asdict().items()
        if isinstance(part, Tensor | Stream)
    }
