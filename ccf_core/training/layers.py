"""The layers of a stack over packed streams: those of the encoder give slots, those of the decoder read slots.

The same layer functions as at inference (``ccf_core.model.layers``), with attention over many sequences in one stream.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ccf_core.config import Compressor
from ccf_core.model.layers import StackSpec, Weights, finish, project
from ccf_core.training.attention import StreamAttention
from ccf_core.training.data.batch import Batch, Stream


def window_means(x: Tensor, start: Tensor, end: Tensor, longest: int) -> Tensor:
    """Average x[start:end] for each window of at most ``longest`` rows, summed in float32."""
    total = x.new_zeros((len(start), x.shape[1]), dtype=torch.float32)
    for offset in range(longest):
        inside = (start + offset < end)[:, None]
        total += torch.where(inside, x[torch.minimum(start + offset, end - 1)].float(), 0)
    return (total / (end - start)[:, None]).to(x.dtype)


class Take(torch.autograd.Function):
    """x[index] where no row that matters is taken twice: the gradient is a copy, not a sum."""

    @staticmethod
    def forward(ctx, x, index):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(index)
        ctx.rows = x.shape[0]
        return x[index]

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (index,) = ctx.saved_tensors
        out = gradient.new_zeros((ctx.rows, *gradient.shape[1:]))
        return out.index_copy(0, index, gradient), None


class _Permute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, order, inverse):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(inverse)
        return x[order]

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (inverse,) = ctx.saved_tensors
        return gradient[inverse], None, None


def encoder_layer(
    spec: StackSpec, w: Weights, hidden: Tensor, cos: Tensor, sin: Tensor, batch: Batch, compressor: Compressor,
    longest: int, attention: StreamAttention,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Run a layer: hidden stream, and the slots' keys (before rotary) and values (S, kv_heads, head_dim)."""
    q, k, raw, v = project(spec, w, hidden, cos, sin)
    bounds = batch.encoder_bounds
    out = finish(spec, w, hidden, attention(q, k, v, bounds, bounds, longest))
    return out, _slots(raw, batch, compressor), _slots(v, batch, compressor)


def _slots(x: Tensor, batch: Batch, compressor: Compressor) -> Tensor:
    """Make the slots' keys or values (S, kv_heads, head_dim) from a layer's (E, kv_heads, head_dim)."""
    if compressor != "mean_pool":
        own: Tensor = Take.apply(x, batch.slot_at)
        return own
    sums = x.new_zeros((len(batch.slot_at), *x.shape[1:]), dtype=torch.float32)
    sums = sums.index_add(0, batch.pool_into, x[batch.pool_from].float())
    sizes = sums.new_zeros(len(sums)).index_add(0, batch.pool_into, sums.new_ones(len(batch.pool_into)))
    return (sums / sizes.clamp_min(1)[:, None, None]).to(x.dtype)


def decoder_layer(
    spec: StackSpec, w: Weights, hidden: Tensor, cos: Tensor, sin: Tensor,
    memory_k: Tensor, memory_v: Tensor, stream: Stream, attention: StreamAttention,
) -> Tensor:  # fmt: skip
    """Run a layer; each sequence sees its own memory (M, kv_heads, head_dim, keys rotated) before its tokens."""
    q, k, _, v = project(spec, w, hidden, cos, sin)
    k, v = (_Permute.apply(torch.cat(both), stream.order, stream.inverse) for both in ((memory_k, k), (memory_v, v)))
    return finish(spec, w, hidden, attention(q, k, v, stream.query_bounds, stream.key_bounds, stream.longest))
