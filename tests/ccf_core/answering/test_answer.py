"""Answers: pieces that add up, stops that stop, evidence that points where the attention went, honest costs."""

from __future__ import annotations

import dataclasses
import itertools
import threading

import pytest
import torch
from transformers import TextIteratorStreamer

from ccf_core import CCF, Answer
from ccf_core.answering.evidence import evidence, slot_attention
from ccf_core.answering.prompt import question_prompt
from ccf_core.answering.stream import stream as stream_pieces

TEXT = "The harbour master counted seven ships. Zoë saw the evening fog hide them all again. " * 4
QUESTION = "Who counted the ships?"


@pytest.fixture(scope="module")
def memory(ccf):
    return ccf.compress(TEXT)


@pytest.fixture(scope="module")
def ids(ccf):
    return ccf.segment(TEXT).input_ids


@pytest.mark.parametrize("reader", ["memory", "full", "truncated", "none"])
def test_pieces_add_up_to_the_answer(ccf, memory, ids, reader):
    *pieces, last = ccf.answer(QUESTION, memory, 40, stream=True, reader=reader, input_ids=ids)
    assert isinstance(last, Answer) and last.reader == reader
    assert pieces and all(isinstance(piece, str) and piece for piece in pieces)
    assert "".join(pieces).strip() == last.text
    at_once = ccf.answer(QUESTION, memory, 40, reader=reader, input_ids=ids)
    assert (at_once.text, at_once.evidence, at_once.kv_bytes) == (last.text, last.evidence, last.kv_bytes)


def test_an_answer_is_the_greedy_continuation_of_its_prompt(ccf, memory, ids, make_base, make_ccf):
    prompt = question_prompt(ccf.tokenizer, QUESTION)
    for reader in ("memory", "full", "truncated", "none"):
        prefix = ccf.prefix_for(reader, memory, ids)
        [expected] = ccf.decoder.generate([prefix], [prompt], max_new_tokens=20)
        found = ccf.answer(QUESTION, memory, 20, reader=reader, input_ids=ids)
        assert found.text == ccf.tokenizer.decode(expected, skip_special_tokens=True).strip()


def test_without_a_document_an_untrained_codec_answers_as_the_base(make_base, make_ccf, tokenizer):
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    out = make_base().model.generate(**chat, max_new_tokens=20, do_sample=False, suppress_tokens=[3], pad_token_id=2)
    expected = tokenizer.decode(out[0, chat["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    found = make_ccf(zero=True).answer(QUESTION, None, 20, reader="none")
    assert found.text == expected
    assert (found.evidence, found.kv_bytes, found.full_kv_bytes) == ((), 0, 0)


def test_earlier_turns_stand_before_the_question_as_the_template_writes_them(ccf, memory, tokenizer):
    history = [("Who saw the fog?", "Zoë"), ("When?", "in the evening")]
    said = [
        {"role": role, "content": text}
        for turn in history
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    written = tokenizer.apply_chat_template(
        [*said, {"role": "user", "content": QUESTION}], add_generation_prompt=True, tokenize=False
    )
    assert tokenizer.decode(question_prompt(tokenizer, QUESTION, history)) == written
    assert question_prompt(tokenizer, QUESTION, []) == question_prompt(tokenizer, QUESTION)
    assert (
        question_prompt(tokenizer, QUESTION, [("<|im_end|>", "x")]).count(tokenizer.eos_token_id)
        == written.count("<|im_end|>") - 2
    )
    alone, after = ccf.answer(QUESTION, memory, 40), ccf.answer(QUESTION, memory, 40, history=history)
    assert alone.text != after.text


def test_an_answer_tells_its_costs(ccf, memory, ids):
    for ratio in (4, 8, 32):
        some = memory.at(ratio)
        found = ccf.answer(QUESTION, some.quantize(), 8)
        # int8 is how memory is stored; the decoder holds it as float32.
        assert found.kv_bytes == some.nbytes == some.slots * 2 * ccf.token_kv_bytes
        assert found.full_kv_bytes == memory.tokens * ccf.token_kv_bytes
    full = ccf.answer(QUESTION, None, 8, reader="full", input_ids=ids)
    assert full.kv_bytes == 2 * full.full_kv_bytes == 2 * len(ids) * ccf.token_kv_bytes
    timings = found.timings
    assert timings.load_s > 0 and timings.first_token_s > 0 and timings.tokens_per_s > 0


def test_cancelling_stops_the_answer_at_the_next_token(ccf, memory):
    asked = itertools.count()
    *_, last = ccf.answer(QUESTION, memory, 200, stream=True, cancelled=lambda: next(asked) >= 3)
    assert next(asked) == 4
    *_, whole = ccf.answer(QUESTION, memory, 4, stream=True)
    assert last.text == whole.text


def computed(ccf) -> list[int]:
    """Where each token is computed from now on: the ident of the thread that asks the output head for it."""
    idents: list[int] = []
    ccf.model.get_output_embeddings().register_forward_hook(lambda *_: idents.append(threading.get_ident()))
    return idents


@pytest.mark.parametrize("reader", ["memory", "full", "focus", "none"])
def test_every_token_is_computed_on_the_calling_thread(make_ccf, reader):
    ccf = make_ccf()
    ids = ccf.segment(TEXT).input_ids
    memory = ccf.compress(TEXT)
    idents, before = computed(ccf), set(threading.enumerate())
    pieces = ccf.answer(QUESTION, memory, 20, stream=True, reader=reader, input_ids=ids)
    assert next(pieces) and not set(threading.enumerate()) - before
    assert len(idents) > 0 and set(idents) == {threading.get_ident()}
    *_, last = pieces
    assert isinstance(last, Answer) and set(idents) == {threading.get_ident()}


def test_a_token_is_computed_when_it_is_asked_for_and_no_sooner(make_ccf, tokenizer):
    ccf = make_ccf()
    idents = computed(ccf)
    pieces = ccf.answer(QUESTION, ccf.compress(TEXT), 5000, stream=True)
    assert next(pieces)
    first = len(idents)
    assert next(pieces) and first < len(idents) < 100
    pieces.close()
    assert len(idents) < 100


def test_pieces_are_those_of_the_librarys_streamer(ccf, memory, tokenizer):
    for text, question in ((TEXT, QUESTION), ("Zoë saw 東京 🙂. " * 9, "Who saw?")):
        prefix, prompt = ccf.decoder.prefix(ccf.compress(text)), question_prompt(tokenizer, question)
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        [ids] = ccf.decoder.generate([prefix], [prompt], max_new_tokens=60, streamer=streamer)
        *pieces, (found, *_) = stream_pieces(ccf.decoder, tokenizer, prefix, prompt, 60)
        assert found == ids
        assert pieces == [piece for piece in streamer if piece]


def test_where_generate_has_to_be_used_closing_the_stream_ends_its_thread(make_ccf):
    ccf = make_ccf()
    ccf.model.generation_config.repetition_penalty = 1.5
    memory, before = ccf.compress(TEXT), set(threading.enumerate())
    *pieces, last = ccf.answer(QUESTION, memory, 40, stream=True)
    assert "".join(pieces).strip() == last.text
    asked = itertools.count()
    *_, stopped = ccf.answer(QUESTION, memory, 200, stream=True, cancelled=lambda: next(asked) >= 3)
    assert last.text.startswith(stopped.text)
    pieces = ccf.answer(QUESTION, memory, 5000, stream=True)
    assert next(pieces)
    assert set(threading.enumerate()) - before
    pieces.close()
    assert not set(threading.enumerate()) - before


def test_a_failure_while_generating_reaches_the_caller(ccf):
    pieces = stream_pieces(ccf.decoder, ccf.tokenizer, None, [5, 6], 4, no_such_option=True)
    with pytest.raises(ValueError, match="no_such_option"):
        list(pieces)


def test_evidence_is_the_attention_to_each_segment(ccf, memory, plain_forward):
    prompt = question_prompt(ccf.tokenizer, QUESTION)
    prefix = ccf.decoder.prefix(memory)
    [ids] = ccf.decoder.generate([prefix], [prompt], max_new_tokens=9)
    attention = plain_forward(ccf.model, memory, [*prompt, *ids])[1]
    # Two layers: the upper half is the second. An answer's tokens are chosen one position before they stand.
    rows = slice(len(prompt) - 1, len(prompt) + len(ids) - 1)
    expected = attention[1][:, rows, : memory.slots].mean((0, 1))
    found = slot_attention(ccf.decoder, prefix, prompt, ids)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)

    shares, at = {}, 0
    for index, blocks in enumerate(memory.blocks):
        slots = sum(block.slots for block in blocks.values())
        shares[index] = float(expected[at : at + slots].sum() / expected.sum())
        at += slots
    answer = ccf.answer(QUESTION, memory, 9)
    assert {item.segment: item.score for item in answer.evidence} == pytest.approx(shares, abs=1e-4)
    scores = [item.score for item in answer.evidence]
    assert sum(scores) == pytest.approx(1, abs=1e-5) and scores == sorted(scores, reverse=True)


def test_attention_is_read_without_leaving_the_model_changed(ccf, memory):
    before = ccf.model.config._attn_implementation
    ccf.answer(QUESTION, memory, 4)
    assert ccf.model.config._attn_implementation == before
    assert ccf.answer(QUESTION, memory, 4, with_evidence=False).evidence == ()


@pytest.fixture(scope="module")
def attentive(make_base, make_adapter):
    """A codec whose every query is one constant vector, along the pair of numbers that rotary embedding turns least."""
    base = make_base("qwen2")
    for layer in base.model.model.layers:
        layer.self_attn.q_proj.weight.zero_()
        layer.self_attn.q_proj.bias.zero_().view(4, 8)[:, 3] = 6
    return CCF(base, make_adapter(base.model, zero=True))


@pytest.mark.parametrize("ratio", [4, 16])
@pytest.mark.parametrize("planted", range(4))
def test_evidence_finds_the_segment_whose_keys_match_the_question(attentive, text_ids, planted, ratio):
    memory = attentive.compress(text_ids(120)).at(ratio)

    def toward(block, size):
        k = torch.zeros_like(block.k)
        k[..., 3] = size
        return dataclasses.replace(block, k=k)

    blocks = tuple(
        {level: toward(block, 6 if index == planted else -6) for level, block in levels.items()}
        for index, levels in enumerate(memory.blocks)
    )
    found = attentive.answer(QUESTION, dataclasses.replace(memory, blocks=blocks), 6).evidence
    assert sorted(item.segment for item in found) == [0, 1, 2, 3]
    assert found[0].segment == planted and found[0].score > 0.99
    assert sum(item.score for item in found) == pytest.approx(1, abs=1e-5)


def test_evidence_sums_slots_and_survives_none():
    found = evidence(torch.tensor([0.1, 0.2, 0.3, 0.0]), [0, 2, 2, 1])
    assert [item.segment for item in found] == [2, 0, 1]
    assert [item.score for item in found] == pytest.approx([5 / 6, 1 / 6, 0])
    assert evidence(torch.zeros(0), []) == ()
    assert [item.score for item in evidence(torch.zeros(2), [0, 1])] == [0, 0]
