"""Rank keys by the attention that later queries are expected to give them, in the one pass that reads the text."""

from __future__ import annotations

import torch
from torch import Tensor

from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.model.decoder import Decoder
from ccf_core.model.layers import StackSpec, rotary_table, rotate

#: Positions after the text at which queries are expected.
AHEAD = 512


class ExpectedAttention(Pruning):
    """Expected attention (arXiv 2510.00636): queries before rotary embedding are taken as normally distributed.

    With the mean μ and covariance Σ of a head's queries in the text, turned by the mean R of the rotations to the
    ``AHEAD`` positions after it, a key is expected to get exp(Rμ·k / √d + kᵀRΣRᵀk / 2d) of the unnormalised attention.
    Its score is its share of that among the text's keys times the norm of its value, the mean over the query heads of
    a key-value head.
    """

    by_queries = True

    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        model, (_, layers, kv_heads, tokens) = decoder.model, cache.shape
        device, scale = cache.lengths.device, StackSpec.of(model).head_dim ** -0.5
        counted = torch.arange(tokens, device=device) < cache.lengths[:, None]
        own = rotary_table(model, torch.arange(cache.begin, cache.begin + tokens, device=device), torch.float32)
        ahead = cache.begin + cache.lengths[:, None] + torch.arange(AHEAD, device=device)
        turn = _mean_rotation(*rotary_table(model, ahead, torch.float32))[:, None]
        weight = (counted / cache.lengths[:, None])[:, None, :, None]
        found = []
        for layer in range(layers):
            queries = _turned_back(cache.queries[layer].float(), *own)
            mean = (weight * queries).sum(2, keepdim=True)
            centred = (queries - mean) * weight.sqrt()
            # (batch, heads, head_dim, head_dim) and (batch, heads, head_dim, 1)
            spread = turn @ (centred.transpose(2, 3) @ centred) @ turn.transpose(2, 3)
            mean = turn @ mean.transpose(2, 3)
            keys, values = (x[layer][:, :, cache.past :].float() for x in (cache.keys, cache.values))
            of_head = keys.repeat_interleave(spread.shape[1] // kv_heads, 1)
            logits = scale * (of_head @ mean)[..., 0] + scale**2 / 2 * ((of_head @ spread) * of_head).sum(-1)
            share = logits.masked_fill(~counted[:, None], float("-inf")).softmax(-1)
            found.append(share.unflatten(1, (kv_heads, -1)).mean(2) * values.norm(dim=-1))
        return torch.stack(found, dim=1)


def _turned_back(queries: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Undo rotary embedding of (batch, heads, tokens, head_dim); some kinds scale besides, which stays."""
    size = (cos**2 + sin**2).sqrt()
    return rotate(queries.transpose(1, 2), cos / size, -sin / size).transpose(1, 2)


def _mean_rotation(cos: Tensor, sin: Tensor) -> Tensor:
    """Average rotations given by (batch, positions, head_dim) to matrices (batch, head_dim, head_dim)."""
    one = torch.eye(cos.shape[-1], device=cos.device).expand(len(cos), -1, -1)
    size = (cos**2 + sin**2).sqrt()
    return rotate(one, (cos / size).mean(1), (sin / size).mean(1)).transpose(1, 2)
