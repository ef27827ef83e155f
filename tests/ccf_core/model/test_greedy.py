"""Greedy decoding in a cache with room: token for token what ``model.generate`` gives, within 1e-4 in the logits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from ccf_core import CCF, Adapter, CCFConfig
from ccf_core.base.load import Base
from ccf_core.model.decoder import Decoder, before_end, end_tokens
from ccf_core.model.greedy import GRAIN, PATIENCE, cache_argument, preallocated_cache, supports_model
from ccf_core.model.layers import JOINED, layer_weights
from ccf_core.model.prefix import Prefix

Rows = tuple[list[Prefix | None], list[list[int]]]


def rows_of(ccf: CCF, text_ids: Callable[..., list[int]]) -> Rows:
    """Prefixes and prompts of several lengths, with and without slots."""
    prefixes = [ccf.decoder.prefix(ccf.compress(text_ids(n, n)).at(ratio)) for n, ratio in ((9, 4), (70, 8), (200, 4))]
    return [*prefixes, None], [[3], text_ids(5), text_ids(9, 1), text_ids(20, 2)]


def by_the_modules(ccf: CCF, rows: Rows, new: int, *, exactly: bool = False) -> list[list[int]]:
    """The same from ``model.generate`` over a cache that grows."""
    ends = end_tokens(ccf.model)
    given = ccf.decoder.inputs(*rows)
    out = ccf.model.generate(
        **given,
        max_new_tokens=new,
        min_new_tokens=new if exactly else None,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[0],
        suppress_tokens=[ccf.config.repeat_token],
    )
    return [before_end(row, ends) for row in out[:, given["input_ids"].shape[1] :].tolist()]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_tokens_are_those_of_generate(make_ccf: Callable[..., CCF], text_ids: Callable, family: str) -> None:
    ccf = make_ccf(family, model={"sliding_window": None} if family == "mistral" else None)
    assert supports_model(ccf.model)
    prefixes, prompts = rows_of(ccf, text_ids)
    expected = by_the_modules(ccf, (prefixes, prompts), 40, exactly=True)
    assert {len(ids) for ids in expected} == {40}
    assert ccf.decoder.generate(prefixes, prompts, max_new_tokens=40, exactly=True) == expected
    for prefix, prompt in zip(prefixes, prompts, strict=True):
        alone = by_the_modules(ccf, ([prefix], [prompt]), 40)
        assert ccf.decoder.generate([prefix], [prompt], max_new_tokens=40) == alone


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_logits_are_those_of_the_modules(make_ccf: Callable[..., CCF], text_ids: Callable, family: str) -> None:
    ccf = make_ccf(family, model={"attention_bias": True} if family != "qwen2" else None)
    rows = rows_of(ccf, text_ids)
    tokens, seen = zip(*ccf.decoder.steps(*rows, max_new_tokens=12, exactly=True), strict=True)
    assert len(seen) == 12
    written = torch.stack(tokens, dim=1).tolist()
    assert written == ccf.decoder.generate(*rows, max_new_tokens=12, exactly=True)
    prompts = [[*prompt, *ids] for prompt, ids in zip(rows[1], written, strict=True)]
    with torch.inference_mode():
        expected = ccf.model(**ccf.decoder.inputs(rows[0], prompts)).logits[:, -13:-1]
    found = torch.stack(seen, dim=1)
    allowed = found > float("-inf")
    torch.testing.assert_close(found[allowed], expected[allowed], atol=1e-4, rtol=1e-5)
    assert (~allowed).sum() == 12 * len(written) * 2


@pytest.mark.model
def test_the_real_base_writes_what_it_did(real_base: Base, text_ids: Callable) -> None:
    own = real_base.copy()
    ccf = CCF(own, Adapter.zero(own.model, CCFConfig()))
    prefixes = [ccf.decoder.prefix(ccf.compress(text_ids(200)).at(8)), None]
    rows = prefixes, [ccf.segment("The harbour master counted").input_ids, ccf.segment("In the morning, the").input_ids]
    written = ccf.decoder.generate(*rows, max_new_tokens=16, exactly=True)
    assert written == by_the_modules(ccf, rows, 16, exactly=True)


@pytest.mark.parametrize("new", [1, PATIENCE, 3 * PATIENCE + 1])
def test_rows_end_at_their_end_tokens(make_ccf: Callable[..., CCF], text_ids: Callable, new: int) -> None:
    ccf = make_ccf()
    rows = rows_of(ccf, text_ids)
    free = ccf.decoder.generate(*rows, max_new_tokens=40, exactly=True)
    # Tokens that come up, some soon and some late.
    ccf.model.generation_config.eos_token_id = [free[0][1], free[1][6], free[2][12], free[3][3]]
    cut = ccf.decoder.generate(*rows, max_new_tokens=new)
    assert cut == by_the_modules(ccf, rows, new)
    assert len(cut[0]) <= 1 and (new == 1 or len({len(ids) for ids in cut}) > 1)


def test_the_repeat_token_is_never_written(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    ccf = make_ccf()
    rows = rows_of(ccf, text_ids)
    likeliest = ccf.decoder.generate(*rows, max_new_tokens=1, exactly=True)[0][0]
    other = Decoder(ccf.model, replace(ccf.config, repeat_token=likeliest))
    assert likeliest not in other.generate(*rows, max_new_tokens=20, exactly=True)[0]


def test_prefixes_can_be_used_again(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    ccf = make_ccf()
    prefixes, prompts = rows_of(ccf, text_ids)
    for which in ([0, 1, 2, 3], [1], [3]):
        given = [prefixes[i] for i in which], [prompts[i] for i in which]
        first = ccf.decoder.generate(*given, max_new_tokens=12)
        assert ccf.decoder.generate(*given, max_new_tokens=12) == first


def test_a_base_whose_settings_change_scores_is_left_to_generate(make_ccf: Callable[..., CCF], text_ids: Callable):
    ccf = make_ccf()
    rows = rows_of(ccf, text_ids)
    plain = ccf.decoder.generate(*rows, max_new_tokens=30, exactly=True)
    ccf.model.generation_config.temperature = 0.5
    assert supports_model(ccf.model)
    ccf.model.generation_config.repetition_penalty = 3.0
    assert not supports_model(ccf.model)
    penalised = ccf.decoder.generate(*rows, max_new_tokens=30, exactly=True)
    assert penalised == by_the_modules(ccf, rows, 30, exactly=True) != plain
    assert not supports_model(make_ccf("mistral", model={"sliding_window": 16}).model)


def test_a_cache_goes_in_under_the_name_that_the_model_knows(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    class Older:
        def forward(self, input_ids: torch.Tensor, past_key_values: object = None) -> None: ...

    class Newer:
        def forward(self, input_ids: torch.Tensor, cache: object = None) -> None: ...

    assert [cache_argument(model()) for model in (Older, Newer)] == ["past_key_values", "cache"]
    ccf = make_ccf()
    prefixes, prompts = rows_of(ccf, text_ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ccf.decoder.generate(prefixes, prompts, max_new_tokens=3)
        ccf.decoder.generate(prefixes[:1], prompts[:1], max_new_tokens=3, num_beams=2)
        ccf.decoder.score(ccf.decoder.read_text(text_ids(9)), [3], text_ids(4))


def test_joined_projections_hold_nothing_twice(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    for family in ("llama", "qwen2"):
        ccf = make_ccf(family)
        before = {name: p.clone() for name, p in ccf.model.named_parameters()}
        memory = ccf.compress(text_ids(70))
        ccf.decoder.generate([None], [[5, 6]], max_new_tokens=3)
        for name, parameter in ccf.model.named_parameters():
            assert torch.equal(parameter, before[name])
        for own, held in zip(layer_weights(ccf.model), ccf.decoder.layers, strict=True):
            for joined, names in JOINED.items():
                whole = held[f"{joined}.weight"]
                assert whole.shape[0] == sum(len(own[f"{name}.weight"]) for name in names)
                for name in names:
                    assert own[f"{name}.weight"].untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
        for ours, theirs in zip(ccf.compress(text_ids(70)).parts(), memory.parts(), strict=True):
            assert torch.equal(ours[2].k, theirs[2].k) and torch.equal(ours[2].v, theirs[2].v)


def test_a_cache_with_room_fills_it_in_place_and_refuses_more() -> None:
    cache = preallocated_cache(2, GRAIN - 3)
    states = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert cache.get_seq_length() == 0
    for index in range(2):
        cache.update(states, -states, index)
    where = cache.layers[0].keys.data_ptr()
    keys, values = cache.update(states[:, :, :2], states[:, :, 1:], 0)
    assert keys.data_ptr() == where and keys.shape == (1, 2, 5, 4)
    assert torch.equal(keys, torch.cat((states, states[:, :, :2]), dim=2))
    assert torch.equal(values, torch.cat((-states, states[:, :, 1:]), dim=2))
    assert cache.layers[1].get_seq_length() == 3
    assert cache.layers[1].whole[0].shape[2] == GRAIN
    with pytest.raises(RuntimeError):
        cache.update(*[states[:, :, :1].expand(-1, -1, GRAIN - 2, -1)] * 2, 1)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_token_over_the_whole_room_is_a_token_over_what_is_read(
    make_ccf: Callable[..., CCF], text_ids: Callable, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU captures is done here without a graph."""
    ccf = make_ccf(family)
    rows = rows_of(ccf, text_ids)
    expected, before = zip(*ccf.decoder.steps(*rows, max_new_tokens=12, exactly=True), strict=True)
    asked: list[int] = []
    monkeypatch.setattr("ccf_core.model.greedy.should_use_cuda_graph", lambda ids, new: not asked.append(new))
    tokens, seen = zip(*ccf.decoder.steps(*rows, max_new_tokens=12, exactly=True), strict=True)
    assert torch.equal(torch.stack(tokens), torch.stack(expected))
    assert asked == [12] and len(seen) == 12
    torch.testing.assert_close(torch.stack(seen), torch.stack(before), atol=1e-4, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_token_of_a_graph_is_a_token_on_cuda(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    ccf = make_ccf("llama")
    expected = ccf.decoder.generate(*rows_of(ccf, text_ids), max_new_tokens=40, exactly=True)
    ccf.to("cuda")
    assert ccf.decoder.generate(*rows_of(ccf, text_ids), max_new_tokens=40, exactly=True) == expected
