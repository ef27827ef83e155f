"""KVMemory: the slots of one or several documents, apart from any model.

Keys are kept before rotary embedding, so a memory can be cut, joined, reordered and placed anywhere. It holds one
block per segment and level; a coarser ratio is the same blocks without the finer levels, never a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ccf_core.errors import MemoryMismatch
from ccf_core.quantization import (
    CODES,
    from_int8,
    groups,
    keys_from_int4,
    keys_to_int4,
    to_int8,
    values_from_int4,
    values_to_int4,
)
from ccf_core.segment import Span

#: In which a memory can be stored and held until it is read, from exact to small.
MemoryDtype = Literal["bfloat16", "int8", "int4"]
MEMORY_DTYPES: tuple[MemoryDtype, ...] = get_args(MemoryDtype)


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

    As int4, two codes a byte, k and v : (layers, kv_heads, slots, head_dim / 2) uint8, with
    k_scale : (layers, kv_heads, ceil(slots / 32), head_dim) uint8, of a channel in a group of slots,
    v_scale, v_least : (layers, kv_heads, slots, ceil(head_dim / 32)) float16, of a group within a vector.
    A group never reaches beyond the block, so blocks are left out, chosen and joined as they are. Bytes of a block:
    layers · kv_heads · (slots · (head_dim + 4 · ceil(head_dim / 32)) + ceil(slots / 32) · head_dim).
    """

    k: Tensor
    v: Tensor
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None
    v_least: Tensor | None = None

    @property
    def slots(self) -> int:
        return self.k.shape[2]

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.tensors().values())

    @property
    def dtype(self) -> str:
        return "int4" if self.k.dtype == torch.uint8 else str(self.k.dtype).removeprefix("torch.")

    def __reduce__(self) -> tuple[Any, ...]:
        # Between processes as bytes: torch would keep a file open for each tensor.
        from ccf_core.memory_file import block_to_bytes, unpacked

        return unpacked, (block_to_bytes(self),)

    def tensors(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None}

    def layers(self, wanted: slice) -> Block:
        """Some layers, as they are held: a view."""
        return Block(**{name: tensor[wanted] for name, tensor in self.tensors().items()})

    def quantize(self, dtype: MemoryDtype = "int8") -> Block:
        """The block in a dtype that is no more exact than its own; codes become others by way of their values.

        Errors are bounded in ``quantization``. Raises ValueError for another dtype, and for a more exact one, which
        would be larger and no better.
        """
        if dtype not in MEMORY_DTYPES:
            raise ValueError(f"a memory can be held as {', '.join(map(repr, MEMORY_DTYPES))}, not as {dtype!r}")
        if self.dtype == dtype:
            return self
        if self.dtype in CODES and MEMORY_DTYPES.index(dtype) < MEMORY_DTYPES.index(self.dtype):
            raise ValueError(f"an {self.dtype} memory cannot become {dtype}: compress the document again")
        k, v = self.floating(torch.float32, self.k.device)
        if dtype == "int8":
            (k, k_scale), (v, v_scale) = to_int8(k), to_int8(v)
            return Block(k, v, k_scale, v_scale)
        if dtype == "int4":
            (k, k_scale), (v, v_scale, v_least) = keys_to_int4(k), values_to_int4(v)
            return Block(k, v, k_scale, v_scale, v_least)
        return Block(k.bfloat16(), v.bfloat16())

    def floating(self, dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """k and v as ``dtype`` on ``device``."""
        return floating([self], dtype, device)


def floating(blocks: Sequence[Block], dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """k and v of blocks in a row, (layers, kv_heads, slots of all, head_dim), as ``dtype`` on ``device``."""
    if len({block.dtype for block in blocks}) > 1:
        each = [block.floating(dtype, device) for block in blocks]
        return torch.cat([k for k, _ in each], dim=2), torch.cat([v for _, v in each], dim=2)
    # Joined as they are held, so that they go to the device in one piece.
    held = [block.tensors() for block in blocks]
    t = {name: torch.cat([tensors[name] for tensors in held], dim=2).to(device) for name in held[0]}
    k, v = t["k"], t["v"]
    if blocks[0].dtype == "int8":
        k, v = from_int8(k, t["k_scale"]), from_int8(v, t["v_scale"])
    elif blocks[0].dtype == "int4":
        k = keys_from_int4(k, t["k_scale"], [size for block in blocks for size in groups(block.slots)])
        v = values_from_int4(v, t["v_scale"], t["v_least"])
    return k.to(dtype), v.to(dtype)


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
        return next(iter(self.blocks[0].values())).dtype

    def quantize(self, dtype: MemoryDtype = "int8") -> KVMemory:
        """Every block as ``dtype``, each for itself: a slice of it is what the slice would become. See ``Block``."""
        return replace(self, blocks=tuple({level: b.quantize(dtype) for level, b in bs.items()} for bs in self.blocks))

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
