"""The decoder stack of Llama-, Mistral- and Qwen2/3-style models as plain functions over a dictionary of weights.

Why not the Hugging Face modules: a slot is a key *before* rotary embedding, which they do not give out, and training
wants merged weights as inputs of one compiled layer. Tests hold these functions to the logits of the modules.
It knows nothing of slots, adapters or caches; attention itself is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from ccf_core.base.spec import StackSpec

Weights = Mapping[str, Tensor]
#: (query, key, value) with rotary embedding applied, each (..., tokens, heads, head_dim) -> like query
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def layer_weights(model: PreTrainedModel) -> list[dict[str, Tensor]]:
    """List each layer's parameters by short name ("q_proj.weight", "input_layernorm.weight", …); no copies."""
    return [
        {name.removeprefix("self_attn.").removeprefix("mlp."): p for name, p in layer.named_parameters()}
        for layer in model.model.layers
    ]


#: Projections of one input, which one product can do.
JOINED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


@torch.inference_mode(False)
@torch.no_grad()
def joined_layers(model: PreTrainedModel) -> list[dict[str, Tensor]]:
    """Join the projections of ``JOINED`` in ``layer_weights``, under names such as "qkv_proj.weight".

    Nothing is held twice: the model's own parameters become views of what is joined, one layer after the other.
    """
    layers = layer_weights(model)
    for w in layers:
        for joined, names in JOINED.items():
            for part in ("weight", "bias"):
                if f"{names[0]}.{part}" not in w:
                    continue
                own = [w[f"{name}.{part}"] for name in names]
                whole = torch.cat([tensor.detach() for tensor in own])
                for tensor, view in zip(own, whole.split([len(tensor) for tensor in own]), strict=True):
                    tensor.data = view
                w[f"{joined}.{part}"] = whole
    return layers


def embedding_table(model: PreTrainedModel) -> Tensor:
    """Find the input embeddings, (vocabulary, hidden); their dtype and device are the model's."""
    return cast(Tensor, model.get_input_embeddings().weight)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Normalise: x / rms(x) in float32, rounded to x's dtype, times weight, the order that the modules use."""
    if x.dtype == torch.float32:
        # Nothing is rounded on the way: one call in place of eight, which is what a single token costs.
        return F.rms_norm(x, weight.shape, weight, eps)
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary embedding to x (..., tokens, heads, head_dim) by cos and sin (..., tokens, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.unsqueeze(-2) + torch.cat((-second, first), dim=-1) * sin.unsqueeze(-2)


def rotary_table(model: PreTrainedModel, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Compute cos and sin, (*positions.shape, head_dim), by the model's own rotary module (scaled kinds included)."""
    flat = positions.reshape(1, -1)
    probe = torch.empty(0, dtype=dtype, device=positions.device)
    cos, sin = model.model.rotary_emb(probe, flat)
    return cos.reshape(*positions.shape, -1), sin.reshape(*positions.shape, -1)


def sliding_window(model: PreTrainedModel, layer: int) -> int | None:
    """Tell how many positions a layer sees at a time, its own included; None if all."""
    kinds = getattr(model.config, "layer_types", None)
    if kinds and kinds[layer] != "sliding_attention":
        return None
    return getattr(model.config, "sliding_window", None)


def _linear(x: Tensor, w: Weights, name: str) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def project(spec: StackSpec, w: Weights, hidden: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
    """Run the first half of a layer: (query, key, key before rotary, value), each (..., tokens, heads, head_dim)."""
    x = rms_norm(hidden, w["input_layernorm.weight"], spec.eps)
    if "qkv_proj.weight" in w:
        turned = spec.heads + spec.kv_heads
        heads = _linear(x, w, "qkv_proj").unflatten(-1, (-1, spec.head_dim))
        q, k, v = heads[..., : spec.heads, :], heads[..., spec.heads : turned, :], heads[..., turned:, :]
        if "q_norm.weight" not in w:
            # Queries and keys stand side by side: one rotation for both.
            both = rotate(heads[..., :turned, :], cos, sin)
            return both[..., : spec.heads, :], both[..., spec.heads :, :], k, v
    else:
        q, k, v = (_linear(x, w, name).unflatten(-1, (-1, spec.head_dim)) for name in JOINED["qkv_proj"])
    if "q_norm.weight" in w:
        q, k = rms_norm(q, w["q_norm.weight"], spec.eps), rms_norm(k, w["k_norm.weight"], spec.eps)
    return rotate(q, cos, sin), rotate(k, cos, sin), k, v


def finish(spec: StackSpec, w: Weights, hidden: Tensor, attended: Tensor) -> Tensor:
    """Run the second half of a layer: output projection, residuals and the gated feed-forward."""
    hidden = hidden + _linear(attended.flatten(-2), w, "o_proj")
    x = rms_norm(hidden, w["post_attention_layernorm.weight"], spec.eps)
    if "gate_up_proj.weight" in w:
        gate, up = _linear(x, w, "gate_up_proj").chunk(2, dim=-1)
    else:
        gate, up = _linear(x, w, "gate_proj"), _linear(x, w, "up_proj")
    return hidden + _linear(spec.activation(gate) * up, w, "down_proj")


def attend_with(mask: Tensor | None) -> Attend:
    """Make scaled dot-product attention for (batch, tokens, heads, head_dim): causal, or under a bool mask."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = F.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=q.shape[-2] != k.shape[-2],
        )
        return out.transpose(1, 2)

    return attend
