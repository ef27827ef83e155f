"""int4: bounded errors, bytes by the formula, groups that no slice cuts through."""

from __future__ import annotations

import dataclasses
from math import ceil

import pytest
import torch

from ccf_core import KVMemory
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MEMORY_DTYPES
from ccf_core.memory.quantization import GROUP, KEY_SCALES, from_int2, groups, to_int2


@pytest.fixture(scope="module")
def memory(ccf, text_ids):
    return ccf.compress(text_ids(32 * 3 + 11))


def made(slots, head_dim, size=1.0, offset=3.0):
    """A block of normal numbers, whose keys have a channel that is large in every slot."""
    generator = torch.Generator().manual_seed(slots + head_dim)
    k, v = (torch.randn(2, 3, slots, head_dim, generator=generator) * size + offset for _ in range(2))
    k[..., 1] *= 40
    return Block(k, v)


def same(one: Block, other: Block) -> bool:
    ours, theirs = one.tensors(), other.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(t, theirs[name]) for name, t in ours.items())


@pytest.mark.parametrize("slots", [0, 1, 2, 32, 33, 70])
@pytest.mark.parametrize("head_dim", [8, 32, 48, 64])
def test_bytes_are_those_of_the_formula(slots, head_dim):
    coded = made(slots, head_dim).quantize("int4")
    assert (coded.dtype, coded.slots) == ("int4", slots)
    assert coded.nbytes == 2 * 3 * (slots * (head_dim + 4 * ceil(head_dim / 32)) + ceil(slots / 32) * head_dim)


def test_bytes_of_a_slot_with_the_default_base():
    """30 layers of 3 heads of 64: what a whole segment of 256 tokens takes at 4x, 8x, 16x, 32x."""
    heads = 30 * 3

    def nbytes(slots, dtype):
        x = torch.zeros(1, 1, slots, 64)
        return heads * Block(x, x).quantize(dtype).nbytes

    by_level = {32: 8, 16: 8, 8: 16, 4: 32}
    for ratio, expected in ((4, 6840), (8, 7020), (16, 7200), (32, 7200)):
        counts = [slots for level, slots in by_level.items() if level >= ratio]
        assert sum(nbytes(slots, "int4") for slots in counts) == expected * sum(counts)
        assert sum(nbytes(slots, "int8") for slots in counts) == 11880 * sum(counts)
        assert sum(nbytes(slots, "bfloat16") for slots in counts) == 23040 * sum(counts)
    # The shortest group, a level of one slot, is the only one that int8 would hold in less.
    assert nbytes(2, "int4") < nbytes(2, "int8") < nbytes(1, "int4") * 2 < nbytes(1, "int8") * 2 * 1.04


@pytest.mark.parametrize("slots", [1, 5, 50])
@pytest.mark.parametrize("head_dim", [8, 48, 64])
@pytest.mark.parametrize("size", [1e-6, 1e-2, 1.0, 300.0])
def test_keys_are_off_by_half_a_step_of_their_channel_at_most(slots, head_dim, size):
    block = made(slots, head_dim, size, offset=0.0)
    k, _ = block.quantize("int4").floating(torch.float32, "cpu")
    for group, back in zip(block.k.split(GROUP, 2), k.split(GROUP, 2), strict=True):
        peak = group.abs().amax(2, keepdim=True)
        bound = (2 ** (1 / 8) * peak / 14).clamp_min(2.0**-17)
        assert ((back - group).abs() <= bound * (1 + 1e-5)).all()


@pytest.mark.parametrize("slots", [1, 50])
@pytest.mark.parametrize("head_dim", [8, 48, 64])
@pytest.mark.parametrize(("size", "offset"), [(1e-4, 0.0), (1.0, 3.0), (300.0, 0.0), (1e-4, 1000.0)])
def test_values_are_off_by_half_a_step_of_their_group_at_most(slots, head_dim, size, offset):
    """Numbers that differ little and lie far from zero are off by what float16 loses of the least of them."""
    block = made(slots, head_dim, size, offset)
    coded = block.quantize("int4")
    _, v = coded.floating(torch.float32, "cpu")
    for at, (group, back) in enumerate(zip(block.v.split(GROUP, 3), v.split(GROUP, 3), strict=True)):
        scale = coded.v_scale[..., at : at + 1].float()
        peak = group.abs().amax(3, keepdim=True)
        spread = group.amax(3, keepdim=True) - group.amin(3, keepdim=True)
        assert (scale <= (spread + peak * 2**-11) / 15 * (1 + 2**-10) + 2**-24).all()
        assert ((back - group).abs() <= torch.maximum(scale / 2, peak * 2**-11) * (1 + 1e-3) + 2**-24).all()


def test_one_large_channel_does_not_coarsen_the_others():
    block = made(32, 64, offset=0.0)
    k, _ = block.quantize("int4").floating(torch.float32, "cpu")
    others = [channel for channel in range(64) if channel != 1]
    assert (k - block.k)[..., others].abs().max() < block.k[..., others].abs().max() / 10
    assert block.k[..., 1].abs().max() > 20 * block.k[..., others].abs().max()


def test_constants_stay_as_they_are():
    for value in (0.0, 2.5, -1.0):
        x = torch.full((1, 1, 3, 4), value)
        k, v = Block(x, x).quantize("int4").floating(torch.float32, "cpu")
        assert torch.equal(v, x)
        torch.testing.assert_close(k, x, rtol=2 ** (1 / 8) / 14, atol=0)
    zero = torch.zeros(1, 1, 2, 4)
    assert not Block(zero, zero).quantize("int4").floating(torch.float32, "cpu")[0].any()


def test_numbers_beyond_the_scales_are_clipped_and_stay_finite():
    x = torch.full((1, 1, 2, 4), 1e9) * torch.tensor([1.0, -1.0, 0.0, 1.0])
    k, v = Block(x, x).quantize("int4").floating(torch.float32, "cpu")
    assert k.abs().max() == 7 * KEY_SCALES[-1]
    assert v.isfinite().all()


def test_vectors_of_an_odd_length_are_refused():
    odd = torch.zeros(1, 1, 2, 5)
    with pytest.raises(ValueError, match="use int8"):
        Block(odd, odd).quantize("int4")


def test_groups_are_cut_and_never_padded():
    assert [groups(n) for n in (0, 1, 32, 33)] == [[], [1], [32], [32, 1]]


def test_each_dtype_becomes_a_smaller_one_by_its_values_and_never_a_larger_one(memory):
    for index, dtype in enumerate(MEMORY_DTYPES):
        held = memory.quantize(dtype)
        assert held.dtype == dtype
        assert held.quantize(dtype).blocks == held.blocks
        for smaller in MEMORY_DTYPES[index + 1 :]:
            for (*_, block), (*_, source) in zip(held.quantize(smaller).parts(), held.parts(), strict=True):
                assert same(block, Block(*source.floating(torch.float32, "cpu")).quantize(smaller))
        for larger in MEMORY_DTYPES[:index]:
            with pytest.raises(ValueError, match="compress the document again"):
                held.quantize(larger)


@pytest.mark.parametrize("dtype", MEMORY_DTYPES)
def test_a_slice_is_what_the_slice_would_become(memory, dtype):
    """Levels left out, segments chosen, reordered and joined: the same bytes as if they had been held alone."""
    held = memory.quantize(dtype)
    mixed = KVMemory.join([held.select([2, 0]), held.at(8).select([3, 0])])
    alone = KVMemory.join([memory.select([2, 0]), memory.at(8).select([3, 0])]).quantize(dtype)
    assert mixed.nbytes == alone.nbytes
    for (*_, a), (*_, b) in zip(mixed.parts(), alone.parts(), strict=True):
        assert same(a, b)
    for (*_, a), (*_, b) in zip(held.at(16).parts(), memory.at(16).quantize(dtype).parts(), strict=True):
        assert same(a, b)


@pytest.mark.parametrize("ratio", [4, 32])
def test_a_decoder_reads_an_int4_memory_as_its_values(ccf, memory, ratio):
    """Joined as codes, in groups of every length, they are widened to what every block is alone."""
    four = memory.quantize("int4").select([3, 1, 0])
    blocks = ({level: Block(*b.floating(torch.float32, "cpu")) for level, b in bs.items()} for bs in four.blocks)
    wide = dataclasses.replace(four, blocks=tuple(blocks))
    one, other = ccf.decoder.prefix(four.at(ratio)), ccf.decoder.prefix(wide.at(ratio))
    assert all(torch.equal(a, b) for a, b in zip(one.keys, other.keys, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.values, other.values, strict=True))
    assert one.nbytes == other.nbytes == 4 * 2 * 2 * 2 * 8 * four.at(ratio).slots


def test_memories_of_several_dtypes_are_read_together(ccf, memory):
    joined = KVMemory.join([memory.quantize("int4").select([0]), memory.quantize("int8").select([1])])
    apart = [ccf.decoder.prefix(memory.quantize(dtype).select([i])) for i, dtype in enumerate(("int4", "int8"))]
    together = ccf.decoder.prefix(joined)
    for layer, values in enumerate(together.values):
        assert torch.equal(values, torch.cat([one.values[layer] for one in apart], dim=2))


@pytest.mark.parametrize("dim", [-2, -1])
@pytest.mark.parametrize("slots", [1, 32, 70])
def test_int2_is_within_half_a_step_of_its_group(slots: int, dim: int) -> None:
    x = made(slots, 48).k
    packed, scale, least = to_int2(x, dim)
    assert packed.shape == (2, 3, slots, 48 // 4) and packed.dtype == torch.uint8
    restored = from_int2(packed, scale, least, dim)
    for ours, wanted in zip(restored.split(GROUP, dim), x.split(GROUP, dim), strict=True):
        step = (wanted.amax(dim, keepdim=True) - wanted.amin(dim, keepdim=True)) / 3
        rounding = wanted.abs().amax(dim, keepdim=True) * 2**-9
        assert ((ours - wanted).abs() <= step / 2 + rounding).all()
        assert all(len(group.unique()) <= 4 for group in ours.movedim(dim, -1).flatten(0, -2))


def test_int2_packs_four_numbers_in_a_byte() -> None:
    packed, scale, least = to_int2(torch.tensor([[0.0, 3.0, 1.0, 2.0]]), -1)
    assert packed.tolist() == [[0 | 3 << 2 | 1 << 4 | 2 << 6]] and (scale.item(), least.item()) == (1.0, 0.0)
    with pytest.raises(ValueError, match="int2 packs 4 numbers in a byte, and a vector of 6 is uneven"):
        to_int2(torch.zeros(1, 6), -1)
