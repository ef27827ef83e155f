"""The stack as plain functions equals the Hugging Face modules, for every family and its odd shapes."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from ccf_core.model.greedy import cache_argument
from ccf_core.model.layers import StackSpec, attend_with, finish, layer_weights, project, rms_norm, rotary_table, rotate

SHAPES = {
    "llama": ("llama", {}),
    "llama, one head a group": ("llama", {"num_key_value_heads": 4}),
    "llama, biases everywhere": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, untied head": ("llama", {"tie_word_embeddings": False}),
    "llama, wide heads": ("llama", {"head_dim": 16}),
    "llama, scaled positions": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral, narrow heads, one group": ("mistral", {"head_dim": 4, "num_key_value_heads": 1}),
    "qwen2": ("qwen2", {}),
    "qwen2, one head a group": ("qwen2", {"num_key_value_heads": 4, "hidden_act": "gelu"}),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "qwen3, biases, one group": ("qwen3", {"head_dim": 8, "attention_bias": True, "num_key_value_heads": 1}),
}


@pytest.fixture(params=SHAPES)
def model(request, tiny_model):
    family, overrides = SHAPES[request.param]
    return tiny_model(family, **overrides)


@torch.inference_mode()
def run(model, input_ids, positions, mask=None):
    """Logits, and each layer's keys before rotary embedding and values."""
    spec = StackSpec.of(model)
    cos, sin = rotary_table(model, positions, model.dtype)
    hidden = model.get_input_embeddings()(input_ids)
    keys, values = [], []
    for w in layer_weights(model):
        q, rotated, k, v = project(spec, w, hidden, cos, sin)
        hidden = finish(spec, w, hidden, attend_with(mask)(q, rotated, v))
        keys.append(k)
        values.append(v)
    return model.lm_head(rms_norm(hidden, model.model.norm.weight, spec.eps)), keys, values


def test_logits_keys_and_values_equal_the_modules(model, text_ids):
    input_ids = torch.tensor([text_ids(40, seed) for seed in range(3)])
    positions = torch.arange(40)
    logits, keys, values = run(model, input_ids, positions)
    cache = DynamicCache()
    with torch.inference_mode():
        expected = model(input_ids, **{cache_argument(model): cache}).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
    cos, sin = rotary_table(model, positions, model.dtype)
    for k, v, theirs in zip(keys, values, cache.layers, strict=True):
        torch.testing.assert_close(rotate(k, cos, sin).transpose(1, 2), theirs.keys, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(v.transpose(1, 2), theirs.values, atol=1e-5, rtol=1e-5)


def test_a_mask_and_spread_positions_equal_the_modules(model, text_ids):
    input_ids = torch.tensor([text_ids(24)])
    positions = torch.arange(24) * 3 + 1
    mask = torch.rand(24, 24, generator=torch.Generator().manual_seed(2)) < 0.4
    mask |= torch.eye(24, dtype=torch.bool)
    logits, *_ = run(model, input_ids, positions, mask)
    with torch.inference_mode():
        expected = model(input_ids, attention_mask=mask[None, None], position_ids=positions[None]).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_spec_reads_the_shape_of_the_heads(tiny_model):
    spec = StackSpec.of(tiny_model("qwen3", head_dim=16, num_key_value_heads=1))
    assert (spec.layers, spec.heads, spec.kv_heads, spec.head_dim) == (2, 4, 1, 16)
    assert StackSpec.of(tiny_model("qwen2")).head_dim == 8
