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

from ccf_core import layout
from ccf_core.adapter import LEVELS, Adapter, merged_layers
from ccf_core.memory import Block, MemoryDtype
from ccf_core.transformer import StackSpec, attend_with, embedding_table, finish, project, rotary_table


class Plan(NamedTuple):
    """What depends on a segment's length alone: layout, pooling matrix (slots, tokens), cos, sin and mask.

    means : (slots, tokens) float32, what of the text's keys and values goes into a slot's; None if nothing does.
    """

    slots: layout.SlotLayout
    pool: Tensor
    cos: Tensor
    sin: Tensor
    mask: Tensor | None
    means: Tensor | None = None


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
        """Go where the model went: to its device."""
        self.embedding = embedding_table(self.model)
        self.level_embeddings = self.level_embeddings.to(self.embedding)
        self.layers = [{name: w.to(self.embedding.device) for name, w in layer.items()} for layer in self.layers]
        # Most segments of a document share their length; a cache of the module's own would keep the model alive.
        self.plan = lru_cache(maxsize=64)(self._make_plan)

    def _make_plan(self, tokens: int, finest: int) -> Plan:
        dtype, device = self.embedding.dtype, self.embedding.device
        slots = layout.slot_layout(tokens, finest, self.config.ratios)
        pool = layout.pooling_matrix(slots, self.config.slot_window).to(device, dtype)
        cos, sin = rotary_table(self.model, layout.encoder_positions(slots).to(device), dtype)
        mask = None if self.config.mask == "whole" else layout.encoder_mask(slots, self.config.mask).to(device)
        means = layout.pooling_matrix(slots, None).to(device) if self.config.compressor == "pooled_slots" else None
        return Plan(slots, pool, cos, sin, mask, means)

    def embed(self, input_ids: Tensor, finest: int) -> Tensor:
        """(batch, tokens) ids -> (batch, tokens + slots, hidden): text, then each slot's level and pooled window."""
        slots, pool, *_ = self.plan(input_ids.shape[1], finest)
        text = F.embedding(input_ids, self.embedding)
        levels = self.level_embeddings[[self.config.ratios.index(level) for level in slots.levels]]
        return torch.cat((text, pool @ text + levels), dim=1)

    def _slots(self, x: Tensor, plan: Plan) -> Tensor:
        """A layer's keys or values (batch, tokens + slots, kv_heads, head_dim) -> those of the slots."""
        own = x[:, plan.slots.tokens :]
        if plan.means is None:
            return own
        mean = torch.einsum("st,bthd->bshd", plan.means, x[:, : plan.slots.tokens].float())
        return ((own.float() + mean) / 2).to(x.dtype)

    def encode(
        self, segments: Sequence[Sequence[int]], finest: int, dtype: MemoryDtype | None = None
    ) -> list[dict[int, Block]]:
        """Slots of segments of one and the same length, for each a block a level, coarse to fine, on the CPU; as
        ``dtype``, or as they were computed.

        Raises ValueError for a ratio that is not one of the configuration's.
        """
        [blocks] = self.encode_each([segments], finest, dtype)
        return blocks

    @torch.inference_mode()
    def encode_each(
        self, batches: Iterable[Sequence[Sequence[int]]], finest: int, dtype: MemoryDtype | None = None
    ) -> Iterator[list[dict[int, Block]]]:
        """The same of batch after batch. A GPU is given a batch before what it made of the last one is put on the host,
        which would keep it waiting for as long as it takes to encode.
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
        """Encode a batch; what is returned waits for its blocks."""
        order = self.config.levels(finest)
        plan = self.plan(len(segments[0]), finest)
        input_ids = torch.tensor(segments, device=self.embedding.device)
        hidden = self.embed(input_ids, finest)
        attend = attend_with(plan.mask)
        keys, values = [], []
        for index, w in enumerate(self.layers):
            q, rotated, k, v = project(self.spec, w, hidden, plan.cos, plan.sin)
            keys.append(self._slots(k, plan))
            values.append(self._slots(v, plan))
            # What the last layer would go on to make of them is no part of a slot.
            if index + 1 < len(self.layers):
                hidden = finish(self.spec, w, hidden, attend(q, rotated, v))
        # (layers, batch, slots, kv_heads, head_dim) -> (batch, layers, kv_heads, slots, head_dim)
        k, v = (torch.stack(kept).permute(1, 0, 3, 2, 4) for kept in (keys, values))
        sizes = [plan.slots.count(level) for level in order]
        levels = {}
        for level, bk, bv in zip(order, k.split(sizes, dim=3), v.split(sizes, dim=3), strict=True):
            # All segments at once, made small and put in order where they are: block by block on the host, that takes
            # longer than a GPU needs to encode them.
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
    """Blocks of each of ``count`` segments, as views of those of all."""
    if copied:
        copied.synchronize()
        # Pinned memory is never given back to the system: the next batch takes it.
        levels = {level: {name: tensor.clone() for name, tensor in parts.items()} for level, parts in levels.items()}
    return [
        {level: Block(**{name: tensor[i] for name, tensor in parts.items()}) for level, parts in levels.items()}
        for i in range(count)
    ]
