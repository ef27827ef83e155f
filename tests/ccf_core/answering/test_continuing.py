"""A text goes on from its graded memory, as its tokens would make it go on; and that memory answers questions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch

from ccf_core import CCF, Answer, BudgetTooSmall, Focus, KVMemory, MemoryMismatch
from ccf_core.answering.prompt import question_prompt

TEXT = "The harbour master counted seven ships. Zoë saw the evening fog hide them all again. " * 4
#: Bytes of a position: two layers, keys and values, two heads of eight float32 numbers.
POSITION = 2 * 2 * 2 * 8 * 4


@pytest.fixture(scope="module")
def ids(ccf: CCF) -> tuple[int, ...]:
    return ccf.segment(TEXT).input_ids


@pytest.fixture(scope="module")
def memory(ccf: CCF, ids: tuple[int, ...]) -> KVMemory:
    return ccf.compress(ids)


def graded_prefix(ccf: CCF, memory: KVMemory, text: tuple[int, ...], budget: int, left_out: int = 0):
    slots, tail = memory.graded(budget)
    assert slots is not None and tail > left_out
    return ccf.decoder.read_text(text[len(text) - tail : len(text) - left_out], after=ccf.decoder.prefix(slots, tail))


@pytest.mark.parametrize("share", [3, 6, 12])
def test_a_text_goes_on_from_the_last_token_of_its_tail(ccf, memory, ids, share):
    budget = len(ids) // share
    found = ccf.continue_text(memory, ids, 20, budget=budget)
    prefix = graded_prefix(ccf, memory, ids, budget, left_out=1)
    [expected] = ccf.decoder.generate([prefix], [ids[-1:]], max_new_tokens=20)
    assert found.text == ccf.tokenizer.decode(expected, skip_special_tokens=True) and found.text
    assert found.kv_bytes == prefix.nbytes <= budget * POSITION
    assert (found.reader, found.evidence) == ("graded", ())
    assert found.full_kv_bytes == len(ids) * ccf.token_kv_bytes


def test_with_budget_for_all_of_it_a_text_goes_on_as_from_its_tokens(ccf, memory, ids):
    [expected] = ccf.decoder.generate([None], [ids], max_new_tokens=20)
    text = ccf.tokenizer.decode(expected, skip_special_tokens=True)
    assert ccf.continue_text(memory, ids, 20, budget=len(ids)).text == text
    assert ccf.continue_text(None, ids, 20, reader="full").text == text


def test_without_room_for_text_the_last_token_stands_after_the_slots(ccf, memory, ids):
    coarse = memory.at(32)
    [expected] = ccf.decoder.generate([ccf.decoder.prefix(coarse)], [ids[-1:]], max_new_tokens=20)
    text = ccf.tokenizer.decode(expected, skip_special_tokens=True)
    assert ccf.continue_text(memory, ids, 20, budget=coarse.slots).text == text
    assert ccf.continue_text(coarse, ids, 20, reader="memory").text == text
    with pytest.raises(BudgetTooSmall, match=f"budget of {coarse.slots - 1} positions"):
        ccf.continue_text(memory, ids, 20, budget=coarse.slots - 1)


def test_pieces_add_up_to_the_continuation_as_it_was_written(ccf, memory, ids):
    *pieces, last = ccf.continue_text(memory, ids, 40, stream=True)
    assert isinstance(last, Answer) and "".join(pieces) == last.text
    asked = itertools.count()
    *_, stopped = ccf.continue_text(memory, ids, 40, stream=True, cancelled=lambda: next(asked) >= 3)
    assert last.text.startswith(stopped.text) and len(stopped.text) < len(last.text)


def test_what_cannot_be_continued_is_refused(ccf, memory, ids, make_ccf):
    with pytest.raises(ValueError, match="depends on the question"):
        ccf.continue_text(memory, ids, reader="focus")
    with pytest.raises(ValueError, match="give its tokens"):
        ccf.continue_text(memory, (), reader="memory")
    with pytest.raises(ValueError, match="needs a memory"):
        ccf.continue_text(None, ids)
    with pytest.raises(ValueError, match=f"of {len(ids)} tokens"):
        ccf.continue_text(memory, ids[1:])
    with pytest.raises(MemoryMismatch):
        make_ccf(seed=5).continue_text(memory, ids)


@pytest.mark.parametrize(("budget", "ratio"), [(40, 4), (None, 4), (None, 8)])
def test_questions_are_answered_from_a_graded_memory(ccf, memory, ids, budget, ratio):
    question, some = "Who counted the ships?", memory.at(ratio)
    found = ccf.answer(question, some, 20, reader="graded", input_ids=ids, focus=Focus(budget))
    prefix = graded_prefix(ccf, some, ids, budget or some.slots)
    [expected] = ccf.decoder.generate([prefix], [question_prompt(ccf.tokenizer, question)], max_new_tokens=20)
    assert found.text == ccf.tokenizer.decode(expected, skip_special_tokens=True).strip()
    assert found.kv_bytes == prefix.nbytes <= (budget or some.slots) * POSITION
    assert {e.segment for e in found.evidence} == {*range(memory.segments)}
    assert sum(e.score for e in found.evidence) == pytest.approx(1.0)


def test_text_takes_half_of_the_window_at_most(make_ccf: Callable[..., CCF], text_ids: Callable):
    ccf, ids = make_ccf(model={"max_position_embeddings": 256}), text_ids(300)
    memory = ccf.compress(ids)
    prefix = ccf.prefix_for("graded", memory.at(4), ids)
    assert prefix is not None and prefix.length <= memory.slots
    whole = ccf.continue_text(memory, ids, 4, budget=1000)
    slots, tail = memory.graded(1000, most_text=128)
    assert slots is not None and tail == 128
    assert whole.kv_bytes == (slots.slots + tail - 1) * POSITION
    assert torch.isfinite(prefix.keys[0]).all()
