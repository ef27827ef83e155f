"""Graded memories: a budget that is kept, finer never farther than coarser, and text at the end."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ccf_core import BudgetTooSmall, MemoryMismatch
from ccf_core.memory.grades import TEXT, grades
from ccf_core.memory.layout import placement
from ccf_core.memory.segments import slot_count

RATIOS = (4, 8, 16, 32)
#: Tokens of whole segments, and of ragged ones as documents that were joined have them.
TOKENS = st.lists(st.sampled_from([32, 256]) | st.integers(1, 256), min_size=1, max_size=12)
TAIL = st.none() | st.integers(0, 700)
SHARE = st.fractions(0, 1)


def least(tokens, coarsest=32):
    return sum(slot_count(n, coarsest) for n in tokens)


def cost(tokens, tail, ratios):
    return tail + sum(slot_count(n, ratio) for n, ratio in zip(tokens, ratios, strict=True) if ratio != TEXT)


def held(tokens, tail):
    """Which segments the last ``tail`` tokens hold all of."""
    return [sum(tokens[i:]) <= tail for i in range(len(tokens))]


@given(tokens=TOKENS, budget=st.integers(0, 3500), tail=TAIL, most=st.none() | st.integers(0, 700), share=SHARE)
def test_a_budget_is_kept_and_nothing_finer_is_farther_away(tokens, budget, tail, most, share):
    try:
        found, ratios = grades(budget, tokens, RATIOS, tail, most, share)
    except BudgetTooSmall:
        wanted = min(tail or 0, sum(tokens))
        coarsest = [TEXT if text else 32 for text in held(tokens, wanted)]
        assert cost(tokens, wanted, coarsest) > budget
        return
    assert cost(tokens, found, ratios) <= budget
    assert [*ratios] == sorted(ratios, reverse=True) and set(ratios) <= {TEXT, *RATIOS}
    assert [ratio == TEXT for ratio in ratios] == held(tokens, found)
    if tail is not None:
        assert found == min(tail, sum(tokens))
    elif most is not None:
        assert found <= most


@given(tokens=TOKENS, extra=st.integers(0, 500), tail=st.integers(0, 700), share=SHARE)
def test_enough_budget_reads_everything_at_the_finest_ratio_or_as_text(tokens, extra, tail, share):
    whole, as_text = grades(sum(tokens) + extra, tokens, RATIOS, None, None, share)
    assert (whole, set(as_text)) == (sum(tokens), {TEXT})
    finest = [TEXT if text else 4 for text in held(tokens, tail)]
    enough = cost(tokens, min(tail, sum(tokens)), finest)
    assert grades(enough + extra, tokens, RATIOS, tail, None, share) == (min(tail, sum(tokens)), (*finest,))


@given(tokens=TOKENS, budget=st.integers(0, 2000), share=SHARE)
def test_what_is_left_of_a_budget_lengthens_the_text(tokens, budget, share):
    assume(budget >= least(tokens))
    tail, ratios = grades(budget, tokens, RATIOS, None, None, share)
    assert cost(tokens, tail, ratios) == min(budget, sum(tokens))


@given(tokens=TOKENS, extra=st.integers(0, 500), ratio=st.sampled_from(RATIOS))
def test_one_ratio_leaves_the_text_alone_to_choose(tokens, extra, ratio):
    assert grades(least(tokens, ratio) + extra, tokens, (ratio,), 0) == (0, (ratio,) * len(tokens))
    tail, ratios = grades(least(tokens, ratio), tokens, (ratio,))
    assert (tail, set(ratios)) == (0, {ratio}) or tail == sum(tokens)


@pytest.mark.parametrize(
    ("budget", "tail", "ratios"),
    [
        (24, 0, (32, 32, 32)),
        (48, 0, (16, 16, 16)),
        (47, 0, (32, 16, 16)),
        (96, 0, (8, 8, 8)),
        (95, 0, (16, 8, 8)),
        (140, 100, (32, 16, 16)),
        (272, 256, (32, 32, TEXT)),
        (271, 255, None),
    ],
)
def test_nearer_segments_are_bought_first(budget, tail, ratios):
    def plan():
        return grades(budget, [256] * 3, RATIOS, tail)

    if ratios is None:
        with pytest.raises(BudgetTooSmall, match=r"271 positions .* 768 tokens, the last 255 .* take 279 even at 32x"):
            plan()
    else:
        assert plan() == (tail, ratios)


@pytest.fixture(scope="module")
def memory(ccf, text_ids):
    return ccf.compress(text_ids(32 * 5 + 11))


@given(data=st.data())
def test_a_graded_memory_views_the_blocks_of_its_memory(memory, data):
    budget, tail = data.draw(st.integers(0, 200)), data.draw(st.none() | st.integers(0, 200))
    if budget < memory.at(32).slots:
        with pytest.raises(BudgetTooSmall):
            memory.graded(budget, tail)
        return
    try:
        slots, text = memory.graded(budget, tail)
    except BudgetTooSmall:
        assert tail is not None
        return
    assert (slots.slots if slots else 0) + text <= budget
    kept = slots.segments if slots else 0
    assert sum(len(span) for span in memory.spans[kept:]) <= text
    for i in range(kept):
        assert slots.spans[i] == memory.spans[i]
        assert all(slots.blocks[i][level] is memory.blocks[i][level] for level in slots.blocks[i])
        assert [*slots.blocks[i]] == [level for level in (32, 16, 8, 4) if level >= min(slots.blocks[i])]


def test_without_text_a_memory_of_one_level_is_itself(memory):
    coarse = memory.at(32)
    for budget in (coarse.slots, coarse.slots + 100):
        assert coarse.graded(budget, 0) == (coarse, 0)
    for ratio in RATIOS:
        assert memory.graded(memory.at(ratio).slots + memory.tokens, memory.tokens + 9) == (None, memory.tokens)
    assert memory.graded(memory.at(4).slots, 0) == (memory, 0)
    assert memory.graded(memory.tokens) == (None, memory.tokens)
    assert memory.graded(memory.tokens, most_text=20)[1] == 20


def test_a_mean_pooled_memory_has_its_one_ratio_and_text(make_ccf, text_ids):
    pooled = make_ccf(compressor="mean_pool").compress(text_ids(96), 8)
    assert pooled.ratios == (8,)
    slots, tail = pooled.graded(pooled.slots + 10)
    assert (slots.slots, tail) == (pooled.slots, 10)
    with pytest.raises(MemoryMismatch):
        pooled.mixed([16] * pooled.segments)


def test_slots_stand_where_their_text_stood_and_the_text_follows(ccf, memory, text_ids, plain_forward):
    ids, after = text_ids(32 * 5 + 11), text_ids(9, seed=7)
    slots, tail = memory.graded(70, 50)
    assert slots.segments < memory.segments and len({min(levels) for levels in slots.blocks}) > 1
    prefix = ccf.decoder.read_text(ids[-tail:], after=ccf.decoder.prefix(slots, tail))
    assert prefix.length == slots.slots + tail <= 70
    assert prefix.next_position == slots.tokens + 1 + tail
    logits, _ = plain_forward(ccf.model, slots, [*ids[-tail:], *after])
    expected = logits[tail:-1].log_softmax(-1).gather(1, torch.tensor(after[1:])[:, None])[:, 0]
    torch.testing.assert_close(ccf.decoder.score(prefix, after[:1], after[1:]), expected, atol=1e-4, rtol=1e-4)


def test_slots_and_text_fit_the_window_together(make_ccf, text_ids):
    ccf = make_ccf(model={"max_position_embeddings": 256})
    slots, tail = ccf.compress(text_ids(900)).graded(150)
    prefix = ccf.decoder.prefix(slots, tail)
    assert 0 < tail < 150 and prefix.next_position == placement(slots.tokens, 256, tail).question
    assert prefix.next_position + tail <= 256 - 256 // 8 + 1
