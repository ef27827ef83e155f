"""Memories of which parts are switched off, against the modules reading the same parts."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from ccf_core import Cancelled, MemoryMismatch
from ccf_core.analysis.ablation import ablate, answer_from, kept_slots, reconstruct_from
from ccf_core.analysis.cut import Cut
from ccf_core.answering.prompt import question_prompt
from ccf_core.errors import NoSuchPart
from ccf_core.model.greedy import greedy


@pytest.fixture(scope="module")
def memory(ccf, text_ids):
    """Two segments of 32 tokens: slots of each at 32; 16; 8, 24; 4, 12, 20, 28."""
    return ccf.compress(text_ids(64))


def cut(**parts):
    return Cut(**{name: frozenset(numbers) for name, numbers in parts.items()})


def same(one, other):
    pairs = zip((*one.keys, *one.values), (*other.keys, *other.values), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.next_position == other.next_position


def logits(ccf, prefix, ids=(5, 6, 7)):
    return ccf.model(**ccf.decoder.inputs([prefix], [list(ids)])).logits[0]


def test_nothing_off_is_the_intact_prefix(ccf, memory):
    assert not Cut()
    assert same(ablate(ccf, memory, Cut()), ccf.decoder.prefix(memory))
    # The 4x level is not in an 8x memory: switching it off takes nothing away.
    assert same(ablate(ccf, memory.at(8), cut(levels={4})), ccf.decoder.prefix(memory.at(8)))


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ({"slots": {0, 9}}, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]),
        ({"levels": {4}}, [0, 1, 2, 3, 8, 9, 10, 11]),
        ({"levels": {32, 8}}, [1, 4, 5, 6, 7, 9, 12, 13, 14, 15]),
        ({"levels": {4, 8, 16}, "slots": {8}}, [0]),
    ],
)
def test_slots_and_levels_are_left_out_where_the_others_stay(ccf, memory, parts, kept):
    assert kept_slots(memory, cut(**parts)) == kept
    intact, operated = ccf.decoder.prefix(memory), ablate(ccf, memory, cut(**parts))
    for whole, left in zip((*intact.keys, *intact.values), (*operated.keys, *operated.values), strict=True):
        assert torch.equal(left, whole[:, :, kept])
    assert operated.next_position == intact.next_position
    assert not torch.allclose(logits(ccf, operated), logits(ccf, intact), atol=1e-4)


def test_without_the_finer_levels_it_is_the_coarser_memory(ccf, memory):
    assert same(ablate(ccf, memory, cut(levels={4, 8})), ccf.decoder.prefix(memory.at(16)))


def test_without_any_slot_the_decoder_reads_nothing_at_the_same_position(ccf, memory):
    prefix = ablate(ccf, memory, cut(levels={4, 8, 16, 32}))
    assert (prefix.length, prefix.next_position) == (0, 65)
    bare = ccf.model(input_ids=torch.tensor([[5, 6, 7]]), position_ids=torch.tensor([[65, 66, 67]])).logits[0]
    torch.testing.assert_close(logits(ccf, prefix), bare, atol=1e-5, rtol=1e-5)


def test_a_layer_that_is_off_leaves_the_others_as_they_were(ccf, memory):
    intact, operated = ccf.decoder.prefix(memory), ablate(ccf, memory, cut(layers={1}))
    assert all(torch.equal(a, b) for a, b in zip(intact.keys, operated.keys, strict=True))
    assert torch.equal(intact.values[0], operated.values[0])
    assert intact.values[1].any() and not operated.values[1].any()
    assert not torch.allclose(logits(ccf, operated), logits(ccf, intact), atol=1e-4)


def test_heads_are_off_in_every_layer_or_in_those_named(ccf, memory):
    intact = ccf.decoder.prefix(memory)
    for parts, layers in (({"heads": {1}}, (0, 1)), ({"heads": {1}, "layers": {0}}, (0,))):
        operated = ablate(ccf, memory, cut(**parts))
        for layer, (before, after) in enumerate(zip(intact.values, operated.values, strict=True)):
            assert torch.equal(before[:, 0], after[:, 0])
            assert torch.equal(before[:, 1], after[:, 1]) == (layer not in layers)
            assert after[:, 1].any() == (layer not in layers)


def test_zeros_are_what_the_modules_read(ccf, memory, plain_forward):
    """The same as a memory whose blocks hold zeros there, read without a cache."""
    zeroed = []
    for blocks in memory.blocks:
        zeroed.append({})
        for level, block in blocks.items():
            v = block.v.clone()
            v[1, 0] = 0
            zeroed[-1][level] = dataclasses.replace(block, v=v)
    expected, _ = plain_forward(ccf.model, dataclasses.replace(memory, blocks=tuple(zeroed)), [5, 6, 7])
    operated = ablate(ccf, memory, cut(layers={1}, heads={0}))
    torch.testing.assert_close(logits(ccf, operated), expected, atol=1e-4, rtol=1e-4)


def test_reading_an_operated_memory(ccf, memory):
    one = memory.select([0])
    intact = ablate(ccf, one, Cut())
    assert [reconstruct_from(ccf, intact, 32)] == ccf.reconstruct_ids(memory, [0])
    said = ccf.tokenizer.decode(answer_from(ccf, intact, "Who?", 12), skip_special_tokens=True).strip()
    assert said == ccf.answer("Who?", one, 12).text
    operated = ablate(ccf, one, cut(layers={0, 1}))
    assert len(reconstruct_from(ccf, operated, 32)) == 32
    prompt = question_prompt(ccf.tokenizer, "Who?")
    [expected] = ccf.decoder.generate([operated], [prompt], max_new_tokens=12)
    assert answer_from(ccf, operated, "Who?", 12) == expected


def test_what_bars_nothing_is_decoded_by_greedy(ccf, memory, monkeypatch):
    one = memory.select([0])
    intact, expected = ablate(ccf, one, Cut()), ccf.reconstruct_ids(one)
    asked: list[str] = []

    def counted(name, work):
        return lambda *args, **kwargs: asked.append(name) or work(*args, **kwargs)

    monkeypatch.setattr("ccf_core.model.decoder.greedy", counted("greedy", greedy))
    monkeypatch.setattr(ccf.model, "generate", counted("generate", ccf.model.generate))
    assert [reconstruct_from(ccf, intact, 32)] == expected
    assert asked == ["greedy"]
    free = answer_from(ccf, intact, "Who?", 12)
    assert asked == ["greedy", "greedy"]
    [expected] = ccf.decoder.generate([intact], [question_prompt(ccf.tokenizer, "Who?")], max_new_tokens=12)
    assert free == expected
    asked.clear()
    assert answer_from(ccf, intact, "Who?", 12, barred=free[:1]) != free
    assert asked == ["generate"]


def test_an_answer_can_be_barred_from_beginning_with_a_token(ccf, memory):
    prefix = ablate(ccf, memory, Cut())
    prompt = question_prompt(ccf.tokenizer, "Who?")
    order = ccf.model(**ccf.decoder.inputs([prefix], [prompt])).logits[0, -1].argsort(descending=True).tolist()
    first, second = [token for token in order if token != ccf.config.repeat_token][:2]
    assert answer_from(ccf, prefix, "Who?", 1)[:1] in ([first], [])
    assert answer_from(ccf, prefix, "Who?", 1, barred=[first])[:1] in ([second], [])
    assert answer_from(ccf, prefix, "Who?", 1) != answer_from(ccf, prefix, "Who?", 1, barred=[first])


def test_a_memory_is_not_changed_by_surgery(ccf, memory):
    before = [(block.k.clone(), block.v.clone()) for _, _, block in memory.parts()]
    ablate(ccf, memory, cut(layers={0, 1}, heads={0, 1}, levels={8}, slots={3}))
    for (k, v), (_, _, block) in zip(before, memory.parts(), strict=True):
        assert torch.equal(k, block.k) and torch.equal(v, block.v)


def test_reading_can_be_stopped(ccf, memory):
    prefix = ablate(ccf, memory, Cut())
    asked = []

    def after_three():
        asked.append(1)
        return len(asked) > 3

    for read in (
        lambda: reconstruct_from(ccf, prefix, 32, after_three),
        lambda: answer_from(ccf, prefix, "Who?", 32, after_three),
    ):
        asked.clear()
        with pytest.raises(Cancelled):
            read()
        assert len(asked) <= 5


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"slots": {16}}, "no slot 16: choose from 0 to 15"),
        ({"levels": {5}}, "no level 5: choose from 4, 8, 16, 32"),
        ({"layers": {2}}, "no layer 2: choose from 0 to 1"),
        ({"heads": {-1}}, "no head -1: choose from 0 to 1"),
    ],
)
def test_what_is_not_there_cannot_be_switched_off(ccf, memory, parts, sentence):
    with pytest.raises(NoSuchPart, match=sentence):
        ablate(ccf, memory, cut(**parts))


def test_a_memory_of_another_adapter_is_refused(ccf, make_ccf, text_ids):
    with pytest.raises(MemoryMismatch):
        ablate(ccf, make_ccf(seed=5).compress(text_ids(9)), Cut())
