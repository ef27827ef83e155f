"""Block: the slots of one level of one segment, as numbers or codes. It knows nothing of where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ccf_core.errors import DamagedMemory
from ccf_core.memory.dtypes import MEMORY_DTYPES, MemoryDtype
from ccf_core.memory.quantization import (
    CODES,
    from_int8,
    groups,
    keys_from_int4,
    keys_to_int4,
    to_int8,
    values_from_int4,
    values_to_int4,
)


@dataclass(frozen=True)
class Block:
    """The slots of one level of one segment.

    k, v : (layers, kv_heads, slots, head_dim), floating, or int8 codes with
    k_scale, v_scale : (layers, kv_heads, slots, 1) float16; value = code · scale.

    As int4, two codes a byte, k and v : (layers, kv_heads, slots, head_dim / 2) uint8, with
    k_scale : (layers, kv_heads, ceil(slots / 32), head_dim) uint8, of a channel in a group of slots,
    v_scale, v_least : (layers, kv_heads, slots, ceil(head_dim / 32)) float16, of a group within a vector.
    positions : (layers, kv_heads, slots) int16, which token of its segment a slot is, from 0; only where they differ by
    layer and head, in a memory without an adapter.
    A group never reaches beyond the block, so blocks are left out, chosen and joined as they are. Bytes of a block:
    layers · kv_heads · (slots · (head_dim + 4 · ceil(head_dim / 32)) + ceil(slots / 32) · head_dim), and 2 more for
    each position.
    """

    k: Tensor
    v: Tensor
    k_scale: Tensor | None = None
    v_scale: Tensor | None = None
    v_least: Tensor | None = None
    positions: Tensor | None = None

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
        return unpacked, (block_to_bytes(self),)

    def tensors(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None}

    def layers(self, wanted: slice) -> Block:
        """View some layers, as they are held."""
        return Block(**{name: tensor[wanted] for name, tensor in self.tensors().items()})

    def quantize(self, dtype: MemoryDtype = "int8") -> Block:
        """Convert to a dtype that is no more exact than its own; codes become others by way of their values.

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
            return Block(k, v, k_scale, v_scale, positions=self.positions)
        if dtype == "int4":
            (k, k_scale), (v, v_scale, v_least) = keys_to_int4(k), values_to_int4(v)
            return Block(k, v, k_scale, v_scale, v_least, self.positions)
        return Block(k.bfloat16(), v.bfloat16(), positions=self.positions)

    def floating(self, dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Widen to k and v as ``dtype`` on ``device``."""
        return floating([self], dtype, device)


def floating(blocks: Sequence[Block], dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Widen blocks in a row to k and v, (layers, kv_heads, slots of all, head_dim), as ``dtype`` on ``device``."""
    if len({block.dtype for block in blocks}) > 1:
        each = [block.floating(dtype, device) for block in blocks]
        return torch.cat([k for k, _ in each], dim=2), torch.cat([v for _, v in each], dim=2)
    # Joined as they are held, so that they go to the device in one piece.
    held = [block.tensors() for block in blocks]
    numbers = held[0].keys() - {"positions"}
    t = {name: torch.cat([tensors[name] for tensors in held], dim=2).to(device) for name in numbers}
    k, v = t["k"], t["v"]
    if blocks[0].dtype == "int8":
        k, v = from_int8(k, t["k_scale"]), from_int8(v, t["v_scale"])
    elif blocks[0].dtype == "int4":
        k = keys_from_int4(k, t["k_scale"], [size for block in blocks for size in groups(block.slots)])
        v = values_from_int4(v, t["v_scale"], t["v_least"])
    return k.to(dtype), v.to(dtype)


def block_to_bytes(block: Block) -> bytes:
    """Pack a block as safetensors."""
    return save({name: tensor.contiguous().cpu() for name, tensor in block.tensors().items()})


def unpacked(data: bytes) -> Block:
    """Unpack what ``block_to_bytes`` packed, bit for bit. Raises DamagedMemory for bytes that are no block."""
    try:
        return Block(**load(data))
    except (SafetensorError, TypeError) as error:
        raise DamagedMemory("A stored memory cannot be read: compress the document again.") from error
