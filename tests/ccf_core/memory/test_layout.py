"""Slots, masks and positions against their definitions, written out once more, and tables made by hand."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
import torch

from ccf_core.config import CCFConfig
from ccf_core.memory.layout import (
    levels_of,
    placement,
    slot_layout,
    slots_of_level,
    usable,
    window_start,
)
from ccf_core.model.encoder import encoder_positions, pooling_matrix

RATIOS = (4, 8, 16, 32)
LENGTHS = range(1, 301)


def slots_by_definition(tokens: int) -> dict[int, int]:
    """End -> level: ends are the multiples of 4 and the last token, which is always of the coarsest level."""
    return {
        end: 32 if end == tokens or end % 32 == 0 else 16 if end % 16 == 0 else 8 if end % 8 == 0 else 4
        for end in range(1, tokens + 1)
        if end % 4 == 0 or end == tokens
    }


@pytest.mark.parametrize("ratio", RATIOS)
def test_every_length_has_the_slots_of_the_definition(ratio):
    for tokens in LENGTHS:
        found = slot_layout(tokens, ratio, RATIOS)
        assert dict(zip(found.ends, found.levels, strict=True)) == {
            end: level for end, level in slots_by_definition(tokens).items() if level >= ratio
        }
        assert len(found) == len(set(found.ends)) == ceil(tokens / ratio)


def test_slots_run_from_coarse_to_fine_and_a_ratio_is_the_first_of_them():
    for tokens in LENGTHS:
        finest = slot_layout(tokens, 4, RATIOS)
        order = list(zip(finest.levels, finest.ends, strict=True))
        assert order == sorted(order, key=lambda slot: (-slot[0], slot[1]))
        for ratio in RATIOS:
            assert slot_layout(tokens, ratio, RATIOS).ends == finest.ends[: ceil(tokens / ratio)]


def test_level_sizes_agree_however_they_are_asked_for():
    config = CCFConfig()
    for tokens in LENGTHS:
        whole = slot_layout(tokens, 4, RATIOS)
        for level in RATIOS:
            assert slots_of_level(tokens, level, RATIOS) == whole.count(level)
        for ratio in RATIOS:
            assert levels_of(config, tokens, ratio) == [
                (level, tuple(sorted(e for e, own in slots_by_definition(tokens).items() if own == level)))
                for level in (32, 16, 8, 4)
                if level >= ratio
            ]


@pytest.mark.parametrize(
    ("tokens", "ends", "levels"),
    [
        (1, (1,), (32,)),
        (3, (3,), (32,)),
        (4, (4,), (32,)),
        (5, (5, 4), (32, 4)),
        (10, (10, 8, 4), (32, 8, 4)),
        (16, (16, 8, 4, 12), (32, 8, 4, 4)),
        (33, (32, 33, 16, 8, 24, 4, 12, 20, 28), (32, 32, 16, 8, 8, 4, 4, 4, 4)),
        (40, (32, 40, 16, 8, 24, 4, 12, 20, 28, 36), (32, 32, 16, 8, 8, 4, 4, 4, 4, 4)),
    ],
)
def test_slots_of_short_segments_by_hand(tokens, ends, levels):
    found = slot_layout(tokens, 4, RATIOS)
    assert (found.ends, found.levels) == (ends, levels)


def test_a_segment_without_tokens_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        slot_layout(0, 4, RATIOS)


def may_see(row: tuple[str, int, int], column: tuple[str, int, int]) -> bool:
    """Who sees whom, over (kind, end, level): a text token's end is its number, counted from 1."""
    (kind, end, level), (seen_kind, seen_end, seen_level) = row, column
    if kind == "text":
        return seen_kind == "text" and seen_end <= end
    if seen_kind == "text":
        return True
    return seen_level > level or (seen_level == level and seen_end <= end)


@pytest.mark.parametrize("finest", RATIOS)
def test_who_sees_whom_is_plain_causal_order(finest):
    for tokens in (*range(1, 41), 63, 64, 65, 100, 129):
        found = slot_layout(tokens, finest, RATIOS)
        nodes = [("text", t, 0) for t in range(1, tokens + 1)]
        nodes += [("slot", end, level) for end, level in zip(found.ends, found.levels, strict=True)]
        expected = torch.tensor([[may_see(row, column) for column in nodes] for row in nodes])
        assert torch.equal(torch.ones_like(expected).tril(), expected), tokens


def test_who_sees_whom_by_hand():
    # Columns: text 1 to 5, then the slots that end at 4 and 5 (level 4) and at 2 (level 2).
    rows = ["10000 000", "11000 000", "11100 000", "11110 000", "11111 000", "11111 100", "11111 110", "11111 111"]
    found = slot_layout(5, 2, (2, 4))
    assert (found.ends, found.levels) == ((4, 5, 2), (4, 4, 2))
    assert torch.ones(8, 8, dtype=torch.bool).tril().tolist() == [[c == "1" for c in r.replace(" ", "")] for r in rows]


@pytest.mark.parametrize(
    ("end", "level", "slot_window", "start"),
    [
        (8, 8, None, 0), (8, 4, None, 4), (10, 32, None, 0), (64, 32, None, 32), (1, 32, None, 0),
        (3, 32, 4, 0), (64, 32, 4, 60), (5, 32, 5, 0), (6, 32, 5, 1),
    ],
)  # fmt: skip
def test_window_ends_at_the_slot_and_is_clipped_to_the_segment(end, level, slot_window, start):
    assert window_start(end, level, slot_window) == start


@pytest.mark.parametrize("slot_window", [None, 4])
def test_pooling_takes_the_mean_of_each_window(slot_window):
    for tokens in (1, 3, 4, 7, 33, 50):
        found = slot_layout(tokens, 4, RATIOS)
        x = torch.randn(tokens, 3, generator=torch.Generator().manual_seed(tokens))
        expected = [
            x[max(0, end - (slot_window or level)) : end].mean(0)
            for end, level in zip(found.ends, found.levels, strict=True)
        ]
        torch.testing.assert_close(pooling_matrix(found, slot_window) @ x, torch.stack(expected))


def test_encoder_positions_are_those_of_the_last_token_covered():
    assert encoder_positions(slot_layout(10, 4, RATIOS)).tolist() == [*range(10), 9, 7, 3]


@pytest.mark.parametrize("tokens", [1, 3, 256, 7168, 7169, 8192, 10_000, 57_344, 1_000_000])
def test_placement_squeezes_what_is_longer_than_the_window(tokens):
    stride = min(Fraction(1), Fraction(8192 - 1024, tokens))
    placed = placement(tokens, 8192)
    starts = range(0, tokens, max(256, tokens // 256 // 20 * 256))
    for start in starts:
        ends = slot_layout(min(256, tokens - start), 4, RATIOS).ends
        found = [placed.of(start + end - 1) for end in ends]
        assert found == [floor((start + end - 1) * stride) for end in ends]
        assert placed.of(torch.tensor([start + end - 1 for end in ends])).tolist() == found
    assert placed.question == floor(tokens * stride) + 1
    assert placed.question <= 7169
    assert placed.stride == pytest.approx(float(stride))


def test_placement_by_hand():
    assert (usable(128), usable(8192)) == (112, 7168)
    short, long = placement(300, 8192), placement(10_000, 8192)
    assert ([short.of(token) for token in (3, 255, 299)], short.question) == ([3, 255, 299], 301)
    assert ([long.of(token) for token in (0, 255, 9_999)], long.question) == ([0, 182, 7167], 7169)
    assert placement(100, 128, following=12).question == 101
    assert placement(200, 128, following=12).of(199) == 99


@pytest.mark.parametrize("ratio", [0, 1, 5, 64])
def test_an_unknown_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match="must be one of 4, 8, 16, 32"):
        CCFConfig().levels(ratio)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mask": "half"},
        {"mask": "prefix"},
        {"compressor": "pooled_slots"},
        {"segment_length": 0},
        {"ratios": ()},
        {"ratios": (4, 6)},
        {"ratios": (8, 4)},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        CCFConfig(**wrong)


def test_configuration_survives_its_file(tmp_path):
    config = CCFConfig(segment_length=128, ratios=(2, 4), slot_window=4, base="b", tokenizer="t")
    config.save(tmp_path / "ccf.json")
    assert CCFConfig.load(tmp_path / "ccf.json") == config
