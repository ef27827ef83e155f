"""Memories as safetensors: one file for a whole memory, or one blob for each segment and level.

docs/memory-format.md is the specification.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ccf_core.errors import DamagedMemory
from ccf_core.memory.block import Block, unpacked
from ccf_core.memory.dtypes import version_of
from ccf_core.memory.layout import slots_of_level
from ccf_core.memory.memory import KVMemory, MemoryHeader, check_memory
from ccf_core.memory.quantization import groups
from ccf_core.memory.segments import Span

FORMAT = "ccf-memory"
#: What is written has the first version that knows its dtype, so that older programs can read all that they could.
VERSIONS = ("1", "2", "3")


def block_from_bytes(data: bytes, header: MemoryHeader, tokens: int, level: int) -> Block:
    """Unpack the block that a segment of ``tokens`` tokens has at ``level``; DamagedMemory for any other bytes."""
    block = unpacked(data)
    _check_shape(block, header, tokens, level)
    return block


def _check_shape(block: Block, header: MemoryHeader, tokens: int, level: int) -> None:
    heads, slots, numbers = (
        (header.layers, header.kv_heads),
        slots_of_level(tokens, level, header.ratios),
        header.head_dim,
    )
    shapes: dict[str, tuple[int, ...]] = {name: (*heads, slots, numbers) for name in ("k", "v")}
    dtypes = dict.fromkeys(shapes, block.k.dtype)
    if block.dtype == "int8":
        shapes |= {name: (*heads, slots, 1) for name in ("k_scale", "v_scale")}
    elif block.dtype == "int4":
        shapes = {name: (*heads, slots, numbers // 2) for name in ("k", "v")}
        shapes["k_scale"] = (*heads, len(groups(slots)), numbers)
        shapes |= {name: (*heads, slots, len(groups(numbers))) for name in ("v_scale", "v_least")}
        dtypes["k_scale"] = torch.uint8
    elif not block.k.is_floating_point():
        raise DamagedMemory(f"A memory block holds {block.k.dtype}: compress the text again.")
    if header.has_positions:
        shapes["positions"], dtypes["positions"] = (*heads, slots), torch.int16
    found = block.tensors()
    for name in shapes | found:
        wanted = shapes.get(name), dtypes.get(name, torch.float16)
        if name not in found or (tuple(found[name].shape), found[name].dtype) != wanted:
            raise DamagedMemory(
                f"The tensor {name} of a memory block is not of the shape and dtype that an {block.dtype} block of "
                f"{slots} slots has: compress the text again."
            )


def save_memory(memory: KVMemory, path: str | Path) -> None:
    """Write the memory file of docs/memory-format.md."""
    check_memory(memory)
    tensors = {
        # Copies: the same segment may be there twice, and safetensors refuses tensors that share storage.
        f"s{index}.l{level}.{name}": tensor.cpu().clone(memory_format=torch.contiguous_format)
        for index, level, block in memory.parts()
        for name, tensor in block.tensors().items()
    }
    tensors["offsets"] = torch.tensor([[s.index, s.start, s.end, s.char_start, s.char_end] for s in memory.spans])
    metadata = {name: str(value) for name, value in dataclasses.asdict(memory.header).items() if name != "ratios"}
    metadata |= {
        "format": FORMAT,
        "version": version_of(memory.dtype, memory.header.has_positions),
        "ratio": str(memory.ratio),
        "ratios": json.dumps(memory.header.ratios),
        "dtype": memory.dtype,
        "text_sha256": json.dumps([span.document for span in memory.spans]),
    }
    save_file(tensors, path, metadata)


def load_memory(path: str | Path) -> KVMemory:
    """Read what ``save_memory`` wrote, bit for bit. Raises DamagedMemory if it is not such a file."""
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT or metadata.get("version") not in VERSIONS:
                known = ", ".join(VERSIONS[:-1]) + f" or {VERSIONS[-1]}"
                raise DamagedMemory(f"{path.name} is not a memory file of version {known}: export the memory again.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _memory(metadata, tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedMemory(f"{path.name} is not a readable memory file: export the memory again.") from error


def _memory(metadata: Mapping[str, str], tensors: dict[str, Tensor]) -> KVMemory:
    """Rebuild a memory; anything missing or misshapen raises DamagedMemory, KeyError, TypeError or ValueError."""
    kinds = {f.name: int if f.type == "int" else str for f in dataclasses.fields(MemoryHeader)}
    fields: dict[str, Any] = {name: kind(metadata[name]) for name, kind in kinds.items() if name != "ratios"}
    header = MemoryHeader(**fields, ratios=tuple(json.loads(metadata["ratios"])))
    documents: Sequence[str] = json.loads(metadata["text_sha256"])
    rows = tensors["offsets"].tolist()
    spans = tuple(Span(doc, *row) for doc, row in zip(documents, rows, strict=True))
    ratio = int(metadata["ratio"])
    if ratio not in header.ratios or any(len(span) < 1 for span in spans):
        raise ValueError("a memory has a ratio of its own list and segments of at least one token")
    names = [f.name for f in dataclasses.fields(Block)]
    blocks = []
    for index, span in enumerate(spans):
        levels = {}
        for level in sorted((r for r in header.ratios if r >= ratio), reverse=True):
            prefix = f"s{index}.l{level}."
            block = Block(**{name: tensors[prefix + name] for name in names if prefix + name in tensors})
            _check_shape(block, header, len(span), level)
            levels[level] = block
        blocks.append(levels)
    return KVMemory(header, spans, tuple(blocks), ratio)
