"""The adapter: what it adds, what its file keeps, what its fingerprint notices, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch

from ccf_core import Adapter, AdapterError, CCFConfig
from ccf_core.config import TARGETS
from ccf_core.model.adapter import LEVELS, REPEAT, merge_into, merged_layers
from ccf_core.model.layers import layer_weights


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


@pytest.fixture(scope="module")
def adapter(model, make_adapter):
    return make_adapter(model)


@pytest.fixture
def saved(adapter, tmp_path):
    adapter.save(tmp_path / "adapter")
    return tmp_path / "adapter"


def equal(one: Adapter, other: Adapter) -> bool:
    same_names = one.tensors.keys() == other.tensors.keys()
    return same_names and all(torch.equal(t, other.tensors[name]) for name, t in one.tensors.items())


def test_merging_adds_scale_times_b_a_to_every_layer(tiny_model, model, adapter):
    adapted = tiny_model()
    encoder = merged_layers(adapted, adapter)
    merge_into(adapted, adapter)
    for side, layers in (("encoder", encoder), ("decoder", layer_weights(adapted))):
        for index, (merged, plain) in enumerate(zip(layers, layer_weights(model), strict=True)):
            for name, weight in plain.items():
                target = name.removesuffix(".weight")
                if target in TARGETS:
                    a, b = (adapter.tensors[f"{side}.{target}.{part}"][index] for part in "ab")
                    weight = weight + adapter.config.lora_scale * b @ a
                torch.testing.assert_close(merged[name], weight, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("token", [3, 320])
@pytest.mark.parametrize("tied", [True, False])
def test_the_repeat_token_is_embedded_as_learned_and_no_other(tiny_model, make_adapter, text_ids, token, tied):
    """320 lies behind the embeddings."""
    model, adapted = (tiny_model(tie_word_embeddings=tied) for _ in range(2))
    adapter = make_adapter(model, repeat_token=token)
    merge_into(adapted, adapter)
    ids = torch.tensor([[token, *text_ids(9)]])
    embedded = adapted.get_input_embeddings()(ids)[0]
    torch.testing.assert_close(embedded[0], adapter.tensors[REPEAT])
    assert torch.equal(embedded[1:], model.get_input_embeddings()(ids[:, 1:])[0])
    assert (adapted.get_input_embeddings().weight is adapted.get_output_embeddings().weight) == tied
    assert adapted.state_dict().keys() == model.state_dict().keys()


def test_a_zero_adapter_changes_nothing(tiny_model, model, make_adapter):
    adapted = tiny_model()
    zero = make_adapter(adapted, zero=True)
    for merged, plain in zip(merged_layers(adapted, zero), layer_weights(model), strict=True):
        assert all(torch.equal(merged[name], weight) for name, weight in plain.items())
    merge_into(adapted, zero)
    for (name, ours), theirs in zip(adapted.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_float32_shards_keep_every_bit(adapter, tmp_path):
    adapter.save(tmp_path, "float32")
    loaded = Adapter.load(tmp_path)
    assert equal(loaded, adapter)
    assert loaded.config == adapter.config
    assert loaded.fingerprint == adapter.fingerprint


def test_the_name_of_its_base_is_kept_and_changes_nothing(adapter, tmp_path):
    trained = dataclasses.replace(adapter.config, base="0" * 64)
    named = dataclasses.replace(adapter, config=dataclasses.replace(trained, base_name="org/llama"))
    named.save(tmp_path, "float32")
    kept = json.loads((tmp_path / "ccf.json").read_text())
    assert list(kept)[list(kept).index("base") + 1] == "base_name"
    loaded = Adapter.load(tmp_path)
    assert loaded.config.base_name == kept["base_name"] == "org/llama"
    assert "base_name" not in trained.as_dict()
    assert loaded.config == trained
    assert loaded.fingerprint == dataclasses.replace(adapter, config=trained).fingerprint != adapter.fingerprint


def test_bfloat16_shards_keep_bfloat16(adapter, tmp_path):
    adapter.save(tmp_path, "bfloat16")
    for name, tensor in Adapter.load(tmp_path).tensors.items():
        kept = adapter.tensors[name] if name in (LEVELS, REPEAT) else adapter.tensors[name].bfloat16().float()
        assert torch.equal(tensor, kept)


def test_int8_shards_are_off_by_half_a_scale_at_most(adapter, saved):
    loaded = Adapter.load(saved)
    for name, tensor in adapter.tensors.items():
        if name in (LEVELS, REPEAT):
            assert torch.equal(loaded.tensors[name], tensor)
            continue
        # One scale for each layer and rank component.
        scale = tensor.abs().amax(2 if name.endswith(".a") else 1, keepdim=True) / 127
        assert ((loaded.tensors[name] - tensor).abs() <= scale / 2 * (1 + 1e-5)).all(), name


def test_saving_what_was_loaded_changes_no_value(model, make_adapter, tmp_path):
    """An adapter keeps its identity through its file, or memories made with it would be refused after."""
    make_adapter(model, encoder_rank=64, decoder_rank=64).save(tmp_path / "first")
    loaded = Adapter.load(tmp_path / "first")
    loaded.save(tmp_path / "again")
    again = Adapter.load(tmp_path / "again")
    assert equal(again, loaded)
    assert again.fingerprint == loaded.fingerprint


def test_shards_of_the_default_size_fit_in_a_repository(tmp_path):
    """SmolLM2-135M: 30 layers, hidden 576, feed-forward 1,536, 3 key-value heads of 64; ranks 64 and 32."""
    shapes = dict.fromkeys(TARGETS, (576, 576)) | {"k_proj": (192, 576), "v_proj": (192, 576)}
    shapes |= {"gate_proj": (1536, 576), "up_proj": (1536, 576), "down_proj": (576, 1536)}
    config = CCFConfig()
    tensors = {LEVELS: torch.ones(4, 576), REPEAT: torch.ones(576)}
    for side, rank in config.ranks.items():
        for target, (out, width) in shapes.items():
            tensors[f"{side}.{target}.a"] = torch.ones(1, 1, 1).expand(30, rank, width)
            tensors[f"{side}.{target}.b"] = torch.ones(1, 1, 1).expand(30, out, rank)
    Adapter(config, tensors).save(tmp_path)
    sizes = [shard.stat().st_size for shard in tmp_path.glob("adapter-*.safetensors")]
    assert len(sizes) > 1
    assert max(sizes) < 9_000_000
    assert sum(sizes) < 25_000_000


def test_saving_replaces_older_shards(saved, adapter):
    (saved / "adapter-02-of-02.safetensors").write_bytes(b"old")
    adapter.save(saved, "float32")
    assert equal(Adapter.load(saved), adapter)


def test_fingerprint_changes_with_any_value_and_with_the_configuration(adapter):
    seen = {adapter.fingerprint}
    for name, tensor in adapter.tensors.items():
        changed = tensor.clone()
        changed.view(-1)[-1] += 1e-6
        seen.add(dataclasses.replace(adapter, tensors=adapter.tensors | {name: changed}).fingerprint)
    for change in ({"compressor": "mean_pool"}, {"segment_length": 31}, {"slot_window": 2}, {"lora_scale": 2.5}):
        seen.add(dataclasses.replace(adapter, config=dataclasses.replace(adapter.config, **change)).fingerprint)
    assert len(seen) == 1 + len(adapter.tensors) + 4
    same = dataclasses.replace(adapter, tensors={n: t.clone() for n, t in reversed(adapter.tensors.items())})
    assert same.fingerprint == adapter.fingerprint


def test_an_incomplete_folder_is_refused(saved, tmp_path):
    shard = next(saved.glob("adapter-*.safetensors"))
    with pytest.raises(AdapterError, match=r"no adapter in .*nowhere"):
        Adapter.load(tmp_path / "nowhere")
    shutil.copytree(saved, tmp_path / "unconfigured")
    (tmp_path / "unconfigured" / "ccf.json").unlink()
    with pytest.raises(AdapterError, match="no adapter"):
        Adapter.load(tmp_path / "unconfigured")
    shard.rename(saved / "adapter-01-of-03.safetensors")
    with pytest.raises(AdapterError, match="1 of 3 shards"):
        Adapter.load(saved)


@pytest.mark.parametrize(("option", "value"), [("mask", "prefix"), ("compressor", "pooled_slots")])
def test_an_adapter_trained_with_a_removed_option_is_refused_in_one_sentence(saved, option, value):
    config = saved / "ccf.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {option: value}), encoding="utf-8")
    with pytest.raises(AdapterError, match=f"{saved} was trained with {option} '{value}'.*: train one .*adapter.$"):
        Adapter.load(saved)


@pytest.mark.parametrize("damage", ["truncated", "empty", "not json", "unknown key", "no scales", "odd name"])
def test_a_damaged_folder_is_refused(saved, damage):
    shard, config = next(saved.glob("adapter-*.safetensors")), saved / "ccf.json"
    data = shard.read_bytes()
    if damage == "truncated":
        shard.write_bytes(data[:-100])
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "no scales":
        shard.write_bytes(data.replace(b".scale", b".scalp"))
    elif damage == "odd name":
        shard.rename(saved / "adapter-copy.safetensors")
    elif damage == "not json":
        config.write_text("{", encoding="utf-8")
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | {"colour": 1}), encoding="utf-8")
    with pytest.raises(AdapterError, match="cop"):
        Adapter.load(saved)


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_size": 48, "head_dim": 12},
        {"num_hidden_layers": 3},
        {"num_key_value_heads": 4},
        {"intermediate_size": 64},
    ],
)
def test_a_base_of_another_size_is_refused(adapter, tiny_model, other):
    with pytest.raises(AdapterError):
        adapter.check(tiny_model(**other))


def test_levels_that_do_not_match_the_configuration_are_refused(adapter, model):
    fewer = dataclasses.replace(adapter, config=dataclasses.replace(adapter.config, ratios=(4, 8)))
    with pytest.raises(AdapterError, match="levels"):
        fewer.check(model)


def test_a_coarser_level_begins_as_the_coarsest(adapter, model):
    ratios = adapter.config.ratios
    wider = adapter.with_ratios((*ratios, 2 * ratios[-1]))
    wider.check(model)
    assert wider.config.ratios == (*ratios, 2 * ratios[-1])
    assert torch.equal(wider.tensors[LEVELS][:-1], adapter.tensors[LEVELS])
    assert torch.equal(wider.tensors[LEVELS][-1], adapter.tensors[LEVELS][-1])
    with pytest.raises(AdapterError, match="give these, then coarser ones"):
        adapter.with_ratios(ratios[1:])


@pytest.fixture
def repeating(adapter, model):
    own = adapter.with_repeat(3, model, seed=1)
    generator = torch.Generator().manual_seed(2)
    tensors = {
        name: torch.randn(t.shape, generator=generator) if name.startswith("repeat.") else t
        for name, t in own.tensors.items()
    }
    return Adapter(own.config, tensors)


def test_a_lora_for_repeating_is_kept_beside_the_others(repeating, model, adapter, tmp_path):
    repeating.save(tmp_path / "adapter", dtype="float32")
    loaded = Adapter.load(tmp_path / "adapter")
    loaded.check(model)
    assert loaded.config == repeating.config
    assert equal(loaded, repeating)
    assert loaded.fingerprint != adapter.fingerprint
    assert equal(loaded.reading(), adapter)
    assert loaded.reading().fingerprint == adapter.fingerprint


def test_what_repeats_has_the_sum_of_decoder_and_repeat(repeating):
    both = repeating.repeating()
    assert both.config.decoder_rank == repeating.config.decoder_rank + 3
    for target in TARGETS:
        wanted = repeating.delta("decoder", target) + repeating.delta("repeat", target)
        torch.testing.assert_close(both.delta("decoder", target), wanted)
        assert torch.equal(both.delta("encoder", target), repeating.delta("encoder", target))


def test_an_untrained_lora_for_repeating_repeats_as_the_decoder_does(adapter, model):
    fresh = adapter.with_repeat(3, model)
    for target in TARGETS:
        torch.testing.assert_close(fresh.repeating().delta("decoder", target), adapter.delta("decoder", target))
    assert adapter.repeating() is adapter


def test_the_decoder_of_another_adapter_comes_with_its_repeat_token(adapter, model, make_adapter):
    config = dataclasses.replace(adapter.config, encoder_rank=1, decoder_rank=2)
    other = Adapter.zero(model, config, seed=9)
    mixed = adapter.with_decoder(other)
    mixed.check(model)
    assert mixed.config == dataclasses.replace(adapter.config, decoder_rank=2)
    for name, tensor in mixed.tensors.items():
        origin = adapter if name.startswith("encoder.") or name == LEVELS else other
        assert torch.equal(tensor, origin.tensors[name])
    with pytest.raises(AdapterError, match="differ"):
        adapter.with_decoder(Adapter.zero(model, dataclasses.replace(config, segment_length=7)))
