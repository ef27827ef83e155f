"""Mean-pooled memories: no slot tokens; a slot is the mean of what its block of text became.

It makes the same blocks as ``ccf_core.model.encoder``, so memories, positions and decoder need not know. Such memories
are not nested: a coarser one is another mean, so each ratio is encoded by itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ccf_core.memory import layout
from ccf_core.model.encoder import Encoder, Tables
from ccf_core.model.layers import rotary_table


def block_means(slots: layout.SlotLayout) -> Tensor:
    """Make (slots, tokens) float32, which times the tokens' vectors gives the mean over each slot's block.

    The block of a slot is the tokens after the end before its own, in the order of the text, up to its own.
    """
    ends = sorted(slots.ends)
    starts = dict(zip(ends, [0, *ends], strict=False))
    pool = torch.zeros(len(slots), slots.tokens)
    for row, end in enumerate(slots.ends):
        pool[row, starts[end] : end] = 1.0 / (end - starts[end])
    return pool


class MeanPoolEncoder(Encoder):
    """Feldman and Artzi (arXiv 2510.20797): the base under the encoder's LoRA reads a segment causally.

    A slot is, layer by layer, the mean over its block of the keys before rotary embedding and of the values. Text
    sees no slots, so ``slot_window`` and the level embeddings of the configuration are without effect.
    """

    def _make_tables(self, tokens: int, finest: int) -> Tables:
        dtype, device = self.embedding.dtype, self.embedding.device
        slots = layout.slot_layout(tokens, finest, self.config.ratios)
        cos, sin = rotary_table(self.model, torch.arange(tokens, device=device), dtype)
        return Tables(slots, block_means(slots).to(device), cos, sin)

    def embed(self, input_ids: Tensor, finest: int) -> Tensor:
        """Embed ids (batch, tokens) as (batch, tokens, hidden)."""
        return F.embedding(input_ids, self.embedding)

    def _slots(self, x: Tensor, tables: Tables) -> Tensor:
        return torch.einsum("st,bthd->bshd", tables.pool, x.float()).to(x.dtype)
