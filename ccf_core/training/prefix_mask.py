"""The encoder mask ``prefix`` over a packed stream: what a sequence's causal order does not say by itself.

On CUDA it is a block mask for FlexAttention, elsewhere a dense one: enough for tests.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from ccf_core.training.packing import Batch

BLOCK = 128


class PrefixMask:
    """Called with a batch, gives the mask of its encoder stream (E,): a token or slot sees what comes before it in
    its own sequence and does not end after it.

    The block mask reads tensors that are made anew for each batch: graphs of several may wait for their backward pass.
    Compiled code minds their shapes only.
    """

    def __init__(self, *, dense: bool) -> None:
        self.dense = dense
        self.sequence = self.ends = torch.empty(0)

    def _sees(self, b: object, h: object, q: Tensor, k: Tensor) -> Tensor:
        return (self.sequence[q] == self.sequence[k]) & (k <= q) & (self.ends[k] <= self.ends[q])

    def __call__(self, batch: Batch) -> Tensor | BlockMask:
        length, device = len(batch.encoder_ids), batch.encoder_ids.device
        at = torch.arange(length, device=device)
        self.sequence = torch.searchsorted(batch.encoder_bounds.long(), at, right=True)
        self.ends = batch.encoder_positions
        if self.dense:
            return self._sees(None, None, at[:, None], at[None, :])
        blocks = -(-length // BLOCK)
        first = batch.encoder_bounds[self.sequence[::BLOCK] - 1].long() // BLOCK
        column = torch.arange(blocks, device=device)
        indices = (first[:, None] + column).clamp_max(blocks - 1).int()
        count = (column - first + 1).int()
        return BlockMask.from_kv_blocks(count[None, None], indices[None, None], BLOCK_SIZE=BLOCK, mask_mod=self._sees)


def attend_masked(q: Tensor, k: Tensor, v: Tensor, mask: object) -> Tensor:
    """Attention of one stream (tokens, heads, head_dim) under a mask of ``PrefixMask``."""
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    if isinstance(mask, Tensor):
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    else:
        assert isinstance(mask, BlockMask)
        out = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    return out[0].transpose(0, 1)
