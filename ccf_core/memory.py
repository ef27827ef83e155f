"""KVMemory: the slots of one or several documents, apart from any model.

Keys are kept before rotary embedding, so a memory can be cut, joined, reordered and placed anywhere. It holds one
block per segment and level; a coarser ratio is the same blocks without the finer levels, never a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ccf_core.errors import MemoryMismatch
from ccf_core.segment import Span

INT8_MAX = 127


@dataclass(frozen=True)
class MemoryHeader:
    """What a memory must agree on with the model that reads it.

    mask : what a slot saw of its segment, ``whole`` or ``prefix``; ``mean_pool`` if it is the mean of a block of it.
    """

    base: str
    adapter: str
    tokenizer: str
    segment_length: int
    mask: str
    ratios: tuple[int, ...]
    layers: int
    kv_heads: int
    head_dim: int

    @property
    def nested(self) -> bool:
        """Whether a coarser memory is a slice of a finer one."""
        return self.mask != "mean_pool"


@dataclass(frozen=True)
class Block:
    """The slots of one level of one segment.

    k, v : (layers, kv_heads, slots, head_dim), floating, or int8 codes with
    k_scale, v_scale : (layers, kv_heads, slots, 1) float16; value = code · scale.
    """

    k: Tensor
    v: Tensor
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None

    @property
    def slots(self) -> int:
        return self.k.shape[2]

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        named = {"k": self.k, "v": self.v, "k_scale": self.k_scale, "v_scale": self.v_scale}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def quantize(self) -> Block:
        """int8, symmetric, one scale for each vector of head_dim numbers: off by at most half a scale, max|x| / 254
        (and float16's rounding of the scale)."""
        if self.k_scale is not None:
            return self
        (k, k_scale), (v, v_scale) = _to_int8(self.k), _to_int8(self.v)
        return Block(k, v, k_scale, v_scale)

    def floating(self, dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """k and v as ``dtype`` on ``device``."""
        pairs = ((self.k, self.k_scale), (self.v, self.v_scale))
        k, v = (
            x.to(device, dtype) if s is None else (x.to(device).float() * s.to(device).float()).to(dtype)
            for x, s in pairs
        )
        return k, v


def _to_int8(x: Tensor) -> tuple[Tensor, Tensor]:
    peak = x.float().abs().amax(-1, keepdim=True)
    scale = (peak / INT8_MAX).clamp_min(2.0**-24).to(torch.float16)
    codes = (x.float() / scale.float()).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return codes, scale


@dataclass(frozen=True)
class KVMemory:
    """Slots of ``spans`` at ``ratio``; ``blocks[i]`` maps level to the block of span i, coarse to fine."""

    header: MemoryHeader
    spans: tuple[Span, ...]
    blocks: tuple[Mapping[int, Block], ...]
    ratio: int

    def at(self, ratio: int) -> KVMemory:
        """The same memory at a coarser ratio: a view, nothing is computed or copied.

        Raises ValueError for an unknown ratio and for one finer than what was encoded; MemoryMismatch for a
        mean-pooled memory, which would lose text: its slots each stand for their own block alone.
        """
        if ratio not in self.header.ratios or ratio < self.ratio:
            have = ", ".join(str(r) for r in self.header.ratios if r >= self.ratio)
            raise ValueError(f"this memory can be read at {have}, not at {ratio}")
        if ratio != self.ratio and not self.header.nested:
            raise MemoryMismatch(
                f"A mean-pooled memory serves the one ratio it was made at: compress the document again at {ratio}."
            )
        kept = tuple({level: block for level, block in b.items() if level >= ratio} for b in self.blocks)
        return replace(self, blocks=kept, ratio=ratio)

    def select(self, segments: Sequence[int]) -> KVMemory:
        """Some segments, in the order given; IndexError if there is no such segment."""
        return replace(
            self, spans=tuple(self.spans[i] for i in segments), blocks=tuple(self.blocks[i] for i in segments)
        )

    @staticmethod
    def join(memories: Iterable[KVMemory]) -> KVMemory:
        """Memories one after another, at the coarsest of their ratios; MemoryMismatch if they differ in origin."""
        memories = list(memories)
        if not memories:
            raise ValueError("there is nothing to join")
        ratio = max(m.ratio for m in memories)
        first = memories[0].header
        for m in memories[1:]:
            first_difference(first, m.header)
        parts = [m.at(ratio) for m in memories]
        return KVMemory(
            first, tuple(s for m in parts for s in m.spans), tuple(b for m in parts for b in m.blocks), ratio
        )

    @property
    def tokens(self) -> int:
        return sum(len(span) for span in self.spans)

    @property
    def segments(self) -> int:
        return len(self.spans)

    @property
    def slots(self) -> int:
        return sum(block.slots for blocks in self.blocks for block in blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as held, scales included."""
        return sum(block.nbytes for blocks in self.blocks for block in blocks.values())

    @property
    def dtype(self) -> str:
        return str(next(iter(self.blocks[0].values())).k.dtype).removeprefix("torch.")

    def quantize(self, kind: Literal["int8"] = "int8") -> KVMemory:
        if kind != "int8":
            raise ValueError(f"a memory can be quantized to 'int8', not to {kind!r}")
        return replace(self, blocks=tuple({level: b.quantize() for level, b in bs.items()} for bs in self.blocks))

    def parts(self) -> Iterator[tuple[int, int, Block]]:
        """(segment, level, block), the grain in which memories are stored."""
        for index, blocks in enumerate(self.blocks):
            for level, block in blocks.items():
                yield index, level, block

    def save(self, path: str | Path) -> None:
        """Write the memory file of docs/memory-format.md."""
        from ccf_core.memory_file import save

        save(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> KVMemory:
        """Read what ``save`` wrote, bit for bit; DamagedMemory if it is not such a file."""
        from ccf_core.memory_file import load

        return load(Path(path))


def first_difference(wanted: MemoryHeader, found: MemoryHeader) -> None:
    """Raises MemoryMismatch naming the first field in which two memories, or a memory and a model, differ."""
    says = {
        "base": "another base model",
        "adapter": "another adapter",
        "tokenizer": "another tokenizer",
        "segment_length": "another segment length",
        "mask": "another encoder mask",
    }
    for field, value in vars(wanted).items():
        if getattr(found, field) != value:
            raise MemoryMismatch(
                f"This memory was made with {says.get(field, f'another {field}')}: "
                "compress the document again with the model in use."
            )
