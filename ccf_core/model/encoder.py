"""Segments in, slots out: one causal pass over [text; slots] and nothing else.

It knows nothing of documents, storage or decoding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from ccf_core.memory import layout
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.model.adapter import LEVELS, Adapter, merged_layers
from ccf_core.model.layers import StackSpec, attend_with, embedding_table, finish, project, rotary_table


def pooling_matrix(slots: layout.SlotLayout, slot_window: int | None) -> Tensor:
    """Make the matrix (slots, tokens), float32, that times token embeddings gives the mean of each slot's window."""
    pool = torch.zeros(len(slots), slots.tokens)
    for row, (end, level) in enumerate(zip(slots.ends, slots.levels, strict=True)):
        start = layout.window_start(end, level, slot_window)
        pool[row, start:end] = 1.0 / (end - start)
    return pool


def encoder_positions(slots: layout.SlotLayout) -> Tensor:
    """List rotary positions, (tokens + slots,) int64: 0 … n-1 for text, end - 1 for a slot."""
    return torch.tensor([*range(slots.tokens), *(end - 1 for end in slots.ends)])


class Tables(NamedTuple):
    """What depends on a segment's length alone: layout, pooling matrix (slots, tokens), cos and sin of positions."""

    slots: layout.SlotLayout
    pool: Tensor
    cos: Tensor
    sin: Tensor


class Encoder:
    """The base's stack under the encoder's LoRA. Create it before the decoder's LoRA is merged into ``model``."""

    def __init__(self, model: PreTrainedModel, adapter: Adapter) -> None:
        self.config = adapter.config
        self.spec = StackSpec.of(model)
        self.layers = merged_layers(model, adapter)
        self.model = model
        self.level_embeddings = adapter.tensors[LEVELS]
        self.follow()

    def follow(self) -> None:
        """Move to the device that the model was moved to."""
        self.embedding = embedding_table(self.model)
        self.level_embeddings = self.level_embeddings.to(self.embedding)
        self.layers = [{name: w.to(self.embedding.device) for name, w in layer.items()} for layer in self.layers]
        # Most segments of a document share their length; a cache of the module's own would keep the model alive.
        self.tables = lru_cache(maxsize=64)(self._make_tables)

    def _make_tables(self, tokens: int, finest: int) -> Tables:
        dtype, device = self.embedding.dtype, self.embedding.device
        slots = layout.slot_layout(tokens, finest, self.config.ratios)
        pool = pooling_matrix(slots, self.config.slot_window).to(device, dtype)
        cos, sin = rotary_table(self.model, encoder_positions(slots).to(device), dtype)
        return Tables(slots, pool, cos, sin)

    def embed(self, input_ids: Tensor, finest: int) -> Tensor:
        """Embed ids (batch, tokens): text, then each slot's level and window, (batch, tokens + slots, hidden)."""
        slots, pool, *_ = self.tables(input_ids.shape[1], finest)
        text = F.embedding(input_ids, self.embedding)
        levels = self.level_embeddings[[self.config.ratios.index(level) for level in slots.levels]]
        return torch.cat((text, pool @ text + levels), dim=1)

    def _slots(self, x: Tensor, tables: Tables) -> Tensor:
        """Take those of the slots from a layer's keys or values (batch, tokens + slots, kv_heads, head_dim)."""
        return x[:, tables.slots.tokens :]

    def encode(
        self, segments: Sequence[Sequence[int]], finest: int, dtype: MemoryDtype | None = None
    ) -> list[dict[int, Block]]:
        """Encode segments of one and the same length: for each a block a level, coarse to fine, on the CPU; as
        ``dtype``, or as they were computed.

        Raises ValueError for a ratio that is not one of the configuration's.
        """
        [blocks] = self.encode_each([segments], finest, dtype)
        return blocks

    @torch.inference_mode()
    def encode_each(
        self, batches: Iterable[Sequence[Sequence[int]]], finest: int, dtype: MemoryDtype | None = None
    ) -> Iterator[list[dict[int, Block]]]:
        """Encode batch after batch. A GPU is given the next batch before the blocks of the last are copied to the host:
        the GPU would wait as long for that copy as it takes to encode.
        """
        ahead = 1 if self.embedding.device.type == "cuda" else 0
        begun: deque[Callable[[], list[dict[int, Block]]]] = deque()
        for segments in batches:
            begun.append(self.begin(segments, finest, dtype))
            if len(begun) > ahead:
                yield begun.popleft()()
        yield from (arrived() for arrived in begun)

    def begin(
        self, segments: Sequence[Sequence[int]], finest: int, dtype: MemoryDtype | None
    ) -> Callable[[], list[dict[int, Block]]]:
        """Begin to encode a batch; calling what is returned waits for its blocks."""
        order = self.config.levels(finest)
        tables = self.tables(len(segments[0]), finest)
        input_ids = torch.tensor(segments, device=self.embedding.device)
        hidden = self.embed(input_ids, finest)
        attend = attend_with(None)
        keys, values = [], []
        for index, w in enumerate(self.layers):
            q, rotated, k, v = project(self.spec, w, hidden, tables.cos, tables.sin)
            keys.append(self._slots(k, tables))
            values.append(self._slots(v, tables))
            # What the last layer would go on to make of them is no part of a slot.
            if index + 1 < len(self.layers):
                hidden = finish(self.spec, w, hidden, attend(q, rotated, v))
        # (layers, batch, slots, kv_heads, head_dim) -> (batch, layers, kv_heads, slots, head_dim)
        k, v = (torch.stack(kept).permute(1, 0, 3, 2, 4) for kept in (keys, values))
        sizes = [tables.slots.count(level) for level in order]
        levels = {}
        for level, bk, bv in zip(order, k.split(sizes, dim=3), v.split(sizes, dim=3), strict=True):
            # All segments are quantized and put in order at once, on the device: block by block on the host that would
            # take longer than a GPU needs to encode them.
            whole = Block(bk, bv)
            whole = whole.quantize(dtype) if dtype else whole
            levels[level] = {
                name: tensor.contiguous().to("cpu", non_blocking=tensor.is_cuda)
                for name, tensor in whole.tensors().items()
            }
        copied = torch.cuda.current_stream(hidden.device).record_event() if hidden.is_cuda else None
        return partial(_arrived, levels, len(segments), copied)


def _arrived(
    levels: dict[int, dict[str, Tensor]], count: int, copied: torch.cuda.Event | None
) -> list[dict[int, Block]]:
    """Split the levels of a batch into the blocks of each of ``count`` segments, as views."""
    if copied:
        copied.synchronize()
        # Pinned memory is never given back to the system: the next batch takes it.
        levels = {level: {name: tensor.clone() for name, tensor in parts.items()} for level, parts in levels.items()}
    return [
        {level: Block(**{name: tensor[i] for name, tensor in parts.items()}) for level, parts in levels.items()}
        for i in range(count)
    ]
