"""What slots look at and how they lie to one another, against the definitions written out."""

from __future__ import annotations

from math import ceil

import pytest
import torch

from ccf_core import MemoryMismatch
from ccf_core.analysis.inspection import principal_plane, slot_map, text_attention
from ccf_core.config import TARGETS
from ccf_core.memory.layout import slot_layout
from ccf_core.model.adapter import LEVELS
from ccf_core.model.encoder import Encoder, encoder_positions, pooling_matrix
from ccf_core.model.layers import layer_weights

RATIOS = (4, 8, 16, 32)
TOKENS = 45


def attention_of_the_modules(base, adapter, ids):
    """(slots, tokens): eager attention of the Hugging Face modules under the encoder's weights."""
    model = base.model
    for target in TARGETS:
        a, b = (adapter.tensors[f"encoder.{target}.{part}"] for part in "ab")
        for index, w in enumerate(layer_weights(model)):
            w[f"{target}.weight"] += adapter.config.lora_scale * b[index] @ a[index]
    slots = slot_layout(len(ids), 4, RATIOS)
    embedded = model.get_input_embeddings()(torch.tensor(ids))
    rows = [RATIOS.index(level) for level in slots.levels]
    inputs = pooling_matrix(slots, adapter.config.slot_window) @ embedded + adapter.tensors[LEVELS][rows]
    sees = torch.full([len(ids) + len(slots)] * 2, torch.finfo(torch.float32).min).triu(1)
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        attention = model.model(
            inputs_embeds=torch.cat((embedded, inputs))[None],
            attention_mask=sees[None, None],
            position_ids=encoder_positions(slots)[None],
            output_attentions=True,
        ).attentions
    upper = torch.stack([a[0, :, len(ids) :, : len(ids)] for a in attention[len(attention) // 2 :]]).mean((0, 1))
    return upper / upper.sum(1, keepdim=True)


@pytest.mark.parametrize(("family", "layers"), [("llama", 2), ("llama", 3), ("qwen3", 2)])
def test_attention_is_that_of_the_modules(make_base, make_adapter, text_ids, family, layers):
    base = make_base(family, num_hidden_layers=layers)
    adapter = make_adapter(base.model, segment_length=64)
    ids = text_ids(TOKENS)
    found = text_attention(Encoder(base.model, adapter), ids)
    expected = attention_of_the_modules(base, adapter, ids)
    assert found.weights.shape == (ceil(TOKENS / 4), TOKENS)
    assert found.weights.dtype == torch.float32
    torch.testing.assert_close(found.weights, expected, atol=1e-6, rtol=1e-5)
    # A map of equal weights would pass nothing on.
    assert expected.max() > 2 / TOKENS


@pytest.mark.parametrize("tokens", [1, 3, 4, 5, 31, 32])
def test_every_row_is_a_share_of_the_text_that_the_slot_sees(make_ccf, text_ids, tokens):
    codec = make_ccf()
    found = text_attention(codec.encoder, text_ids(tokens))
    torch.testing.assert_close(found.weights.sum(1), torch.ones(ceil(tokens / 4)))
    torch.testing.assert_close(found.by_token.sum(), torch.tensor(float(ceil(tokens / 4))))
    for row in found.weights:
        assert row.min() > 0


def test_a_coarser_ratio_is_a_slice(ccf, text_ids):
    ids = text_ids(32)
    finest = text_attention(ccf.encoder, ids)
    for ratio in RATIOS:
        sliced, computed = finest.at(ratio), text_attention(ccf.encoder, ids, ratio)
        assert sliced.layout == computed.layout
        torch.testing.assert_close(sliced.weights, computed.weights, atol=1e-5, rtol=0)


def test_what_has_no_attention_is_refused(make_ccf, ccf, text_ids):
    with pytest.raises(MemoryMismatch, match="Mean-pooled slots look at nothing"):
        text_attention(make_ccf(compressor="mean_pool").encoder, text_ids(8))
    with pytest.raises(ValueError, match="the ratio must be one of"):
        text_attention(ccf.encoder, text_ids(8), 5)


def plane_by_definition(vectors):
    """Eigenvectors of the covariance, each turned so that its largest entry is positive."""
    centred = vectors.double() - vectors.double().mean(0)
    values, axes = torch.linalg.eigh(centred.T @ centred)
    columns = []
    for axis in (axes[:, -1], axes[:, -2]):
        columns.append(centred @ (axis if axis[axis.abs().argmax()] > 0 else -axis))
    return torch.stack(columns, 1).float(), (values[-2:].flip(0) / values.sum()).tolist()


@pytest.mark.parametrize("part", ["keys", "values"])
@pytest.mark.parametrize("layer", [None, 0, 1])
@pytest.mark.parametrize("dtype", [None, "int8", "int4"])
def test_a_map_is_the_plane_of_largest_variance(ccf, text_ids, part, layer, dtype):
    memory = ccf.compress(text_ids(100))
    memory = memory.quantize(dtype) if dtype else memory
    found = slot_map(memory, part, layer)
    rows, where = [], []
    for segment, level, block in memory.parts():
        k, v = block.floating(torch.float32, "cpu")
        x = k if part == "keys" else v
        x = x.mean(0) if layer is None else x[layer]
        rows += [x[:, slot].flatten() for slot in range(block.slots)]
        where += [(segment, level)] * block.slots
    points, explained = plane_by_definition(torch.stack(rows))
    assert found.points.shape == (memory.slots, 2)
    torch.testing.assert_close(found.points, points, atol=1e-4, rtol=1e-4)
    assert found.explained == pytest.approx(explained, abs=1e-5)
    assert list(zip(found.segments, found.levels, strict=True)) == where
    assert (found.slots, found.total) == (tuple(range(memory.slots)), memory.slots)


def test_a_large_map_is_sampled_evenly(ccf, text_ids):
    memory = ccf.compress(text_ids(32 * 8))
    assert memory.slots == 64
    found = slot_map(memory, most=16)
    assert (found.slots, found.total) == (tuple(range(0, 64, 4)), 64)
    assert found.points.shape == (16, 2)
    assert set(found.segments) == set(range(8))
    levels = [level for _, level, block in memory.parts() for _ in range(block.slots)]
    assert found.levels == tuple(levels[slot] for slot in found.slots)


@pytest.mark.parametrize("tokens", [1, 5])
def test_a_map_of_one_or_two_slots(ccf, text_ids, tokens):
    found = slot_map(ccf.compress(text_ids(tokens)))
    assert found.points.shape == (ceil(tokens / 4), 2)
    assert found.points.isfinite().all()
    assert found.points[:, 1].abs().max() < 1e-5


def test_the_same_memory_gives_the_same_map(ccf, text_ids):
    memory = ccf.compress(text_ids(90))
    assert torch.equal(slot_map(memory).points, slot_map(memory).points)
    vectors = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    lengths = [torch.linalg.norm(principal_plane(x)[0], dim=0) for x in (vectors, vectors @ turned)]
    torch.testing.assert_close(*lengths)


def test_a_map_of_a_layer_that_is_not_there_is_refused(ccf, text_ids):
    with pytest.raises(ValueError, match="the layer must be one of 0 to 1, not 2"):
        slot_map(ccf.compress(text_ids(9)), layer=2)
