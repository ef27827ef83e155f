"""What the decoder computes from a memory equals a plain forward over the same keys, however it is asked."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from transformers import TextIteratorStreamer

from ccf_core import KVMemory, MemoryMismatch
from ccf_core.model.decoder import Decoder
from ccf_core.model.greedy import cache_argument
from ccf_core.model.prefix import slot_segments

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
PROMPT = [40, 7, 99, 260, 12]


@pytest.fixture
def plain_logits(plain_forward):
    return lambda model, memory, ids: plain_forward(model, memory, ids)[0]


@pytest.fixture(scope="module", params=FAMILIES)
def any_ccf(request, make_ccf):
    return make_ccf(request.param)


@pytest.fixture(scope="module")
def memory(ccf, text_ids):
    return ccf.compress(text_ids(75))


@pytest.mark.parametrize("tokens", [3, 75, 1500])
def test_logits_equal_a_plain_forward_over_the_same_keys(any_ccf, text_ids, tokens, plain_logits):
    """A document of 1,500 tokens does not fit the window of 1,024: its slots are squeezed."""
    whole = any_ccf.compress(text_ids(tokens))
    for memory in (whole, whole.at(8), whole.at(32), whole.at(8).quantize(), whole.at(8).quantize("int4")):
        given = any_ccf.decoder.inputs([any_ccf.decoder.prefix(memory)], [PROMPT])
        with torch.inference_mode():
            logits = any_ccf.model(**given).logits[0]
        torch.testing.assert_close(logits, plain_logits(any_ccf.model, memory, PROMPT), atol=1e-4, rtol=1e-5)


def test_generation_from_a_memory_equals_a_plain_loop(any_ccf, text_ids, plain_logits):
    for tokens in (20, 1500):
        memory = any_ccf.compress(text_ids(tokens)).at(8)
        given = any_ccf.decoder.inputs([any_ccf.decoder.prefix(memory)], [PROMPT])
        assert given["attention_mask"].shape == (1, memory.slots + len(PROMPT))
        assert given["position_ids"].shape == (1, len(PROMPT))
        out = any_ccf.model.generate(
            **given,
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=None,
            pad_token_id=0,
        )
        ids = list(PROMPT)
        for _ in range(20):
            ids.append(int(plain_logits(any_ccf.model, memory, ids)[-1].argmax()))
        assert out[0].tolist() == ids


def test_the_inputs_of_a_memory_hold_its_slots_once(ccf, memory):
    given = ccf.decoder.inputs([ccf.decoder.prefix(memory)], [[ccf.config.repeat_token]])
    assert given[cache_argument(ccf.model)].get_seq_length() == memory.slots
    assert given["attention_mask"].tolist() == [[1] * (memory.slots + 1)]
    assert given["position_ids"].tolist() == [[76]]


@pytest.mark.parametrize("order", [(2, 0, 1), (1,), (0, 0, 2)])
def test_segments_are_read_in_the_order_given(ccf, memory, order, plain_logits):
    chosen = memory.select(order)
    given = ccf.decoder.inputs([ccf.decoder.prefix(chosen)], [PROMPT])
    with torch.inference_mode():
        logits = ccf.model(**given).logits[0]
    torch.testing.assert_close(logits, plain_logits(ccf.model, chosen, PROMPT), atol=1e-4, rtol=1e-5)


def test_joined_documents_are_placed_one_after_the_other(ccf, memory, text_ids, plain_logits):
    other = ccf.compress(text_ids(40, seed=3))
    joined = KVMemory.join([other, memory])
    prefix = ccf.decoder.prefix(joined)
    assert prefix.next_position == 40 + 75 + 1
    assert slot_segments(joined) == [0] * 8 + [1] * 2 + [2] * 8 + [3] * 8 + [4] * 3
    with torch.inference_mode():
        logits = ccf.model(**ccf.decoder.inputs([prefix], [PROMPT])).logits[0]
    torch.testing.assert_close(logits, plain_logits(ccf.model, joined, PROMPT), atol=1e-4, rtol=1e-5)
    assert not torch.allclose(logits, plain_logits(ccf.model, KVMemory.join([memory, other]), PROMPT), atol=1e-3)


def test_a_batch_padded_on_the_left_equals_its_rows_alone(any_ccf, text_ids, plain_logits):
    memories = [
        None if tokens is None else any_ccf.compress(text_ids(tokens, seed=tokens)).at(ratio)
        for tokens, ratio in ((100, 4), (3, 8), (None, 4), (64, 32), (33, 16))
    ]
    prompts = [text_ids(length, seed=length) for length in (4, 9, 1, 6, 2)]
    prefixes = [None if memory is None else any_ccf.decoder.prefix(memory) for memory in memories]
    given = any_ccf.decoder.inputs(prefixes, prompts)
    with torch.inference_mode():
        logits = any_ccf.model(**given).logits
    rows = any_ccf.decoder.generate(prefixes, prompts, max_new_tokens=12, exactly=True)
    for row, (memory, prefix, prompt) in enumerate(zip(memories, prefixes, prompts, strict=True)):
        expected = plain_logits(any_ccf.model, memory, prompt)
        torch.testing.assert_close(logits[row, -len(prompt) :], expected, atol=1e-4, rtol=1e-5)
        assert rows[row] == any_ccf.decoder.generate([prefix], [prompt], max_new_tokens=12, exactly=True)[0]


def test_a_batch_without_any_memory_needs_no_cache(ccf):
    given = ccf.decoder.inputs([None, None], [[5, 6], [7]])
    assert cache_argument(ccf.model) not in given
    one, two = ccf.decoder.generate([None, None], [[5, 6], [7]], max_new_tokens=6, exactly=True)
    assert one == ccf.decoder.generate([None], [[5, 6]], max_new_tokens=6, exactly=True)[0]
    assert two == ccf.decoder.generate([None], [[7]], max_new_tokens=6, exactly=True)[0]


def test_end_tokens_end_an_answer_and_are_cut_off(ccf, memory):
    prefix = ccf.decoder.prefix(memory)
    [free] = ccf.decoder.generate([prefix], [PROMPT], max_new_tokens=12, exactly=True)
    end = free[5]
    [ended] = ccf.decoder.generate([prefix], [PROMPT], max_new_tokens=12, eos=[end])
    assert ended == free[: free.index(end)]
    [barred] = ccf.decoder.generate([prefix], [PROMPT], max_new_tokens=12, eos=[end], exactly=True)
    assert len(barred) == 12 and end not in barred


def test_the_repeat_token_is_never_produced(ccf, memory):
    [free] = ccf.decoder.generate([ccf.decoder.prefix(memory)], [PROMPT], max_new_tokens=1)
    barred = Decoder(ccf.model, dataclasses.replace(ccf.config, repeat_token=free[0]))
    [ids] = barred.generate([barred.prefix(memory)], [PROMPT], max_new_tokens=20, exactly=True)
    assert free[0] not in ids


def test_scores_are_the_log_probabilities_of_a_plain_forward(ccf, memory, text_ids, plain_logits):
    target = text_ids(9, seed=8)
    for some in (memory, None):
        prefix = ccf.decoder.prefix(some) if some else None
        scores = ccf.decoder.score(prefix, PROMPT, target)
        logits = plain_logits(ccf.model, some, PROMPT + target[:-1])[len(PROMPT) - 1 :]
        expected = torch.stack([row.log_softmax(-1)[token] for row, token in zip(logits, target, strict=True)])
        assert scores.dtype == torch.float32 and scores.device.type == "cpu"
        torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-5)


def test_a_zero_adapter_over_the_full_text_is_the_base(make_ccf, make_base, text_ids):
    for family in FAMILIES:
        base = make_base(family).model
        untrained = make_ccf(family, zero=True)
        text = text_ids(150)
        prefix = untrained.prefix_for("full", None, text)
        with torch.inference_mode():
            logits = untrained.model(**untrained.decoder.inputs([prefix], [PROMPT])).logits[0]
            expected = base(torch.tensor([text + PROMPT])).logits[0, len(text) :]
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_text_read_in_pieces_is_text_read_at_once(ccf, text_ids):
    text = text_ids(50)
    pieces, whole = ccf.decoder.read_text(text, chunk=7), ccf.decoder.read_text(text)
    assert pieces.length == whole.length == pieces.next_position == 50
    assert pieces.nbytes == 50 * 2 * 2 * 2 * 8 * 4
    for ours, theirs in zip((*pieces.keys, *pieces.values), (*whole.keys, *whole.values), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prompts", [[PROMPT], [PROMPT, [9, 8, 7, 6, 5]]], ids=["one", "two"])
def test_beams_over_a_prefix_are_the_beams_of_the_base(make_ccf, make_base, text_ids, prompts):
    untrained, base = make_ccf(zero=True), make_base().model
    text = text_ids(30)
    prefix = untrained.prefix_for("full", None, text)
    ours = untrained.decoder.generate(
        [prefix] * len(prompts), prompts, max_new_tokens=8, exactly=True, num_beams=3, num_return_sequences=2
    )
    theirs = base.generate(
        torch.tensor([text + prompt for prompt in prompts]),
        attention_mask=torch.ones(len(prompts), len(text) + len(PROMPT), dtype=torch.long),
        max_new_tokens=8,
        min_new_tokens=8,
        num_beams=3,
        num_return_sequences=2,
        do_sample=False,
        suppress_tokens=[untrained.config.repeat_token],
        pad_token_id=2,
    )
    assert ours == theirs[:, len(text) + len(PROMPT) :].tolist()


def test_sampling_follows_its_seed_and_differs_from_greedy(ccf, memory):
    prefix = ccf.decoder.prefix(memory)

    def sample(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return ccf.decoder.generate(
                [prefix],
                [PROMPT],
                max_new_tokens=10,
                exactly=True,
                do_sample=True,
                temperature=2.0,
                num_return_sequences=3,
            )

    one, again, other = sample(0), sample(0), sample(1)
    assert one == again != other
    assert len(one) == 3 and len({tuple(row) for row in one}) == 3


def test_a_streamer_hears_every_token(ccf, memory, tokenizer):
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True)
    [ids] = ccf.decoder.generate(
        [ccf.decoder.prefix(memory)], [PROMPT], max_new_tokens=9, exactly=True, streamer=streamer
    )
    assert "".join(streamer) == tokenizer.decode(ids)


def test_a_prefix_can_be_used_again(ccf, memory):
    prefix = ccf.decoder.prefix(memory)
    first = ccf.decoder.generate([prefix], [PROMPT], max_new_tokens=6, exactly=True)
    assert prefix.length == memory.slots
    assert prefix.nbytes == memory.nbytes
    assert ccf.decoder.generate([prefix], [PROMPT], max_new_tokens=6, exactly=True) == first


def test_a_memory_wider_than_a_sliding_window_is_refused(make_ccf, text_ids):
    narrow = make_ccf("mistral", model={"sliding_window": 16})
    memory = narrow.compress(text_ids(64))
    assert memory.at(8).slots < 16 <= memory.slots
    assert narrow.decoder.prefix(memory.at(8)).length == memory.at(8).slots
    with pytest.raises(MemoryMismatch, match="16 positions"):
        narrow.decoder.prefix(memory)


def test_a_memory_is_refused_that_its_answer_would_lose_sight_of(make_ccf, text_ids, plain_logits):
    narrow = make_ccf("mistral", model={"sliding_window": 16})
    text = text_ids(64)
    memory = narrow.compress(text).at(8)
    prefix = narrow.decoder.prefix(memory)
    room = 16 - memory.slots - len(PROMPT)
    assert room > 1
    [written] = narrow.decoder.generate([prefix], [PROMPT], max_new_tokens=room, exactly=True)
    assert written[-1] == int(plain_logits(narrow.model, memory, PROMPT + written[:-1])[-1].argmax())
    graded = narrow.decoder.read_text(text[:1], after=prefix)
    for lost, new in ((prefix, room + 1), (graded, room)):
        with pytest.raises(MemoryMismatch, match=r"16 positions .* take 17: choose a coarser ratio"):
            narrow.decoder.generate([lost, None], [PROMPT, [5]], max_new_tokens=new)
    with pytest.raises(MemoryMismatch, match="coarser ratio"):
        narrow.answer("Who counted the ships?", memory)
    # Text alone is read as the base reads it.
    assert narrow.decoder.generate([narrow.decoder.read_text(text)], [PROMPT], max_new_tokens=3, exactly=True)
