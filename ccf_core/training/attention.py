"""Attention over many sequences in one stream, for training: without mask or padding."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

#: (q, k, v, query bounds, key bounds, longest) -> like q; streams (tokens, heads, head_dim), causal at the lower right
StreamAttention = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor]


def flash_attention(q: Tensor, k: Tensor, v: Tensor, query_bounds: Tensor, key_bounds: Tensor, longest: int) -> Tensor:
    """Run variable-length flash attention: no mask, no padding; bf16 or fp16 on CUDA.

    ``longest`` bounds the sequences; the kernel starts blocks for that many tokens of each, so it should be tight.
    """
    out = torch.ops.aten._flash_attention_forward(q, k, v, query_bounds, key_bounds, longest, longest, 0.0, True, False)
    return out[0]


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, query_bounds: Tensor, key_bounds: Tensor, longest: int = 0
) -> Tensor:
    """Attend sequence by sequence: the reference for ``flash_attention``, and what runs on a CPU."""
    pieces = []
    queries, keys = query_bounds.tolist(), key_bounds.tolist()
    for qa, qb, ka, kb in zip(queries, queries[1:], keys, keys[1:], strict=False):
        if qb > qa:
            mask = torch.ones(qb - qa, kb - ka, dtype=torch.bool, device=q.device).tril(kb - ka - (qb - qa))
            one_q, one_k, one_v = (x.transpose(0, 1)[None] for x in (q[qa:qb], k[ka:kb], v[ka:kb]))
            grouped = q.shape[1] != k.shape[1]
            out = F.scaled_dot_product_attention(one_q, one_k, one_v, attn_mask=mask, enable_gqa=grouped)
            pieces.append(out[0].transpose(0, 1))
    return torch.cat(pieces)
