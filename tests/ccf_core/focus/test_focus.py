"""Focus: the plan and its budget, where slots and text stand, what an answer says was read."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch

from ccf_core import CCF, Focus, KVMemory, MemoryMismatch
from ccf_core.answering.prompt import question_prompt
from ccf_core.focus.budget import Piece, fuse, pieces, plan, ranked
from ccf_core.focus.focus import (
    DRAFT,
    Focused,
    confidence,
    drafted,
    prefers_text_only,
    read,
    readings,
)
from ccf_core.focus.relevance import worth
from ccf_core.memory.grades import TEXT
from ccf_core.memory.segments import slot_count
from ccf_core.model.layers import rotary_table, rotate

RATIOS = (4, 8, 16, 32)
TEXT_OF_IT = "The harbour master counted seven ships. Zoë saw the evening fog hide them all again. " * 6
QUESTION = "Who saw the evening fog?"


SIZE = 64
NONE = float("-inf")


def best(ranking: list[int], tokens: list[int]) -> list[Piece]:
    """Pieces, those of a segment together."""
    return sorted(pieces(tokens, SIZE), key=lambda piece: ranking.index(piece.segment))


def cost(read: Sequence[Piece], ratios: Sequence[int], tokens: list[int]) -> int:
    slots = sum(slot_count(n, ratio) for n, ratio in zip(tokens, ratios, strict=True) if ratio != TEXT)
    return sum(map(len, read)) + slots


def test_pieces_are_all_of_the_text_in_its_order() -> None:
    assert pieces([130, 5], 64) == [Piece(0, 0, 64), Piece(0, 64, 128), Piece(0, 128, 130), Piece(1, 0, 5)]


@pytest.mark.parametrize(
    ("ranking", "budget", "tokens", "segments", "expected"),
    [
        ([1, 0, 2], 0, [64, 64, 64], 0, (32, 32, 32)),
        ([1, 0, 2], 6, [64, 64, 64], 0, (32, 32, 32)),
        ([1, 0, 2], 7, [64, 64, 64], 0, (32, 32, 32)),
        ([1, 0, 2], 8, [64, 64, 64], 0, (32, 16, 32)),
        ([1, 0, 2], 20, [64, 64, 64], 0, (32, 4, 32)),
        ([1, 0, 2], 26, [64, 64, 64], 0, (8, 4, 32)),
        ([1, 0, 2], 68, [64, 64, 64], 0, (32, TEXT, 32)),
        ([1, 0, 2], 68 + 28, [64, 64, 64], 0, (4, TEXT, 4)),
        ([1, 0, 2], 192, [64, 64, 64], 0, (TEXT, TEXT, TEXT)),
        ([1, 0, 2], 192, [64, 64, 64], 1, (4, TEXT, 4)),
        ([1, 0, 2], 192, [64, 64, 64], 2, (TEXT, TEXT, 4)),
        ([0, 1], 13, [60, 10], 0, (8, 8)),
        ([1, 0], 20, [250, 10], 0, (32, TEXT)),
        ([0], 100, [5], 0, (TEXT,)),
    ],
)
def test_a_plan(ranking: list[int], budget: int, tokens: list[int], segments: int, expected: tuple[int, ...]) -> None:
    read, ratios = plan(best(ranking, tokens), budget, tokens, RATIOS, segments)
    assert ratios == expected
    assert {piece.segment for piece in read} == {i for i, ratio in enumerate(ratios) if ratio == TEXT}


def test_a_segment_is_read_in_part_beside_its_slots() -> None:
    text = [Piece(1, 64, 128), *pieces([128, 64], 64)]
    assert plan(text, 8 + 64 + 4, [128, 128], RATIOS) == ((Piece(1, 64, 128),), (32, 16))
    text = [Piece(0, 64, 128), Piece(0, 0, 64), *pieces([0, 128], 64)]
    assert plan(text, 8 + 128 - 4, [128, 128], RATIOS) == ((Piece(0, 0, 64), Piece(0, 64, 128)), (TEXT, 32))


def test_a_plan_limits_text_that_the_window_has_no_room_for() -> None:
    text = best([1, 0, 2], [64, 64, 64])
    assert plan(text, 192, [64, 64, 64], RATIOS, most_text=128)[1] == (TEXT, TEXT, 4)
    assert plan(text, 192, [64, 64, 64], RATIOS, most_text=63) == ((), (4, 4, 4))


def test_plans_keep_their_budget_follow_the_ranking_and_grow_with_the_budget() -> None:
    rng = random.Random(0)
    for _ in range(300):
        tokens = [rng.randint(1, 256) for _ in range(rng.randint(1, 12))]
        text = pieces(tokens, SIZE)
        rng.shuffle(text)
        ranking = [*dict.fromkeys(piece.segment for piece in text)]
        limit = rng.randint(0, 3)
        before = -1
        floor = cost((), [32] * len(tokens), tokens)
        for budget in sorted(rng.randint(0, sum(tokens) + 50) for _ in range(8)):
            read, ratios = plan(text, budget, tokens, RATIOS, limit)
            assert cost(read, ratios, tokens) <= max(budget, floor)
            assert [*read] == sorted(read, key=lambda piece: (piece.segment, piece.start))
            with_text = {piece.segment for piece in read}
            assert not limit or len(with_text) <= limit
            allowed = [piece for piece in text if not limit or piece.segment in with_text]
            assert {*read} == {*allowed[: len(read)]}
            down = [ratios[i] for i in ranking if ratios[i] != TEXT]
            assert down == sorted(down)
            assert len(read) >= before
            before = len(read)
        assert {*plan(text, sum(tokens) + floor, tokens, RATIOS)[1]} == {TEXT}


def test_ranks_are_fused_and_equal_scores_share_theirs() -> None:
    assert fuse([3.0, 1.0, 2.0], [0.0, 0.0, 0.0]) == pytest.approx([1 / 61 + 1 / 61, 1 / 63 + 1 / 61, 1 / 62 + 1 / 61])
    both = fuse([3, 2, 1], [2, 3, 1])
    assert both[0] == both[1] > both[2]
    assert fuse([1, 2], k=0) == [1 / 2, 1.0]


@pytest.fixture(scope="module")
def memory(ccf: CCF) -> KVMemory:
    return ccf.compress(TEXT_OF_IT)


def focused_at(memory: KVMemory, texts: Sequence[Sequence[int]], ratios: Sequence[int]) -> Focused:
    """Whole segments as text."""
    every = pieces([len(text) for text in texts], SIZE)
    return Focused.of(memory, texts, [piece for piece in every if ratios[piece.segment] == TEXT], ratios)


@pytest.fixture(scope="module")
def texts(ccf: CCF) -> list[tuple[int, ...]]:
    document = ccf.segment(TEXT_OF_IT)
    return [document.segment(i) for i in range(len(document.spans))]


def test_slots_of_several_ratios_stand_where_their_text_stood_and_text_follows(
    ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]]
) -> None:
    ratios = [32, TEXT, 4, 32, TEXT, *[16] * (memory.segments - 5)]
    focused = focused_at(memory, texts, ratios)
    assert focused.text == (*texts[1], *texts[4])
    rest = [i for i in range(memory.segments) if i not in (1, 4)]
    keys, at, start = [], [], 0
    for i in rest:
        part = memory.select([i]).at(ratios[i])
        keys += [block.floating(torch.float32, "cpu")[0] for _, _, block in part.parts()]
        n = len(texts[i])
        for level in part.blocks[0]:
            ends = [e for e in range(1, n) if e % level == 0 and (level == 32 or e % (2 * level))]
            at += [start + end - 1 for end in ends + [n] * (level == 32)]
        start += n
    slots = focused.slots_prefix(ccf.decoder)
    assert slots is not None and slots.length == len(at) and slots.next_position == start + 1
    table = rotary_table(ccf.model, torch.tensor(at), torch.float32)
    expected = rotate(torch.cat(keys, dim=2).transpose(1, 2), *table).transpose(1, 2)
    for layer, found in enumerate(slots.keys):
        torch.testing.assert_close(found[0], expected[layer])
    whole = focused.prefix(ccf.decoder)
    assert whole.length == len(focused.segments) == slots.length + len(focused.text)
    assert whole.next_position == start + 1 + len(focused.text)
    assert focused.segments[slots.length :] == (1,) * len(texts[1]) + (4,) * len(texts[4])
    assert set(focused.segments[: slots.length]) == set(rest)


def test_a_piece_of_text_follows_the_slots_of_its_segment(
    ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]]
) -> None:
    ratios = [32] * memory.segments
    focused = Focused.of(memory, texts, [Piece(1, 8, 24)], ratios)
    slots, coarse = focused.slots_prefix(ccf.decoder), ccf.decoder.prefix(memory.at(32))
    assert focused.text == texts[1][8:24] and focused.segments[-16:] == (1,) * 16
    assert slots is not None and slots.next_position == coarse.next_position
    shares = torch.ones(len(focused.segments))
    (found,) = focused.evidence(shares)
    assert (found.segment, found.ratio) == (1, TEXT)
    assert found.score == pytest.approx(focused.segments.count(1) / len(shares))


def test_text_read_ahead_is_text_read_with_the_question(
    ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]]
) -> None:
    """As in training, where text and question are one sequence behind the slots."""
    focused = focused_at(memory, texts, [TEXT, 4, *[32] * (memory.segments - 2)])
    prompt = question_prompt(ccf.tokenizer, QUESTION)
    ahead = ccf.decoder.score(focused.prefix(ccf.decoder), prompt, [9, 8, 7])
    together = ccf.decoder.score(focused.slots_prefix(ccf.decoder), [*focused.text, *prompt], [9, 8, 7])
    torch.testing.assert_close(ahead, together, atol=1e-5, rtol=1e-5)


def test_the_extremes_are_the_readers_that_there_were(ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]]) -> None:
    ids = [token for text in texts for token in text]
    for ratio in RATIOS:
        all_slots = memory.mixed([ratio] * memory.segments)
        assert all_slots is not None
        found, expected = ccf.decoder.prefix(all_slots), ccf.decoder.prefix(memory.at(ratio))
        assert all(torch.equal(a, b) for a, b in zip(found.keys, expected.keys, strict=True))
        assert found.next_position == expected.next_position
    in_full = focused_at(memory, texts, [TEXT] * memory.segments).prefix(ccf.decoder)
    full = ccf.decoder.read_text(ids)
    assert in_full.next_position == full.next_position
    assert all(torch.equal(a, b) for a, b in zip(in_full.keys, full.keys, strict=True))


def test_slots_and_text_fit_the_window_together(make_ccf: Callable[..., CCF]) -> None:
    ccf = make_ccf(model={"max_position_embeddings": 256})
    ids = ccf.segment(TEXT_OF_IT * 3).input_ids
    memory = ccf.compress(ids)
    prompt = question_prompt(ccf.tokenizer, QUESTION)
    found, _ = read(ccf.decoder, ccf.tokenizer, QUESTION, prompt, memory, ids, Focus(len(ids)))
    assert 0 < len(found.text) <= 128
    assert found.prefix(ccf.decoder).next_position <= 256 - 256 // 8 + 1


def test_an_answer_says_what_was_read_and_holds_no_more_than_its_budget(ccf: CCF, memory: KVMemory) -> None:
    ids = ccf.segment(TEXT_OF_IT).input_ids
    a_position = 2 * 2 * 2 * 8 * 4
    for budget, most in ((80, 0), (140, 0), (140, 1), (len(ids), 0)):
        found = ccf.answer(QUESTION, memory, 8, reader="focus", input_ids=ids, focus=Focus(budget, most))
        assert found.reader == "focus" and 0 < found.kv_bytes <= budget * a_position
        in_full = [e for e in found.evidence if e.ratio == TEXT]
        assert in_full and (not most or len(in_full) <= most)
        assert list(found.evidence[: len(in_full)]) == in_full
        assert all(e.ratio in (TEXT, 4, 8, 16) for e in found.evidence)
    by_default = ccf.answer(QUESTION, memory, 8, reader="focus", input_ids=ids)
    assert by_default.kv_bytes <= len(ids) // 6 * a_position
    too_small = ccf.answer(QUESTION, memory, 8, reader="focus", input_ids=ids, focus=Focus(1))
    coarse = ccf.answer(QUESTION, memory.at(32), 8)
    assert (too_small.text, too_small.kv_bytes) == (coarse.text, coarse.kv_bytes)
    assert {e.ratio for e in too_small.evidence} == {32} and len(too_small.evidence) == memory.segments


def test_text_is_read_beside_slots_and_alone(ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]]) -> None:
    every = pieces([len(text) for text in texts], 16)
    scores = random.Random(0).choices(range(9), k=len(every))

    def best_text(most: int) -> tuple[int, ...]:
        best = [every[i] for i in ranked(scores)]
        fit = max(n for n in range(len(best)) if sum(map(len, best[:n])) <= most)
        ordered = sorted(best[:fit], key=lambda p: (p.segment, p.start))
        return tuple(t for p in ordered for t in texts[p.segment][p.start : p.end])

    beside, alone = readings(ccf.decoder, memory, texts, scores, Focus(66, piece=16))
    assert beside.slots is not None and beside.text == best_text(66 - memory.at(32).slots)
    assert len(beside.segments) <= 66
    assert alone.slots is None and alone.text == best_text(66 // 2)
    found = alone.evidence(torch.ones(len(alone.text)))
    assert {e.segment for e in found} == {*alone.segments} and {e.ratio for e in found} == {TEXT}
    assert [len(readings(ccf.decoder, memory, texts, scores, Focus(n, piece=16))) for n in (1, 31, 66)] == [1, 1, 2]
    (everything,) = readings(ccf.decoder, memory, texts, scores, Focus(sum(map(len, texts)), piece=16))
    assert everything.slots is None and everything.text == tuple(t for text in texts for t in text)


def test_confidence_is_of_answers() -> None:
    chances = torch.tensor([-1.0, -3.0])
    assert confidence([5], chances, [7, 8]) == confidence([7], chances, [7, 8]) == -2.0
    assert confidence([], chances, [7, 8]) == confidence([7, 8], chances, [7, 8]) == float("-inf")
    assert drafted([5, 6], [2, 1]) == [5, 6, 2] and drafted([5] * DRAFT, [2]) == [5] * DRAFT


@pytest.mark.parametrize(
    ("alone", "beside", "kept"),
    [(-1.0, -2.0, True), (-2.0, -1.0, False), (-2.0, NONE, True), (NONE, -1.0, True), (NONE, NONE, True)],
)
def test_the_surer_reading_and_a_refusal_by_text_alone_are_believed(alone: float, beside: float, kept: bool) -> None:
    assert prefers_text_only(alone, lambda: beside) is kept


def test_the_surer_reading_is_kept(
    ccf: CCF, memory: KVMemory, texts: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, settings = [t for text in texts for t in text], Focus(70, piece=16)
    prompts = [question_prompt(ccf.tokenizer, f"{QUESTION} {word}") for word in ("fog", "ships", "Zoë", "harbour", "")]
    kept = []
    for prompt in prompts:
        found, prefix = read(ccf.decoder, ccf.tokenizer, QUESTION, prompt, memory, ids, settings)
        scores = worth(ccf.decoder, ccf.tokenizer, QUESTION, memory, texts, 16, 70)
        both = readings(ccf.decoder, memory, texts, scores, settings)
        drafts = [ccf.decoder.generate([r.prefix(ccf.decoder)], [prompt], max_new_tokens=DRAFT)[0] for r in both]
        sure = [
            float(ccf.decoder.score(r.prefix(ccf.decoder), prompt, drafted(draft, [2])).mean())
            for r, draft in zip(both, drafts, strict=True)
        ]
        kept.append(sure[1] > sure[0])
        assert (found.text, found.slots is None) == (both[kept[-1]].text, kept[-1])
        assert all(torch.equal(a, b) for a, b in zip(prefix.keys, found.prefix(ccf.decoder).keys, strict=True))
        with monkeypatch.context() as patch:
            patch.setattr("ccf_core.focus.focus.abstention", lambda tokenizer, said=drafts[1]: said)
            refused, _ = read(ccf.decoder, ccf.tokenizer, QUESTION, prompt, memory, ids, settings)
            assert refused.slots is None
        stopped, _ = read(ccf.decoder, ccf.tokenizer, QUESTION, prompt, memory, ids, settings, lambda: True)
        assert stopped.text == both[0].text
    assert {*kept} == {True, False}


def test_what_focus_needs_is_said(ccf: CCF, memory: KVMemory, make_ccf: Callable[..., CCF]) -> None:
    with pytest.raises(ValueError, match="needs a memory"):
        ccf.answer(QUESTION, None, 4, reader="focus")
    with pytest.raises(ValueError, match="give these as input_ids, not 2"):
        ccf.answer(QUESTION, memory, 4, reader="focus", input_ids=[1, 2])
    with pytest.raises(ValueError, match="depends on the question"):
        ccf.prefix_for("focus", memory, [1, 2])
    pooled = make_ccf(compressor="mean_pool")
    with pytest.raises(MemoryMismatch, match="compresses into slots"):
        pooled.answer(QUESTION, pooled.compress(TEXT_OF_IT, 8), 4, reader="focus", input_ids=[1])
