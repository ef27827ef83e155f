"""KVMemory: views instead of copies, segments and documents in any order, int8 within its bound."""

from __future__ import annotations

import dataclasses
import re
from math import ceil

import pytest
import torch

from ccf_core import KVMemory, MemoryMismatch
from ccf_core.memory.block import Block

RATIOS = (4, 8, 16, 32)


@pytest.fixture(scope="module")
def memory(ccf, text_ids):
    return ccf.compress(text_ids(32 * 3 + 11))


def pointers(memory):
    """Where in storage each tensor of each block begins."""
    return {
        (index, level, name): tensor.data_ptr()
        for index, level, block in memory.parts()
        for name, tensor in block.tensors().items()
        if tensor.numel()
    }


def test_sizes_are_counted_from_the_tensors(memory):
    assert (memory.tokens, memory.segments) == (107, 4)
    for ratio in RATIOS:
        slots = 3 * ceil(32 / ratio) + ceil(11 / ratio)
        assert memory.at(ratio).slots == slots
        # Two layers, keys and values, two key-value heads of eight float32 numbers.
        assert memory.at(ratio).nbytes == slots * 2 * 2 * 2 * 8 * 4
        # As int8: a byte a number, and a float16 scale for each of the vectors.
        assert memory.at(ratio).quantize().nbytes == slots * 2 * 2 * 2 * (8 + 2)


def test_a_ratio_is_a_view(memory):
    for ratio in RATIOS:
        view = memory.at(ratio)
        assert (view.ratio, view.spans) == (ratio, memory.spans)
        kept = {key: at for key, at in pointers(memory).items() if key[1] >= ratio}
        assert pointers(view) == kept
        assert [level for level, _ in view.blocks[0].items()] == [r for r in (32, 16, 8, 4) if r >= ratio]
        assert pointers(view.at(32)) == pointers(memory.at(32))


@pytest.mark.parametrize("ratio", [0, 1, 5, 64, -4])
def test_an_unknown_ratio_is_refused(memory, ratio):
    with pytest.raises(ValueError, match="can be read at 4, 8, 16, 32"):
        memory.at(ratio)


def test_a_ratio_finer_than_what_was_encoded_is_refused(memory, ccf, text_ids):
    for coarse in (memory.at(16), ccf.compress(text_ids(40), finest=16)):
        with pytest.raises(ValueError, match="can be read at 16, 32, not at 8"):
            coarse.at(8)


def test_selecting_keeps_the_order_asked_for_and_shares_storage(memory):
    chosen = memory.select([3, 0])
    assert [span.index for span in chosen.spans] == [3, 0]
    assert chosen.tokens == 11 + 32
    mine, theirs = pointers(chosen), pointers(memory)
    for place, index in enumerate([3, 0]):
        assert {(n, level): at for (i, level, n), at in mine.items() if i == place} == {
            (n, level): at for (i, level, n), at in theirs.items() if i == index
        }
    with pytest.raises(IndexError):
        memory.select([4])


def test_a_memory_is_shown_in_one_line_and_as_a_table(memory):
    for some in (memory, memory.at(8).quantize(), memory.select([])):
        (line,) = repr(some).splitlines()
        assert len(line) < 300
        shown = [f"segments: {some.segments}", f"tokens: {some.tokens}", f"slots: {some.slots}", f"{some.ratio}x"]
        assert all(fact in line for fact in shown)
        assert some._repr_html_().count("<tr>") == line.count(": ")


def test_what_a_memory_file_says_of_itself_is_escaped(memory):
    says = {"base": "<script>x</script>", "adapter": "a\nb", "tokenizer": "\"'&\x1b[31m"}
    foreign = dataclasses.replace(memory, header=dataclasses.replace(memory.header, **says))
    assert len(repr(foreign).splitlines()) == 1 and repr(foreign).isprintable()
    page = foreign._repr_html_()
    assert "&lt;script&gt;" in page and "<script" not in page
    assert not set("<>\"'") & set(re.sub(r"</?(?:table|caption|tr|th|td)>", "", page))


def test_joining_puts_documents_one_after_another_without_copies(memory, ccf, text_ids):
    other = ccf.compress(text_ids(40, seed=9))
    joined = KVMemory.join([other, memory])
    assert joined.spans == other.spans + memory.spans
    assert len({span.document for span in joined.spans}) == 2
    assert (joined.tokens, joined.ratio) == (147, 4)
    assert set(pointers(joined).values()) == {*pointers(other).values(), *pointers(memory).values()}
    assert pointers(joined.select([2, 3, 4, 5])) == pointers(memory)


def test_joining_settles_on_the_coarsest_ratio(memory):
    joined = KVMemory.join([memory, memory.at(16)])
    assert joined.ratio == 16
    assert joined.slots == 2 * memory.at(16).slots


def test_joining_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing to join"):
        KVMemory.join([])


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("base", "other", "another base model"),
        ("adapter", "other", "another adapter"),
        ("tokenizer", "other", "another tokenizer"),
        ("segment_length", 64, "another segment length"),
        ("mask", "prefix", "another encoder mask"),
        ("ratios", (4, 8), "another"),
        ("layers", 3, "another"),
    ],
)
def test_memories_of_different_origin_are_not_joined(memory, field, value, says):
    other = dataclasses.replace(memory, header=dataclasses.replace(memory.header, **{field: value}))
    with pytest.raises(MemoryMismatch, match=f"{says}.*compress the document again"):
        KVMemory.join([memory, other])


@pytest.mark.parametrize("size", [1e-3, 1.0, 300.0])
def test_int8_is_off_by_half_a_scale_at_most(size):
    """A scale is float16: where that is subnormal, its own rounding (2⁻²⁵) counts 127 times."""
    generator = torch.Generator().manual_seed(4)
    k, v = (torch.randn(2, 2, 50, 8, generator=generator) * size for _ in range(2))
    coded = Block(k, v).quantize()
    assert coded.k.dtype == coded.v.dtype == torch.int8
    for x, scale, back in zip(
        (k, v), (coded.k_scale, coded.v_scale), coded.floating(torch.float32, "cpu"), strict=True
    ):
        assert (scale.dtype, tuple(scale.shape)) == (torch.float16, (2, 2, 50, 1))
        torch.testing.assert_close(scale.float(), x.abs().amax(-1, keepdim=True) / 127, rtol=2**-11, atol=2**-25)
        subnormal = torch.where(scale < 2**-14, 127 * 2.0**-25, 0)
        assert ((back - x).abs() <= scale.float() / 2 * (1 + 1e-5) + subnormal).all()


def test_int8_keeps_zeros_and_takes_bfloat16():
    zero = torch.zeros(1, 1, 2, 4)
    k, v = Block(zero, zero).quantize().floating(torch.float32, "cpu")
    assert not k.any() and not v.any()
    x = torch.randn(2, 2, 5, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    k, _ = Block(x, x).quantize().floating(torch.bfloat16, "cpu")
    assert k.dtype == torch.bfloat16
    peak = x.float().abs().amax(-1, keepdim=True)
    assert ((k.float() - x.float()).abs() <= peak / 127 / 2 + peak * 2**-8).all()


def test_quantizing_twice_or_to_anything_else(memory):
    coded = memory.quantize()
    assert coded.dtype == "int8" and memory.dtype == "float32"
    assert pointers(coded.quantize("int8")) == pointers(coded)
    assert coded.at(8).slots == memory.at(8).slots
    with pytest.raises(ValueError, match="'bfloat16', 'int8', 'int4', not as 'int3'"):
        memory.quantize("int3")
