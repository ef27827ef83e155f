"""The model under training: LoRA merged into the weights once a step, then two passes over packed streams.

The same layer functions as at inference (ccf_core.transformer), with attention over many sequences in one stream.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from ccf_core.adapter import LEVELS, REPEAT, Adapter
from ccf_core.config import Compressor
from ccf_core.training.capacity import longest_segment
from ccf_core.training.losses import chunked_cross_entropy
from ccf_core.training.packing import Batch
from ccf_core.training.prefix_mask import PrefixMask, attend_masked
from ccf_core.transformer import (
    StackSpec,
    Weights,
    embedding_table,
    finish,
    layer_weights,
    project,
    rms_norm,
    rotary_table,
    rotate,
)

#: (q, k, v, query bounds, key bounds, longest) -> like q; streams (tokens, heads, head_dim), causal at the lower right
StreamAttention = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor]


def flash_attention(q: Tensor, k: Tensor, v: Tensor, query_bounds: Tensor, key_bounds: Tensor, longest: int) -> Tensor:
    """Variable-length flash attention: no mask, no padding; bf16 or fp16 on CUDA.

    ``longest`` bounds the sequences; the kernel starts blocks for that many tokens of each, so it should be tight.
    """
    out = torch.ops.aten._flash_attention_forward(q, k, v, query_bounds, key_bounds, longest, longest, 0.0, True, False)
    return out[0]


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, query_bounds: Tensor, key_bounds: Tensor, longest: int = 0
) -> Tensor:
    """The same, sequence by sequence: the reference, and what runs on a CPU."""
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


def _window_means(x: Tensor, start: Tensor, end: Tensor, longest: int) -> Tensor:
    """Mean of x[start:end] for each window of at most ``longest`` rows, summed in float32."""
    total = x.new_zeros((len(start), x.shape[1]), dtype=torch.float32)
    for offset in range(longest):
        inside = (start + offset < end)[:, None]
        total += torch.where(inside, x[torch.minimum(start + offset, end - 1)].float(), 0)
    return (total / (end - start)[:, None]).to(x.dtype)


class _Take(torch.autograd.Function):
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


def _text_means(x: Tensor, batch: Batch) -> Tensor:
    """For each slot the mean, summed in float32, of the rows of x (E, kv_heads, head_dim) that it pools."""
    count = len(batch.slot_at)
    sums = x.new_zeros((count, *x.shape[1:]), dtype=torch.float32)
    sums = sums.index_add(0, batch.pool_into, x[batch.pool_from].float())
    sizes = sums.new_zeros(count).index_add(0, batch.pool_into, sums.new_ones(len(batch.pool_into)))
    return sums / sizes.clamp_min(1)[:, None, None]


def encoder_layer(
    spec: StackSpec, w: Weights, hidden: Tensor, cos: Tensor, sin: Tensor, batch: Batch, compressor: Compressor,
    mask: object, longest: int, attention: StreamAttention,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Hidden stream, and the slots' keys (before rotary) and values (S, kv_heads, head_dim)."""
    q, k, raw, v = project(spec, w, hidden, cos, sin)
    bounds = batch.encoder_bounds
    seen = attention(q, k, v, bounds, bounds, longest) if mask is None else attend_masked(q, k, v, mask)
    out = finish(spec, w, hidden, seen)
    return out, _slots(raw, batch, compressor), _slots(v, batch, compressor)


def _slots(x: Tensor, batch: Batch, compressor: Compressor) -> Tensor:
    """A layer's keys or values (E, kv_heads, head_dim) -> those of the slots (S, kv_heads, head_dim)."""
    if compressor == "mean_pool":
        return _text_means(x, batch).to(x.dtype)
    own: Tensor = _Take.apply(x, batch.slot_at)
    return own if compressor == "slots" else ((own.float() + _text_means(x, batch)) / 2).to(x.dtype)


def decoder_layer(
    spec: StackSpec, w: Weights, hidden: Tensor, cos: Tensor, sin: Tensor,
    memory_k: Tensor, memory_v: Tensor, batch: Batch, attention: StreamAttention,
) -> Tensor:  # fmt: skip
    """Hidden stream; each sequence sees its own memory (M, kv_heads, head_dim, keys rotated) before its tokens."""
    q, k, _, v = project(spec, w, hidden, cos, sin)
    k, v = (_Permute.apply(torch.cat(both), batch.order, batch.inverse) for both in ((memory_k, k), (memory_v, v)))
    return finish(spec, w, hidden, attention(q, k, v, batch.query_bounds, batch.key_bounds, batch.longest))


class TrainingModel(nn.Module):
    """Frozen base and trainable adapter; ``forward(batch)`` gives the loss.

    compiled : use torch.compile for the layers (CUDA). ``attention`` is flash attention where that can be had, for a
    base in halves on CUDA, otherwise the plain reference.
    """

    def __init__(self, base: PreTrainedModel, adapter: Adapter, *, compiled: bool) -> None:
        super().__init__()
        self.config = adapter.config
        self.spec = StackSpec.of(base)
        self.base = base.requires_grad_(False)
        self.trainable = nn.ParameterDict(
            {name.replace(".", "__"): nn.Parameter(t.float().clone()) for name, t in adapter.tensors.items()}
        )
        layers = layer_weights(base)
        self.frozen = {name: [w[name].detach() for w in layers] for name in layers[0]}
        self.stacked = {t: torch.stack(self.frozen[f"{t}.weight"]) for t in self.config.targets}
        self.embedding = embedding_table(base)
        self.head = base.get_output_embeddings().weight
        self._longest_window = self.config.slot_window or max(self.config.ratios)
        self.compiled = compiled
        halves = self.embedding.dtype in (torch.bfloat16, torch.float16)
        self.attention = flash_attention if self.embedding.is_cuda and halves else plain_attention

        def fast(function: Callable) -> Callable:
            return torch.compile(function, dynamic=False) if compiled else function

        self._encoder_layer, self._decoder_layer = fast(encoder_layer), fast(decoder_layer)
        self._rotate, self._window_means = fast(rotate), fast(_window_means)
        self._prefix_mask = PrefixMask(dense=not compiled) if self.config.mask == "prefix" else None

    def adapter(self) -> Adapter:
        """What is being trained, as it stands."""
        tensors = {name.replace("__", "."): p.detach().float().cpu().clone() for name, p in self.trainable.items()}
        return Adapter(self.config, tensors)

    def merged(self, side: str) -> list[dict[str, Tensor]]:
        """Every layer's weights with W + scale · B·A in the targets, rounded to the base's dtype, differentiable."""
        dtype = self.embedding.dtype
        per_target = {}
        for target in self.config.targets:
            a, b = (self.trainable[f"{side}__{target}__{part}"].to(dtype) for part in "ab")
            per_target[f"{target}.weight"] = torch.baddbmm(
                self.stacked[target], b, a, alpha=self.config.lora_scale
            ).unbind()
        names = {**self.frozen, **per_target}
        return [{name: values[i] for name, values in names.items()} for i in range(self.spec.layers)]

    def encode(self, batch: Batch, layers: list[dict[str, Tensor]] | None = None) -> tuple[Tensor, Tensor]:
        """Keys before rotary and values of all slots: each (S, layers, kv_heads, head_dim).

        layers : ``merged("encoder")``, if the caller has it already.
        """
        hidden = F.embedding(batch.encoder_ids, self.embedding)
        compressor = self.config.compressor
        if compressor != "mean_pool":
            with torch.no_grad():
                means = self._window_means(hidden, *batch.slot_window.unbind(1), self._longest_window)
            # Rounded after they are looked up: the gradients of thousands of slots are summed up in float32.
            levels = F.embedding(batch.slot_level, self.trainable[LEVELS]).to(hidden.dtype)
            # Where a stream has spare slots they all point at its last, unused token.
            hidden = hidden.index_copy(0, batch.slot_at, means + levels)
        mask = self._prefix_mask and self._prefix_mask(batch)
        cos, sin = rotary_table(self.base, batch.encoder_positions, hidden.dtype)
        keys, values = [], []
        for w in layers or self.merged("encoder"):
            hidden, k, v = self._encoder_layer(
                self.spec, w, hidden, cos, sin, batch, compressor, mask, longest_segment(self.config), self.attention
            )
            keys.append(k)
            values.append(v)
        return torch.stack(keys, 1), torch.stack(values, 1)

    def decode(
        self, batch: Batch, keys: Tensor, values: Tensor, layers: list[dict[str, Tensor]] | None = None
    ) -> Tensor:
        """Hidden states (D, hidden), final norm applied. layers : ``merged("decoder")``, as in ``encode``."""
        k, v = keys.index_select(0, batch.memory_slot), values.index_select(0, batch.memory_slot)
        cos, sin = rotary_table(self.base, batch.memory_positions, k.dtype)
        k = self._rotate(k, cos[:, None], sin[:, None])
        repeat = (batch.decoder_ids == self.config.repeat_token)[:, None]
        hidden = F.embedding(batch.decoder_ids, self.embedding)
        hidden = torch.where(repeat, self.trainable[REPEAT].to(hidden.dtype), hidden)
        cos, sin = rotary_table(self.base, batch.decoder_positions, hidden.dtype)
        for w, memory_k, memory_v in zip(layers or self.merged("decoder"), k.unbind(1), v.unbind(1), strict=True):
            hidden = self._decoder_layer(self.spec, w, hidden, cos, sin, memory_k, memory_v, batch, self.attention)
        return rms_norm(hidden, self.base.model.norm.weight, self.spec.eps)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(loss, record): the record (kinds, 3) float32 holds each kind's summed nats, hits and number of targets."""
        return self.loss(batch, self.decode(batch, *self.encode(batch)))

    def loss(self, batch: Batch, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The loss and record of ``forward`` from the decoder's hidden states; teachers are among these, detached."""
        loss, each, correct = chunked_cross_entropy(
            hidden[batch.target_at], self.head, batch.targets, batch.target_weight, self.compiled,
            teacher=hidden.detach()[batch.teacher_at], share=batch.teacher_share,
        )  # fmt: skip
        columns = torch.stack((each, correct.float(), torch.ones_like(each)), 1) * (batch.target_weight > 0)[:, None]
        record = columns.new_zeros((5, 3)).index_add_(0, batch.target_kind, columns)
        return loss, record[:4]
