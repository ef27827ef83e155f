"""Make memories without an adapter: the base reads a document, and each level keeps the next best of its own cache.

A segment is read after all that comes before it. Its tokens are ranked in every layer and key-value head, and the best
ceil(tokens / ratio) of each are its memory at a ratio; at 1 that is the plain cache. They are kept as slots are, with
keys before rotary embedding, and their positions beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.errors import BudgetTooSmall
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.memory.grades import grades
from ccf_core.memory.layout import slots_of_level, usable
from ccf_core.memory.memory import KVMemory, MemoryHeader
from ccf_core.memory.segments import Segmented
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix


class PrunedEncoder:
    """Reads documents with ``decoder``, which no adapter has changed, and keeps what ``ranking`` finds best."""

    def __init__(self, decoder: Decoder, ranking: Pruning) -> None:
        self.decoder = decoder
        self.ranking = ranking
        self.config = decoder.config

    @torch.inference_mode()
    def encode_document(
        self,
        document: Segmented,
        header: MemoryHeader,
        segments: Sequence[int],
        finest: int,
        dtype: MemoryDtype | None = None,
    ) -> Iterator[tuple[int, dict[int, Block]]]:
        """Yield (segment, a block a level, coarse to fine, on the CPU, as ``dtype``) of the ``segments``, ascending.

        Those before the last of them are read in any case. Of a document that is longer than the window a segment is
        read after a memory of what came before, at the finest ratios that fit.
        Raises ValueError for a ratio that is not one of the configuration's.
        """
        levels, wanted = self.config.levels(finest), set(segments)
        whole = len(document.input_ids) <= usable(self.decoder.window)
        past: Prefix | None = None
        made: list[dict[int, Block]] = []
        for index in range(max(wanted, default=-1) + 1):
            ids = document.segment(index)
            if made and document.spans[index].end > usable(self.decoder.window):
                past, made = self._memory_before(document, header, made, len(ids))
            cache = FullCache.read(self.decoder, [ids], past, inside=True)
            past = Prefix(cache.keys, cache.values, cache.begin + len(ids))
            if whole and index not in wanted:
                continue
            blocks = self._blocks(cache)
            if not whole:
                made.append(blocks)
            if index in wanted:
                kept = {level: blocks[level].quantize(dtype) if dtype else blocks[level] for level in levels}
                yield index, {level: _on_cpu(block) for level, block in kept.items()}

    def _memory_before(
        self, document: Segmented, header: MemoryHeader, made: list[dict[int, Block]], following: int
    ) -> tuple[Prefix, list[dict[int, Block]]]:
        """Place a memory of the segments that were ``made``, with room for so many tokens that follow; return it and
        their levels that later memories can need: they only get coarser."""
        room = usable(self.decoder.window) - following
        room = min(room, (self.decoder.sliding or room + 1) - 1)
        spans, ratios = document.spans[: len(made)], self.config.ratios
        try:
            _, plan = grades(room, [len(span) for span in spans], ratios, tail=0)
        except BudgetTooSmall:
            plan = (ratios[-1],) * len(made)
        made = [
            {level: block for level, block in blocks.items() if level >= ratio}
            for blocks, ratio in zip(made, plan, strict=True)
        ]
        return self.decoder.prefix(KVMemory(header, spans, tuple(made), min(plan)), following), made

    def _blocks(self, cache: FullCache) -> dict[int, Block]:
        """Rank the tokens of one segment and cut them into all levels, each in the order of the text."""
        levels, tokens = self.config.levels(self.config.finest), cache.shape[-1]
        # (layers, kv_heads, tokens), and with head_dim
        order = self.ranking.scores(self.decoder, cache)[0].sort(dim=-1, descending=True, stable=True).indices
        keys, values = (torch.cat(own) for own in (cache.unrotated, [v[:, :, cache.past :] for v in cache.values]))
        sizes = [slots_of_level(tokens, level, self.config.ratios) for level in levels]
        chosen = [own.sort(-1).values for own in order.split(sizes, -1)]

        def of(x: Tensor, places: Tensor) -> Tensor:
            return x.take_along_dim(places[..., None], 2)

        return {
            level: Block(of(keys, own), of(values, own), positions=own.short())
            for level, own in zip(levels, chosen, strict=True)
        }


def _on_cpu(block: Block) -> Block:
    return Block(**{name: tensor.cpu() for name, tensor in block.tensors().items()})
