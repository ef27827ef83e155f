"""Pruned caches: how much they hold, which positions, and what the decoder makes of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ccf_core import CCF, READERS, MemoryMismatch
from ccf_core.answering.prompt import question_prompt
from ccf_core.baselines import BASELINES, FullCache
from ccf_core.baselines.repeat_attention import INSTRUCTION
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix

RATIOS = (4, 8, 16, 32)


def held(prefix: Prefix) -> int:
    """Bytes of the storages behind a prefix."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in (*prefix.keys, *prefix.values)}
    return sum(storage.nbytes() for storage in storages.values())


def kept_positions(full: Prefix, kept: Prefix) -> list[list[list[int]]]:
    """For each layer and head the places in the text of what was kept, found again by value, keys and values both."""
    found = []
    for layer in range(len(full.keys)):
        heads = []
        for head in range(full.keys[layer].shape[1]):
            places = []
            for k, v in zip(kept.keys[layer][0, head], kept.values[layer][0, head], strict=True):
                same = (full.keys[layer][0, head] - k).abs().amax(-1) + (full.values[layer][0, head] - v).abs().amax(-1)
                assert same.min() < 1e-4
                places.append(int(same.argmin()))
            heads.append(places)
        found.append(heads)
    return found


def test_the_registry_and_the_readers_have_the_contracts_names() -> None:
    assert tuple(BASELINES) == ("sink_recent", "random", "key_norm", "repeat_attention")
    assert set(READERS) == {"memory", "full", "truncated", "none", *BASELINES, "mean_pool", "focus", "graded"}


@pytest.mark.parametrize("reader", BASELINES)
@pytest.mark.parametrize("tokens", [3, 32, 70])
def test_what_is_kept_takes_the_bytes_of_the_memory(ccf: CCF, text_ids: Callable, reader: str, tokens: int) -> None:
    ids = text_ids(tokens)
    memory = ccf.compress(ids)
    for ratio in RATIOS:
        at_ratio = memory.at(ratio)
        compressed, pruned = ccf.prefix_for("memory", at_ratio), ccf.prefix_for(reader, at_ratio, ids)
        assert compressed is not None and pruned is not None
        assert pruned.length == at_ratio.slots
        assert {t.shape[2] for t in (*pruned.keys, *pruned.values)} == {at_ratio.slots}
        assert pruned.nbytes == compressed.nbytes == held(pruned)
        assert pruned.next_position == tokens


@pytest.mark.parametrize("reader", BASELINES)
def test_a_smaller_part_is_within_a_larger_one(ccf: CCF, text_ids: Callable, reader: str) -> None:
    ids = text_ids(40)
    (ranked,) = BASELINES[reader](ccf.tokenizer).rank(ccf.decoder, [ids], [30])
    places = [kept_positions(ccf.decoder.read_text(ids), ranked.prefix(kept)) for kept in (5, 30)]
    for small, large in zip(*places, strict=True):
        for few, many in zip(small, large, strict=True):
            assert few == sorted(set(few)) and many == sorted(set(many))
            assert set(few) < set(many)


@pytest.mark.parametrize("reader", BASELINES)
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_keeping_everything_is_full_context(make_ccf: Callable, text_ids: Callable, reader: str, family: str) -> None:
    ccf = make_ccf(family)
    ids, question = text_ids(50), text_ids(9, 1)
    pruned = BASELINES[reader](ccf.tokenizer).compress(ccf.decoder, ids, 10**9)
    with torch.inference_mode():
        logits = ccf.model(**ccf.decoder.inputs([pruned], [question])).logits[0]
        expected = ccf.model(torch.tensor([[*ids, *question]])).logits[0, len(ids) :]
    assert torch.allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("reader", BASELINES)
def test_a_batch_keeps_what_each_text_keeps_alone(ccf: CCF, text_ids: Callable, reader: str) -> None:
    pruning = BASELINES[reader](ccf.tokenizer)
    texts = [text_ids(n, n) for n in (90, 7, 33)]
    together = pruning.rank(ccf.decoder, texts, [20, 5, 12])
    for text, kept, ranked in zip(texts, (20, 5, 12), together, strict=True):
        alone = pruning.compress(ccf.decoder, text, kept * ccf.decoder.kv_bytes)
        prefix = ranked.prefix(kept)
        assert (prefix.length, prefix.next_position) == (kept, len(text))
        for a, b in zip((*prefix.keys, *prefix.values), (*alone.keys, *alone.values), strict=True):
            assert torch.allclose(a, b, atol=1e-4)


def test_a_budget_is_in_bytes(ccf: CCF, text_ids: Callable) -> None:
    ids, one = text_ids(40), ccf.decoder.kv_bytes
    pruning = BASELINES["sink_recent"](ccf.tokenizer)
    memory = ccf.compress(ids)
    assert pruning.compress(ccf.decoder, ids, memory.nbytes).length == memory.slots
    in_store = memory.quantize()
    assert pruning.compress(ccf.decoder, ids, in_store.nbytes).nbytes <= in_store.nbytes < memory.nbytes
    assert pruning.compress(ccf.decoder, ids, 2 * one - 1).length == 1
    with pytest.raises(ValueError, match=f"give {one} or more"):
        pruning.compress(ccf.decoder, ids, one - 1)


@pytest.mark.parametrize(("kept", "places"), [(3, [0, 1, 2]), (4, [0, 1, 2, 3]), (7, [0, 1, 2, 3, 37, 38, 39])])
def test_sink_recent_keeps_the_first_four_and_the_last(
    ccf: CCF, text_ids: Callable, kept: int, places: list[int]
) -> None:
    ids = text_ids(40)
    pruned = BASELINES["sink_recent"](ccf.tokenizer).compress(ccf.decoder, ids, kept * ccf.decoder.kv_bytes)
    assert kept_positions(ccf.decoder.read_text(ids), pruned) == [[places] * 2] * 2


def test_key_norm_keeps_the_smallest_keys(ccf: CCF, text_ids: Callable) -> None:
    ids = text_ids(40)
    full = ccf.decoder.read_text(ids)
    pruned = BASELINES["key_norm"](ccf.tokenizer).compress(ccf.decoder, ids, 10 * ccf.decoder.kv_bytes)
    for layer, heads in enumerate(kept_positions(full, pruned)):
        for head, places in enumerate(heads):
            norms = full.keys[layer][0, head].pow(2).sum(-1)
            assert places == sorted(norms.topk(10, largest=False).indices.tolist())


def test_random_is_drawn_from_the_seed_and_the_text(ccf: CCF, text_ids: Callable) -> None:
    def drawn(seed: int, ids: list[int]) -> torch.Tensor:
        return BASELINES["random"](ccf.tokenizer, seed).rank(ccf.decoder, [ids], [10])[0].positions

    ids = text_ids(60)
    assert torch.equal(drawn(0, ids), drawn(0, ids))
    assert not torch.equal(drawn(0, ids), drawn(1, ids))
    assert not torch.equal(drawn(0, ids), drawn(0, text_ids(60, 1)))
    heads = drawn(0, ids).flatten(0, 1).sort(-1).values
    assert len({tuple(head.tolist()) for head in heads}) == len(heads)
    often = torch.stack([drawn(seed, ids).flatten() for seed in range(100)]).flatten().bincount(minlength=60)
    assert often.min() > 0.5 * often.float().mean() and often.max() < 1.6 * often.float().mean()


@pytest.mark.parametrize("window", [1024, 4096])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_repeat_attention_is_the_highest_attention_of_a_repetition(
    make_ccf: Callable, text_ids: Callable, attention_over: Callable, window: int, family: str
) -> None:
    ccf = make_ccf(family, model={"max_position_embeddings": window})
    ids = text_ids(180)
    prompt = question_prompt(ccf.tokenizer, INSTRUCTION)
    chunk = window // 8 - len(prompt) - 8
    assert (chunk < len(ids)) == (window == 1024)
    expected = torch.zeros(2, 2, len(ids))
    for start in range(0, len(ids), chunk):
        said = ids[max(start - 8, 0) : start + chunk]
        matrices = attention_over(ccf.model, [*ids, *prompt, *said])
        queries = slice(-1 - len(ids[start : start + chunk]), -1)
        highest = torch.stack([m[:, queries, : len(ids)].amax(1).unflatten(0, (2, 2)).amax(1) for m in matrices])
        expected = torch.maximum(expected, highest)
    cache = FullCache.read(ccf.decoder, [ids])
    with torch.inference_mode():
        scores = BASELINES["repeat_attention"](ccf.tokenizer).scores(ccf.decoder, cache)
    assert torch.allclose(scores[0], expected, atol=1e-5)


def test_repeat_attention_in_small_pieces_is_the_same(ccf: CCF, text_ids: Callable, monkeypatch) -> None:
    cache = FullCache.read(ccf.decoder, [text_ids(90), text_ids(40)])
    pruning = BASELINES["repeat_attention"](ccf.tokenizer)
    with torch.inference_mode():
        at_once = pruning.scores(ccf.decoder, cache)
        monkeypatch.setattr("ccf_core.baselines.repeat_attention.CPU_WEIGHTS", 10_000)
        in_pieces = pruning.scores(ccf.decoder, cache)
    assert torch.allclose(at_once, in_pieces, atol=1e-6)


def test_a_base_that_does_not_see_all_of_a_repetition_is_refused(make_base: Callable, text_ids: Callable, ccf) -> None:
    base = make_base("mistral", sliding_window=64)
    with pytest.raises(MemoryMismatch, match="64 positions"):
        BASELINES["repeat_attention"](base.tokenizer).compress(Decoder(base.model, ccf.config), text_ids(60), 10**6)


@pytest.mark.parametrize("reader", BASELINES)
def test_a_question_is_answered_from_what_is_kept(ccf: CCF, reader: str) -> None:
    text = "The harbour master counted seven ships in the morning. " * 4
    memory = ccf.compress(text).at(8)
    ids = ccf.segment(text).input_ids
    answer = ccf.answer("Who?", memory, 5, reader=reader, input_ids=ids)
    assert (answer.reader, answer.evidence) == (reader, ())
    assert answer.kv_bytes == memory.nbytes < answer.full_kv_bytes
    prefix = ccf.prefix_for(reader, memory, ids)
    (expected,) = ccf.decoder.generate([prefix], [question_prompt(ccf.tokenizer, "Who?")], max_new_tokens=5)
    assert answer.text == ccf.tokenizer.decode(expected, skip_special_tokens=True).strip()


@pytest.mark.parametrize("reader", BASELINES)
def test_a_reader_without_text_or_budget_is_refused(ccf: CCF, text_ids: Callable, reader: str) -> None:
    memory = ccf.compress(text_ids(20))
    with pytest.raises(ValueError, match="input_ids"):
        ccf.prefix_for(reader, memory)
    with pytest.raises(ValueError, match="needs a memory"):
        ccf.prefix_for(reader, None, text_ids(20))
