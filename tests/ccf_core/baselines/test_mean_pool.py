"""Mean-pooled memories: what a slot is, and that a ratio is never made from another."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ccf_core import CCF, Adapter, CCFConfig, KVMemory, MemoryMismatch
from ccf_core.memory.file import load_memory, save_memory
from ccf_core.model.adapter import merged_layers
from ccf_core.model.layers import StackSpec, attend_with, finish, project, rotary_table


@pytest.fixture(scope="module")
def pooled(make_ccf: Callable[..., CCF]) -> CCF:
    return make_ccf(compressor="mean_pool")


def keys_and_values(base, adapter, ids: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each layer of the encoder over a segment: keys before rotary and values, (tokens, kv_heads, head_dim)."""
    spec = StackSpec.of(base.model)
    hidden = base.model.get_input_embeddings()(torch.tensor([ids]))
    cos, sin = rotary_table(base.model, torch.arange(len(ids)), base.model.dtype)
    found = []
    for w in merged_layers(base.model, adapter):
        q, rotated, k, v = project(spec, w, hidden, cos, sin)
        hidden = finish(spec, w, hidden, attend_with(None)(q, rotated, v))
        found.append((k[0], v[0]))
    return found


@pytest.mark.parametrize("ratio", [4, 8, 32])
def test_a_slot_is_the_mean_of_its_block(
    make_base: Callable, make_adapter: Callable, text_ids: Callable, ratio: int
) -> None:
    base = make_base()
    adapter = make_adapter(base.model, compressor="mean_pool")
    ids = text_ids(32 + 21)
    with torch.inference_mode():
        expected = [keys_and_values(base, adapter, ids[:32]), keys_and_values(base, adapter, ids[32:])]
    memory = CCF(base, adapter).compress(ids, finest=ratio)
    for blocks, layers, n in zip(memory.blocks, expected, (32, 21), strict=True):
        ends = [*range(ratio, n, ratio), n]
        levels = {e: 32 if e == n else max(r for r in (4, 8, 16, 32) if e % r == 0) for e in ends}
        for level, block in blocks.items():
            mine = [e for e in ends if levels[e] == level]
            assert block.slots == len(mine)
            for slot, end in enumerate(mine):
                start = max((e for e in ends if e < end), default=0)
                for index, (k, v) in enumerate(layers):
                    assert torch.allclose(block.k[index, :, slot], k[start:end].mean(0), atol=1e-5)
                    assert torch.allclose(block.v[index, :, slot], v[start:end].mean(0), atol=1e-5)


@pytest.mark.parametrize("ratio", [4, 8, 16, 32])
def test_sizes_and_places_are_those_of_slots(ccf: CCF, pooled: CCF, text_ids: Callable, ratio: int) -> None:
    ids = text_ids(75)
    mean, slots = pooled.compress(ids, finest=ratio), ccf.compress(ids, finest=ratio)
    assert (mean.slots, mean.nbytes, mean.spans) == (slots.slots, slots.nbytes, slots.spans)
    assert [list(b) for b in mean.blocks] == [list(b) for b in slots.blocks]
    read, usual = pooled.prefix_for("mean_pool", mean), ccf.prefix_for("memory", slots)
    assert read is not None and usual is not None
    assert (read.length, read.nbytes, read.next_position) == (usual.length, usual.nbytes, usual.next_position)


def test_one_token_a_slot_is_the_bases_own_cache(make_ccf: Callable, text_ids: Callable) -> None:
    ccf = make_ccf(zero=True, compressor="mean_pool", ratios=(1, 4))
    ids = text_ids(30)
    read, full = ccf.prefix_for("mean_pool", ccf.compress(ids, finest=1)), ccf.decoder.read_text(ids)
    assert read is not None
    ends = [*range(4, 30, 4), 30]
    order = torch.tensor([*ends, *(e for e in range(1, 30) if e not in ends)]) - 1
    for mine, own in zip((*read.keys, *read.values), (*full.keys, *full.values), strict=True):
        assert torch.allclose(mine, own[:, :, order], atol=1e-5)


def test_a_coarser_ratio_is_never_a_slice(pooled: CCF, text_ids: Callable) -> None:
    ids = text_ids(75)
    fine, coarse = pooled.compress(ids), pooled.compress(ids, finest=16)
    assert fine.at(4).slots == fine.slots
    with pytest.raises(MemoryMismatch, match="compress the document again at 16"):
        fine.at(16)
    with pytest.raises(MemoryMismatch, match="again at 16"):
        KVMemory.join([fine, coarse])
    assert KVMemory.join([coarse, coarse]).slots == 2 * coarse.slots
    with pytest.raises(ValueError, match="not at 7"):
        fine.at(7)
    document = pooled.segment(ids)
    with pytest.raises(MemoryMismatch, match="encode them at 16"):
        pooled.memory(document, dict(pooled.encode(document)), 16)


def test_memories_of_slots_and_of_means_are_not_mistaken(ccf: CCF, pooled: CCF, text_ids: Callable, tmp_path) -> None:
    ids = text_ids(40)
    save_memory(pooled.compress(ids, finest=8).quantize(), tmp_path / "m.safetensors")
    loaded = load_memory(tmp_path / "m.safetensors")
    with pytest.raises(MemoryMismatch):
        loaded.at(16)
    assert pooled.answer("Who?", loaded, 4, reader="mean_pool").reader == "mean_pool"
    assert len(pooled.reconstruct_ids(loaded)) == 2
    with pytest.raises(MemoryMismatch):
        ccf.prefix_for("memory", loaded)
    with pytest.raises(MemoryMismatch, match="'memory'"):
        ccf.prefix_for("mean_pool", ccf.compress(ids))


def test_the_configuration_is_saved_and_older_ones_stay_as_they_are(
    make_base: Callable, make_adapter: Callable, tmp_path: Path
) -> None:
    base = make_base()
    slots, means = make_adapter(base.model), make_adapter(base.model, compressor="mean_pool")
    assert slots.fingerprint != means.fingerprint
    assert slots.fingerprint == dataclasses.replace(slots, config=CCFConfig(**slots.config.as_dict())).fingerprint
    for adapter, written in ((slots, None), (means, "mean_pool")):
        adapter.save(tmp_path, "float32")
        assert json.loads((tmp_path / "ccf.json").read_text()).get("compressor") == written
        loaded = Adapter.load(tmp_path)
        assert loaded.config == adapter.config
        assert loaded.fingerprint == adapter.fingerprint
    with pytest.raises(ValueError, match="compressor"):
        CCFConfig(compressor="max_pool")  # type: ignore[arg-type]
