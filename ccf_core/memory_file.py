"""Memories as safetensors: one file for a whole memory, or one blob for each segment and level.

docs/memory-format.md is the specification.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from safetensors.torch import save_file

from ccf_core.errors import DamagedMemory
from ccf_core.layout import slots_of_level
from ccf_core.memory import Block, KVMemory, MemoryHeader
from ccf_core.segment import Span

FORMAT = "ccf-memory"
VERSION = 1


def block_to_bytes(block: Block) -> bytes:
    return save_bytes({name: tensor.contiguous().cpu() for name, tensor in block.tensors().items()})


def block_from_bytes(data: bytes, header: MemoryHeader, tokens: int, level: int) -> Block:
    """Raises DamagedMemory unless the bytes hold the block that a segment of ``tokens`` tokens has at ``level``."""
    try:
        block = Block(**load_bytes(data))
    except (SafetensorError, TypeError) as error:
        raise DamagedMemory("A stored memory cannot be read: compress the document again.") from error
    _check_shape(block, header, tokens, level)
    return block


def _check_shape(block: Block, header: MemoryHeader, tokens: int, level: int) -> None:
    shape = (header.layers, header.kv_heads, slots_of_level(tokens, level, header.ratios), header.head_dim)
    if tuple(block.k.shape) != shape or tuple(block.v.shape) != shape:
        raise DamagedMemory(f"A memory block has shape {tuple(block.k.shape)}, not {shape}: compress the text again.")


def save(memory: KVMemory, path: Path) -> None:
    tensors = {
        f"s{index}.l{level}.{name}": tensor.contiguous().cpu()
        for index, level, block in memory.parts()
        for name, tensor in block.tensors().items()
    }
    tensors["offsets"] = torch.tensor([[s.index, s.start, s.end, s.char_start, s.char_end] for s in memory.spans])
    metadata = {name: str(value) for name, value in dataclasses.asdict(memory.header).items() if name != "ratios"}
    metadata |= {
        "format": FORMAT,
        "version": str(VERSION),
        "ratio": str(memory.ratio),
        "ratios": json.dumps(memory.header.ratios),
        "dtype": memory.dtype,
        "text_sha256": json.dumps([span.document for span in memory.spans]),
    }
    save_file(tensors, path, metadata)


def load(path: Path) -> KVMemory:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT or int(metadata.get("version", 0)) != VERSION:
                raise DamagedMemory(f"{path.name} is not a memory file of version {VERSION}: export the memory again.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DamagedMemory(f"{path.name} is not a readable memory file: export the memory again.") from error
    kinds = {f.name: int if f.type == "int" else str for f in dataclasses.fields(MemoryHeader)}
    fields = {name: kind(metadata[name]) for name, kind in kinds.items() if name != "ratios"}
    header = MemoryHeader(**fields, ratios=tuple(json.loads(metadata["ratios"])))
    documents: Sequence[str] = json.loads(metadata["text_sha256"])
    rows = tensors["offsets"].tolist()
    spans = tuple(Span(doc, *row) for doc, row in zip(documents, rows, strict=True))
    ratio = int(metadata["ratio"])
    blocks = []
    for index, span in enumerate(spans):
        levels = {}
        for level in sorted((r for r in header.ratios if r >= ratio), reverse=True):
            prefix = f"s{index}.l{level}."
            block = Block(**{n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
            _check_shape(block, header, len(span), level)
            levels[level] = block
        blocks.append(levels)
    return KVMemory(header, spans, tuple(blocks), ratio)
