"""What slots are: nested, append-only under ``prefix``, and what the method says when HF modules run it."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from transformers import DynamicCache

from ccf_core.config import TARGETS
from ccf_core.model.adapter import LEVELS
from ccf_core.model.encoder import Encoder
from ccf_core.model.greedy import cache_argument
from ccf_core.model.layers import layer_weights, rotary_table, rotate

RATIOS = (4, 8, 16, 32)


@pytest.fixture(scope="module")
def long_ccf(make_ccf):
    """Segments of 512 tokens, so that every length up to 300 is one segment; a model as small as can be."""
    smallest = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    return make_ccf(segment_length=512, model=smallest)


def slots(blocks):
    """All slots of one segment: k and v, (layers, kv_heads, slots, head_dim), coarse to fine."""
    return tuple(torch.cat([getattr(block, name) for block in blocks.values()], dim=2) for name in "kv")


def test_slicing_to_a_ratio_is_encoding_at_it(long_ccf, text_ids):
    for tokens in range(1, 301):
        ids = text_ids(tokens, seed=tokens)
        finest = long_ccf.compress(ids, finest=4)
        for ratio in RATIOS:
            sliced = finest.at(ratio)
            encoded = long_ccf.compress(ids, finest=ratio) if ratio > 4 else sliced
            assert sliced.slots == encoded.slots == ceil(tokens / ratio)
            for ours, theirs in zip(slots(sliced.blocks[0]), slots(encoded.blocks[0]), strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_finer_slots_differ_from_one_another(long_ccf, text_ids):
    # A memory of constants would pass the test above.
    k, v = slots(long_ccf.compress(text_ids(300)).blocks[0])
    for x in (k, v):
        distances = torch.cdist(x[-1].transpose(0, 1).flatten(1), x[-1].transpose(0, 1).flatten(1))
        assert distances[~torch.eye(len(distances), dtype=torch.bool)].min() > 1e-2


def test_segments_know_nothing_of_one_another(ccf, text_ids):
    ids = text_ids(32 * 3 + 7)
    whole = ccf.compress(ids)
    for index, (a, b) in enumerate([(0, 32), (32, 64), (64, 96), (96, 103)]):
        alone = ccf.compress(ids[a:b])
        for ours, theirs in zip(slots(whole.blocks[index]), slots(alone.blocks[0]), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


@pytest.mark.parametrize("device", DEVICES)
def test_batch_after_batch_is_each_by_itself(make_ccf, text_ids, device):
    encoder = make_ccf().to(device).encoder
    batches = [[text_ids(n, seed=10 * n + i) for i in range(rows)] for n, rows in ((32, 3), (32, 2), (7, 1))]
    expected = [encoder.encode(batch, 4, "int8") for batch in batches]
    assert list(encoder.encode_each([], 4)) == []
    for ours, theirs in zip(encoder.encode_each(batches, 4, "int8"), expected, strict=True):
        for blocks, alone in zip(ours, theirs, strict=True):
            assert list(blocks) == list(alone)
            for level, block in blocks.items():
                for name, tensor in block.tensors().items():
                    assert tensor.device.type == "cpu" and not tensor.is_pinned()
                    assert torch.equal(tensor, alone[level].tensors()[name])


@pytest.mark.parametrize("slot_window", [None, 4])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_slots_equal_the_method_run_by_the_modules(make_base, make_adapter, text_ids, family, slot_window):
    """Slots in the order of their ends, the mask written out, the adapter added to the modules' weights."""
    base = make_base(family)
    adapter = make_adapter(base.model, segment_length=64, slot_window=slot_window)
    tokens, ids = 45, text_ids(45)
    ends = [*range(4, 45, 4), 45]
    levels = [32 if e in (32, 45) else 16 if e % 16 == 0 else 8 if e % 8 == 0 else 4 for e in ends]
    [blocks] = Encoder(base.model, adapter).encode([ids], 4)

    model = base.model
    for target in TARGETS:
        a, b = (adapter.tensors[f"encoder.{target}.{part}"] for part in "ab")
        for index, w in enumerate(layer_weights(model)):
            w[f"{target}.weight"] += 2.0 * b[index] @ a[index]
    embedded = model.get_input_embeddings()(torch.tensor(ids))
    inputs = [
        embedded[max(0, end - (slot_window or level)) : end].mean(0) + adapter.tensors[LEVELS][RATIOS.index(level)]
        for end, level in zip(ends, levels, strict=True)
    ]
    sees = torch.zeros(tokens + len(ends), tokens + len(ends), dtype=torch.bool)
    sees[:tokens, :tokens] = torch.ones(tokens, tokens).tril()
    for row, (end, level) in enumerate(zip(ends, levels, strict=True), tokens):
        sees[row, :tokens] = True
        for column, (other, other_level) in enumerate(zip(ends, levels, strict=True), tokens):
            sees[row, column] = other_level > level or (other_level == level and other <= end)
    positions = torch.tensor([*range(tokens), *(end - 1 for end in ends)])
    cache = DynamicCache()
    with torch.inference_mode():
        model.model(
            inputs_embeds=torch.cat((embedded, torch.stack(inputs)))[None],
            attention_mask=sees[None, None],
            position_ids=positions[None],
            **{cache_argument(model): cache},
        )
    for level in RATIOS:
        rows = [tokens + i for i, own in enumerate(levels) if own == level]
        cos, sin = rotary_table(model, positions[rows], model.dtype)
        for index, theirs in enumerate(cache.layers):
            k = rotate(blocks[level].k[index].transpose(0, 1), cos, sin).transpose(0, 1)
            torch.testing.assert_close(k, theirs.keys[0, :, rows], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(blocks[level].v[index], theirs.values[0, :, rows], atol=1e-5, rtol=1e-5)


def test_blocks_run_coarse_to_fine_with_empty_levels_kept(ccf, text_ids):
    memory = ccf.compress(text_ids(3))
    assert [(level, tuple(block.k.shape)) for level, block in memory.blocks[0].items()] == [
        (32, (2, 2, 1, 8)), (16, (2, 2, 0, 8)), (8, (2, 2, 0, 8)), (4, (2, 2, 0, 8)),
    ]  # fmt: skip


@pytest.mark.parametrize("ratio", [5, 6, 64])
def test_an_unknown_ratio_is_refused(ccf, text_ids, ratio):
    with pytest.raises(ValueError, match="the ratio must be one of 4, 8, 16, 32"):
        ccf.compress(text_ids(50), finest=ratio)
