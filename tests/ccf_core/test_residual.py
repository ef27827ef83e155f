"""Residual tokens: which are kept, in place of which slots, and that the decoder reads both where they stand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from ccf_core import CCF, KVMemory, MemoryMismatch
from ccf_core.layout import levels_of
from ccf_core.residual import Exchange, ResidualMemory, coarser, exchange, lowest, pick, plain_cache, residual
from ccf_core.transformer import rotary_table, rotate

#: Tokens are taken to be saved by far, so that something is exchanged on a random model too.
EAGER = 1e6


@pytest.fixture(scope="module")
def ids(text_ids: Callable[..., list[int]]) -> list[int]:
    """Two whole segments and a tail of 13 tokens."""
    return text_ids(77)


@pytest.fixture(scope="module")
def memory(ccf: CCF, ids: list[int]) -> KVMemory:
    return ccf.compress(ids)


def made(ccf: CCF, memory: KVMemory, ids: list[int], most: int | None = None) -> ResidualMemory:
    return residual(ccf.decoder, memory, ids, worth=EAGER, most=most)


def test_the_lowest_are_the_first_of_equals_in_ascending_order() -> None:
    assert lowest(torch.tensor([-1.0, -3.0, -2.0, -3.0, -3.0]), 3) == (1, 3, 4)
    assert lowest(torch.tensor([-1.0, -1.0, -1.0]), 2) == (0, 1)
    assert lowest(torch.tensor([-1.0]), 0) == ()


def test_a_slot_goes_where_it_is_not_needed_and_a_lost_token_comes(ccf: CCF) -> None:
    """16 tokens at 4x: the slots at 4 and 12 are of that level alone; only the one at 4 gains anything."""
    coarse = torch.full((16,), -0.1)
    fine = coarse.clone()
    fine[:8] = -0.01
    coarse[13] = fine[13] = -3.0
    assert exchange(ccf.config, 4, fine, coarse) == Exchange((12,), (13,))
    assert exchange(ccf.config, 4, fine, coarse, most=0) == Exchange()
    coarse[:8] = -9.0
    assert exchange(ccf.config, 4, fine, coarse, worth=EAGER).slots == (4, 12)
    assert exchange(ccf.config, 4, fine, coarse, worth=1.0) == Exchange((12,), (13,))
    assert exchange(ccf.config, 4, fine, coarse, worth=0.0) == Exchange()


def test_the_tokens_kept_are_those_with_the_lowest_probability(ccf: CCF, memory: KVMemory, ids: list[int]) -> None:
    """All slots of the level gone, probabilities are those after the coarser slots."""
    found = made(ccf, memory.at(8), ids)
    for index, span in enumerate(memory.spans):
        text = ids[span.start : span.end]
        coarse = ccf.decoder.score(ccf.decoder.prefix(memory.select([index]).at(16)), [3], text)
        kept = [end - 1 for end, raw in zip(found.ends[index], found.raw[index], strict=True) if raw]
        assert kept
        assert tuple(kept) == lowest(coarse, len(kept))


@pytest.mark.parametrize("ratio", [4, 8, 16, 32])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_no_byte_more_than_the_slots_take(ccf: CCF, memory: KVMemory, ids: list[int], ratio: int, dtype: str) -> None:
    slots = (memory if dtype == "float32" else memory.quantize(dtype)).at(ratio)
    for worth in (0.5, EAGER):
        found = residual(ccf.decoder, slots, ids, worth=worth)
        assert (found.length, found.nbytes) == (slots.slots, slots.nbytes)
        assert found.prefix(ccf.decoder).nbytes == ccf.decoder.prefix(slots).nbytes
        assert found.blocks[0].k.dtype == next(slots.parts())[2].k.dtype
    assert bool(found.tokens) == (ratio < 32)
    for own, blocks, plain in zip(found.raw, found.blocks, slots.blocks, strict=True):
        assert len(own) == blocks.slots == sum(block.slots for block in plain.values())


def test_exchanging_nothing_reads_as_the_slots_do(ccf: CCF, memory: KVMemory, ids: list[int]) -> None:
    found, slots = made(ccf, memory.at(8), ids, most=0), memory.at(8)
    assert found.tokens == 0
    ours = ccf.decoder.score(found.prefix(ccf.decoder), [3], ids[:20])
    assert torch.allclose(ours, ccf.decoder.score(ccf.decoder.prefix(slots), [3], ids[:20]), atol=1e-5)


def test_at_most_so_many_are_exchanged_in_a_segment(ccf: CCF, memory: KVMemory, ids: list[int]) -> None:
    assert all(sum(raw) <= 1 for raw in made(ccf, memory, ids, most=1).raw)
    assert made(ccf, memory, ids, most=1).tokens == 3 < made(ccf, memory, ids).tokens


def test_slots_and_tokens_stand_in_the_order_of_the_text(ccf: CCF, memory: KVMemory, ids: list[int]) -> None:
    found = made(ccf, memory, ids)
    positions, question = found.positions(ccf.decoder)
    assert all(a <= b for a, b in pairwise(positions))
    assert question == 78 == ccf.decoder.prefix(memory).next_position
    by_segment = zip(found.spans, found.ends, strict=True)
    assert positions == [span.start + end - 1 for span, ends in by_segment for end in ends]


def test_what_is_kept_are_the_slots_and_the_plain_cache_as_they_were(
    ccf: CCF, memory: KVMemory, ids: list[int]
) -> None:
    slots = memory.at(8)
    before = [block.k.clone() for _, _, block in slots.parts()]
    found = made(ccf, slots, ids)
    for index, (span, own) in enumerate(zip(found.spans, slots.blocks, strict=True)):
        ends = [end for _, level in levels_of(ccf.config, len(span), 8) for end in level]
        k, v = (torch.cat([getattr(block, name) for block in own.values()], dim=2) for name in ("k", "v"))
        cache = ccf.decoder.read_text(ids[span.start : span.end])
        table = rotary_table(ccf.model, torch.arange(len(span)), ccf.model.dtype)
        for at, (end, raw) in enumerate(zip(found.ends[index], found.raw[index], strict=True)):
            ours_k, ours_v = found.blocks[index].k[:, :, at], found.blocks[index].v[:, :, at]
            if raw:
                turned = rotate(ours_k, *(x[end - 1] for x in table))
                assert torch.allclose(turned, torch.cat(cache.keys)[:, :, end - 1], atol=1e-5)
                assert torch.allclose(ours_v, torch.cat(cache.values)[:, :, end - 1], atol=1e-5)
            else:
                assert torch.equal(ours_k, k[:, :, ends.index(end)]) and torch.equal(ours_v, v[:, :, ends.index(end)])
    assert all(torch.equal(k, block.k) for k, (_, _, block) in zip(before, slots.parts(), strict=True))


def test_a_segment_that_keeps_every_token_reads_as_its_text(ccf: CCF, text_ids: Callable[..., list[int]]) -> None:
    ids = text_ids(9)
    memory, (cache,) = ccf.compress(ids), plain_cache(ccf.decoder, [ids])
    every = tuple(range(9))
    found = ResidualMemory.of(ccf.config, memory, [Exchange((4, 8, 9), every)], [pick(cache, every)])
    assert (found.length, found.tokens) == (9, 9)
    ours, text = found.prefix(ccf.decoder), ccf.decoder.read_text(ids)
    for a, b in zip((*ours.keys, *ours.values), (*text.keys, *text.values), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_it_is_the_same_every_time(ccf: CCF, memory: KVMemory, ids: list[int]) -> None:
    first, second = (made(ccf, memory, ids) for _ in range(2))
    assert (first.ends, first.raw) == (second.ends, second.raw)
    for a, b in zip(first.blocks, second.blocks, strict=True):
        assert torch.equal(a.k, b.k) and torch.equal(a.v, b.v)


def test_ratios_and_memories_that_it_cannot_serve(make_ccf: Callable[..., CCF], ccf: CCF, ids: list[int]) -> None:
    assert [coarser(ccf.config, ratio) for ratio in ccf.config.ratios] == [8, 16, 32, None]
    pooled = make_ccf(compressor="mean_pool")
    with pytest.raises(MemoryMismatch, match="slots"):
        residual(pooled.decoder, pooled.compress(ids), ids)
    with pytest.raises(MemoryMismatch, match="int8 or bfloat16"):
        residual(ccf.decoder, ccf.compress(ids).quantize("int4"), ids)
    with pytest.raises(ValueError, match="input_ids"):
        residual(ccf.decoder, ccf.compress(ids), ids[:-1])
