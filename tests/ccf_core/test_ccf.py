"""CCF, the public face: compress, stop, put together, reconstruct, save, and refuse what is not its own."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ccf_core import CCF, AdapterError, Cancelled, KVMemory, MemoryMismatch, NothingToCompress
from ccf_core.answering.prompt import question_prompt
from ccf_core.base.default import PIN
from ccf_core.errors import NoSuchPart, WrongArgument
from ccf_core.memory.block import block_to_bytes, unpacked
from ccf_core.memory.file import load_memory, save_memory
from ccf_core.model.encoder import Encoder
from ccf_core.model.greedy import cache_argument

ROOT = Path(__file__).parents[2]
TEXT = "The harbour master counted seven ships in 1984. Zoë saw the evening fog hide them all again. " * 4


@pytest.fixture(scope="module")
def memory(ccf):
    return ccf.compress(TEXT)


def tensors(memory):
    return {
        (index, level, name): tensor
        for index, level, block in memory.parts()
        for name, tensor in block.tensors().items()
    }


def same_block(data, block):
    found = unpacked(data).tensors()
    return all(torch.equal(tensor, found[name]) for name, tensor in block.tensors().items())


def same(one, other):
    ours, theirs = tensors(one), tensors(other)
    return ours.keys() == theirs.keys() and all(torch.equal(t, theirs[key]) for key, t in ours.items())


def test_a_memory_says_where_it_comes_from(ccf, memory):
    assert memory.header == ccf.header
    assert (memory.header.base, memory.header.tokenizer) == ("weights llama 0", "tokenizer 0")
    assert memory.header.adapter == ccf.adapter.fingerprint
    assert memory.spans == ccf.segment(TEXT).spans
    assert memory.tokens == len(ccf.tokenizer(TEXT, add_special_tokens=False)["input_ids"])
    assert ccf.token_kv_bytes == 2 * 2 * 2 * 8 * 2
    assert ccf.decoder.kv_bytes == ccf.base.kv_bytes(torch.float32) == 2 * ccf.token_kv_bytes
    assert {ratio: ccf.segment(TEXT).slots(ratio) for ratio in ccf.config.ratios} == {
        ratio: memory.at(ratio).slots for ratio in ccf.config.ratios
    }


def test_token_ids_give_the_same_slots_as_their_text(ccf, memory):
    assert same(ccf.compress(list(ccf.segment(TEXT).input_ids)), memory)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_a_memory_made_small_where_it_is_made_is_the_one_made_small_afterwards(ccf, memory, dtype, tmp_path):
    small = ccf.compress(TEXT, dtype=dtype)
    assert small.dtype == dtype
    assert same(small, memory.quantize(dtype))
    save_memory(small, tmp_path / "small")
    assert same(load_memory(tmp_path / "small"), small)
    assert all(same_block(block_to_bytes(block), block) for _, _, block in small.parts())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ccf, m: ccf.compress(None), "one text, or its token ids as one row of whole numbers, not NoneType"),
        (lambda ccf, m: ccf.compress(b"fog"), "not bytes"),
        (lambda ccf, m: ccf.compress(["fog", "rain"]), "not list"),
        (lambda ccf, m: ccf.compress([[5, 6]]), "not list"),
        (lambda ccf, m: ccf.compress([5.0]), "not list"),
        (lambda ccf, m: ccf.compress(Path("fog")), "fog is the name of a file: give the text in it"),
        (lambda ccf, m: ccf.compress("a/report.pdf"), "a/report.pdf is the name of a file"),
        (lambda ccf, m: ccf.compress(__file__), "is the name of a file"),
        (lambda ccf, m: ccf.compress([5, 320]), "no token 320, for this base has 320"),
        (lambda ccf, m: ccf.compress([5, -1]), "no token -1"),
        (lambda ccf, m: ccf.segment(None), "not NoneType"),
        (lambda ccf, m: ccf.compress(8, "fog"), "not int"),
        (lambda ccf, m: ccf.answer(m, "Who?"), "look at the order of the arguments"),
        (lambda ccf, m: ccf.answer(None, m), "A question is a text, not NoneType"),
        (lambda ccf, m: ccf.answer("Who?", m, reader="full", input_ids=[999]), "no token 999"),
        (lambda ccf, m: ccf.prefix_for(m, "memory"), "in the place of this str: look at the order"),
        (lambda ccf, m: ccf.continue_text([5, 6], m), "in the place of this list"),
        (lambda ccf, m: ccf.prefill("Who?", m), "in the place of this str"),
        (lambda ccf, m: ccf.prefill(m, None), "a question, or its token ids"),
        (lambda ccf, m: ccf.reconstruct([0], m), "in the place of this list"),
        (lambda ccf, m: ccf.reconstruct(m, 0), r"a list of whole numbers, such as \[0, 1\]"),
        (lambda ccf, m: m.select("01"), "a list of whole numbers"),
        (lambda ccf, m: save_memory("m.safetensors", m), "in the place of this str"),
    ],
)
def test_a_wrong_argument_is_told_in_a_sentence(ccf, memory, call, says):
    with pytest.raises(WrongArgument, match=says) as told:
        call(ccf, memory)
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


def test_a_segment_that_there_is_not_is_told_in_a_sentence(ccf, memory):
    for call in (memory.select, lambda segments: ccf.reconstruct(memory, segments)):
        for wrong in (memory.segments, -memory.segments - 1):
            with pytest.raises(NoSuchPart, match=f"no segment {wrong}: it has {memory.segments}, counted from 0"):
                call([0, wrong])
    assert memory.select([-1]).spans == memory.spans[-1:]


@pytest.mark.parametrize("text", ["example.com", "Please read report.pdf", "e.g. 3.14", "fog\n" + __file__])
def test_a_text_that_only_mentions_a_file_is_a_text(ccf, text):
    assert ccf.compress(text).tokens == ccf.segment(text).spans[-1].end


def test_progress_reaches_the_end_and_never_goes_back(ccf):
    told = []
    memory = ccf.compress(TEXT, progress=lambda done, total: told.append((done, total)))
    assert [total for _, total in told] == [memory.tokens] * memory.segments
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (memory.tokens, memory.tokens)


def test_cancelling_stops_soon(ccf, text_ids):
    done = []
    with pytest.raises(Cancelled, match="cancelled"):
        ccf.compress(
            text_ids(32 * 40),
            progress=lambda tokens, _: done.append(tokens),
            cancelled=lambda: len(done) == 2,
        )
    assert done == [32, 64]


@pytest.mark.parametrize("nothing", ["", []])
def test_nothing_to_compress_is_said(ccf, nothing):
    with pytest.raises(NothingToCompress):
        ccf.compress(nothing)


def test_segments_encoded_one_by_one_and_levels_in_any_order_make_the_same_memory(ccf, memory):
    document = ccf.segment(TEXT)
    last = len(document.spans) - 1
    blocks = dict(ccf.encode(document, [last]))
    assert blocks.keys() == {last}
    blocks |= dict(ccf.encode(document, range(last)))
    shuffled = {i: dict(sorted(levels.items())) for i, levels in blocks.items()}
    for ratio in (4, 16):
        together = ccf.memory(document, shuffled, ratio)
        assert together.slots == memory.at(ratio).slots
        for key, tensor in tensors(together).items():
            torch.testing.assert_close(tensor, tensors(memory)[key], atol=1e-5, rtol=1e-5)
        prefix, expected = ccf.decoder.prefix(together), ccf.decoder.prefix(memory.at(ratio))
        torch.testing.assert_close(prefix.keys[-1], expected.keys[-1], atol=1e-5, rtol=1e-5)


def test_a_reconstruction_has_as_many_tokens_as_its_segment(ccf, memory, plain_forward):
    for some in (memory, memory.at(32), memory.quantize(), memory.quantize("int4")):
        rows = ccf.reconstruct_ids(some)
        assert [len(row) for row in rows] == [len(span) for span in some.spans]
    ids = [ccf.config.repeat_token]
    barred = [ccf.config.repeat_token, ccf.tokenizer.eos_token_id]
    for _ in range(len(memory.spans[1])):
        logits = plain_forward(ccf.model, memory.select([1]), ids)[0][-1]
        ids.append(int(logits.index_fill(0, torch.tensor(barred), float("-inf")).argmax()))
    assert ccf.reconstruct_ids(memory, [1]) == [ids[1:]]


def test_reconstructions_do_not_depend_on_what_is_asked_beside_them(ccf, memory):
    every = ccf.reconstruct_ids(memory)
    last = memory.segments - 1
    assert ccf.reconstruct_ids(memory, [last, 0]) == [every[last], every[0]]
    assert ccf.reconstruct_ids(memory, batch_size=1) == every
    assert ccf.reconstruct_ids(memory, []) == []
    texts = ccf.reconstruct(memory, [0])
    assert texts == [ccf.tokenizer.decode(every[0])]


def test_cancelling_stops_a_reconstruction_at_the_next_token(ccf, memory):
    asked = itertools.count()
    with pytest.raises(Cancelled, match="cancelled"):
        ccf.reconstruct_ids(memory, cancelled=lambda: next(asked) >= 3)
    # Asked once more, between the batches.
    assert next(asked) == 5


def test_it_works_in_bfloat16(make_base, make_adapter, plain_forward):
    base = make_base()
    base.model.to(torch.bfloat16)
    half = CCF(base, make_adapter(base.model))
    memory = half.compress(TEXT)
    assert memory.dtype == "bfloat16"
    assert [len(row) for row in half.reconstruct_ids(memory.quantize())] == [len(s) for s in memory.spans]
    assert half.decoder.prefix(memory.quantize()).keys[0].dtype == torch.bfloat16


def test_all_of_it_moves(make_base, make_adapter, plain_forward, monkeypatch):
    base = make_base()
    moving = CCF(base, make_adapter(base.model))
    memory = moving.compress(TEXT)
    before = moving.reconstruct_ids(memory)
    assert same(moving.to("cpu").compress(TEXT), memory)
    assert moving.reconstruct_ids(memory) == before
    # A device without numbers, which no machine lacks.
    monkeypatch.setattr("ccf_core.ccf.choose_device", torch.device)
    moving.to("meta")
    held = [*moving.model.parameters(), *moving.model.buffers(), moving.encoder.embedding]
    held += [moving.encoder.level_embeddings, *(w for layer in moving.encoder.layers for w in layer.values())]
    held += [w for layer in moving.decoder.layers for w in layer.values()]
    assert {tensor.device.type for tensor in held} == {"meta"}
    assert {moving.encoder.tables(8, 4).pool.device.type, moving.encoder.tables(8, 4).cos.device.type} == {"meta"}
    assert moving.model(torch.full((1, 3), moving.config.repeat_token, device="meta")).logits.device.type == "meta"


FOREIGN = {
    "base": {"seed": 7},
    "adapter": {"adapter_seed": 7},
    "tokenizer": {"tokenizer": "tokenizer 1"},
    "segment length": {"segment_length": 16},
    "compressor": {"compressor": "mean_pool"},
}


@pytest.fixture(params=FOREIGN)
def foreign(request, make_base, make_adapter):
    """(what differs, a memory of the same text by a codec that differs in that alone)."""
    changes = dict(FOREIGN[request.param])
    base = make_base(seed=changes.pop("seed", 0))
    base = dataclasses.replace(base, tokenizer_fingerprint=changes.pop("tokenizer", "tokenizer 0"))
    adapter = make_adapter(base.model, changes.pop("adapter_seed", 1), **changes)
    return request.param, CCF(base, adapter).compress(TEXT)


def test_a_foreign_memory_is_refused_at_every_door(ccf, foreign, tmp_path):
    differs, memory = foreign
    says = "another adapter" if differs in ("segment length", "compressor") else f"another {differs}"
    save_memory(memory, tmp_path / "m.safetensors")
    for some in (memory, load_memory(tmp_path / "m.safetensors")):
        for door in (
            lambda m: ccf.check(m),
            lambda m: ccf.reconstruct(m, [0]),
            lambda m: ccf.answer("Who?", m),
            lambda m: ccf.prefix_for("memory", m),
            lambda m: KVMemory.join([ccf.compress("fog"), m]),
        ):
            with pytest.raises(MemoryMismatch, match=says):
                door(some)


@pytest.mark.parametrize(("field", "value"), [("segment_length", 16), ("mask", "prefix"), ("ratios", (4, 8))])
def test_a_memory_of_another_configuration_is_refused_even_by_the_same_adapter(ccf, memory, field, value):
    other = dataclasses.replace(memory, header=dataclasses.replace(memory.header, **{field: value}))
    with pytest.raises(MemoryMismatch, match=field.replace("_", " ").replace("mask", "encoder mask")):
        ccf.prefix_for("memory", other)


@pytest.mark.parametrize(
    ("trained_on", "says"),
    [
        (
            {"base": "weights llama 9", "base_name": "org/llama-9"},
            "trained on org/llama-9, and tiny is .* other weights",
        ),
        (
            {"tokenizer": "tokenizer 9", "base_name": "org/llama"},
            "trained on org/llama, and tiny is .* another tokenizer",
        ),
        ({"base": PIN.weights_sha256}, f"trained on {PIN.id}, and tiny is"),
        ({"base": "0123456789abcdef"}, "trained on a base with the fingerprint 0123456789ab…, and tiny is"),
    ],
)
def test_an_adapter_of_another_base_is_refused_unless_allowed(make_base, make_adapter, trained_on, says):
    base = make_base()
    adapter = make_adapter(base.model, **trained_on)
    before = [p.clone() for p in base.model.parameters()]
    with pytest.raises(MemoryMismatch, match=says + r".*\(allow_other_base=True, .*CCF_ALLOW_OTHER_BASE=1\)"):
        CCF(base, adapter)
    assert all(torch.equal(p, q) for p, q in zip(base.model.parameters(), before, strict=True))
    assert CCF(base, adapter, allow_other_base=True).compress("fog").segments == 1


def test_an_adapter_trained_on_this_base_is_taken(make_base, make_adapter):
    base = make_base()
    adapter = make_adapter(base.model, base="weights llama 0", tokenizer="tokenizer 0")
    assert CCF(base, adapter).compress("fog").header.base == "weights llama 0"


def test_an_adapter_of_another_size_is_refused(make_base, make_adapter, tiny_model):
    with pytest.raises(AdapterError, match="another size"):
        CCF(make_base(), make_adapter(tiny_model(intermediate_size=64)), allow_other_base=True)


@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated")
@pytest.mark.parametrize("older", [False, True])
def test_a_prefilled_cache_serves_the_beams_and_samples_of_transformers(ccf, memory, older):
    """Every beam has the score that reading it word for word after the memory gives it."""
    prompt = question_prompt(ccf.tokenizer, "Who?")
    prefix, some = ccf.decoder.prefix(memory.at(8)), {"max_new_tokens": 6, "min_new_tokens": 6}

    def written(question, **how):
        given = ccf.prefill(memory.at(8), question)
        assert given["input_ids"].tolist() == [prompt]
        if older:
            given["past_key_values"] = given.pop(cache_argument(ccf.model))
        out = ccf.model.generate(**given, **some, **how, return_dict_in_generate=True, output_scores=True)
        return out, [row[len(prompt) :] for row in out.sequences.tolist()]

    beams, rows = written("Who?", num_beams=4, num_return_sequences=3, length_penalty=0.0)
    assert len({tuple(row) for row in rows}) == 3
    for row, score in zip(rows, beams.sequences_scores, strict=True):
        assert ccf.decoder.score(prefix, prompt, row).sum() == pytest.approx(float(score), abs=1e-4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, samples = written(prompt, do_sample=True, temperature=2.0, num_return_sequences=3)
    assert len({tuple(row) for row in samples}) == 3
    assert written("Who?", do_sample=False)[1] == ccf.decoder.generate(
        [prefix], [prompt], max_new_tokens=6, exactly=True
    )


def test_the_lines_of_the_readme_run(ccf, monkeypatch, tmp_path, capsys):
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "report.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CCF, "from_pretrained", lambda adapter: ccf)
    exec(lines, {})
    assert "ccf.prefill(" in lines
    assert capsys.readouterr().out.strip()


def test_readers_hold_what_they_say(ccf, memory):
    ids = ccf.segment(TEXT).input_ids
    assert ccf.prefix_for("none", memory, ids) is None
    for ratio in (4, 8, 32):
        some = memory.at(ratio)
        compressed, cut = ccf.prefix_for("memory", some), ccf.prefix_for("truncated", some, ids)
        assert compressed.nbytes == cut.nbytes == some.nbytes
        assert cut.length == some.slots
    full = ccf.prefix_for("full", None, ids)
    assert full.nbytes == len(ids) * 2 * 2 * 2 * 8 * 4


@pytest.mark.parametrize(
    ("reader", "with_memory", "says"),
    [
        ("memory", False, "needs a memory"),
        ("truncated", False, "needs a memory"),
        ("full", False, "input_ids"),
        ("truncated", True, "input_ids"),
        ("crystal ball", True, "must be one of memory, focus, full, truncated, none"),
    ],
)
def test_a_reader_without_what_it_reads_is_refused(ccf, memory, reader, with_memory, says):
    ids = [5] if says == "needs a memory" else []
    with pytest.raises(ValueError, match=says):
        ccf.prefix_for(reader, memory if with_memory else None, ids)


def test_stored_memory_is_read_without_the_encoder(ccf, memory, tmp_path, monkeypatch):
    save_memory(memory.quantize(), tmp_path / "m.safetensors")
    encoded = []
    monkeypatch.setattr(Encoder, "begin", lambda *_: encoded.append(1))
    loaded = load_memory(tmp_path / "m.safetensors").at(8)
    assert ccf.answer("Who counted the ships?", loaded, 4).kv_bytes > 0
    assert len(ccf.reconstruct(loaded)) == memory.segments
    assert encoded == []


IN_ANOTHER_PROCESS = """
import json, sys
from ccf_core import CCF, load_memory
from ccf_core.answering.prompt import question_prompt

adapter, base, path, question, target = sys.argv[1:]
ccf = CCF.from_pretrained(adapter, base, device="cpu", dtype="float32")
memory = load_memory(path)
prompt = question_prompt(ccf.tokenizer, question)
print(json.dumps({
    "scores": ccf.decoder.score(ccf.decoder.prefix(memory), prompt, json.loads(target)).tolist(),
    "answer": ccf.answer(question, memory, 12).text,
    "reconstruction": ccf.reconstruct_ids(memory),
}))
"""


@pytest.mark.slow
def test_a_memory_file_is_all_that_another_process_needs(make_adapter, tiny_folder, tiny_model, text_ids, tmp_path):
    """Scores agree with a process that never saw the text, and change with the memory of another document."""
    base, adapter, question = tiny_folder(), tmp_path / "adapter", "Who counted the ships?"
    make_adapter(tiny_model()).save(adapter)
    ccf = CCF.from_pretrained(adapter, base, device="cpu", dtype="float32")
    ccf.adapter.save(adapter)
    memory = ccf.compress(TEXT).at(8)
    save_memory(memory, tmp_path / "m.safetensors")
    assert b"harbour" not in (tmp_path / "m.safetensors").read_bytes()

    target = text_ids(10)
    prompt = question_prompt(ccf.tokenizer, question)
    scores = ccf.decoder.score(ccf.decoder.prefix(memory), prompt, target)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, adapter, base, tmp_path / "m.safetensors", question]
    done = subprocess.run(
        [*map(str, command), json.dumps(target)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CCF_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["scores"] == pytest.approx(scores.tolist(), abs=1e-5)
    assert told["answer"] == ccf.answer(question, memory, 12).text
    assert told["reconstruction"] == ccf.reconstruct_ids(memory)

    other = ccf.compress(TEXT[::-1]).at(8)
    assert (ccf.decoder.score(ccf.decoder.prefix(other), prompt, target) - scores).abs().max() > 1e-2
