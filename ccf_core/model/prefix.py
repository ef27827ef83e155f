"""Prefix: slots at their decoder positions, before they become the cache of a generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ccf_core.config import CCFConfig
from ccf_core.memory.block import floating
from ccf_core.memory.layout import levels_of, placement
from ccf_core.memory.memory import KVMemory


@dataclass(frozen=True)
class Prefix:
    """What the decoder has read before the first token that it is fed.

    keys, values : one tensor a layer, (1, kv_heads, slots, head_dim), keys rotated to their positions.
    next_position : rotary position of the first token after it.
    slots : positions that hold a memory's slots, all of which are to be seen by what comes after.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    next_position: int
    slots: int = 0

    @property
    def length(self) -> int:
        return self.keys[0].shape[2]

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.keys, *self.values))


def decoder_positions(memory: KVMemory, config: CCFConfig, window: int, following: int = 0) -> tuple[Tensor, int]:
    """Compute the position of every slot, in the order of ``slot_tensors``, and the first position after them.

    following : tokens of text that will be read between the memory and the question.

    Positions are (slots,) int64, or (layers, kv_heads, slots) where slots have positions of their own.
    """
    placed = placement(memory.tokens, window, following)
    tokens: list[Tensor] = []
    start = 0
    for span, blocks in zip(memory.spans, memory.blocks, strict=True):
        # Segments may have been read at ratios of their own.
        own = [block.positions for block in blocks.values() if block.positions is not None]
        tokens.append(start + (torch.cat(own, -1).long() if own else _slot_tokens(config, len(span), min(blocks))))
        start += len(span)
    positions = placed.of(torch.cat(tokens, -1))
    # Slots of tokens are followed as the tokens would be, without the gap that decoders were trained with.
    return positions, placed.of(memory.tokens - 1) + 1 if positions.ndim > 1 else placed.question


@lru_cache(maxsize=4096)
def _slot_tokens(config: CCFConfig, tokens: int, ratio: int) -> Tensor:
    """List the token of its segment at which each slot ends, from 0."""
    return torch.tensor([end - 1 for _, ends in levels_of(config, tokens, ratio) for end in ends])


def slot_tensors(memory: KVMemory, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Join all slots, by segment, coarse to fine: k (before rotary) and v, (layers, kv_heads, slots, head_dim)."""
    return floating([block for _, _, block in memory.parts()], dtype, device)


def slot_segments(memory: KVMemory) -> list[int]:
    """Name the segment of every slot, in the order of ``slot_tensors``, by its index in ``memory.spans``."""
    return [index for index, _, block in memory.parts() for _ in range(block.slots)]


def padded(rows: Sequence[Tensor | None]) -> Tensor:
    """Stack tensors (1, kv_heads, slots, head_dim) of different slots, zeros on the left; None is no slot."""
    like = next(row for row in rows if row is not None)
    none = like.new_zeros(0, like.shape[1], like.shape[3])
    by_slot = [none if row is None else row[0].transpose(0, 1) for row in rows]
    return pad_sequence(by_slot, batch_first=True, padding_side="left").transpose(1, 2)
