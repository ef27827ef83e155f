"""Tokenizers of other families: a repeat token of its own for each, questions as each is asked, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ccf_core import CCF, Adapter, AdapterError, CCFConfig
from ccf_core.__main__ import main
from ccf_core.answering.prompt import question_prompt
from ccf_core.assets import DEFAULT_ADAPTER
from ccf_core.base.load import Base, UnsupportedBase, load_base
from ccf_core.base.tokenizer import PLAIN_TEMPLATE, check_repeat_token, end_tokens
from ccf_core.memory.segments import tokenize
from tests.families import FAMILIES

FolderMaker = Callable[..., Path]
TEXT = "Seven ships cost $1,984 at 3 $ each. "
QUESTION = "Who counted the ships?"


@pytest.fixture(scope="module")
def load(family_folder: FolderMaker) -> Callable[[str], Base]:
    """``load(family)``: a base of its own, on the CPU in float32."""
    return lambda family: load_base(family_folder(family), device="cpu", dtype="float32")


def adapter_of(base: Base, **options: object) -> Adapter:
    return Adapter.zero(base.model, base.new_config(segment_length=16, encoder_rank=2, decoder_rank=2, **options))


# Repeat tokens


@pytest.mark.parametrize(
    ("family", "token"),
    [
        ("qwen2", None),  # behind all tokens
        ("qwen3", "<|vision_pad|>"),
        ("llama3", "<|reserved_special_token_2|>"),
        ("llama3_base", "<|reserved_special_token_2|>"),
        ("mistral", "[control_1]"),
        ("smollm2_base", "<repo_name>"),
    ],
)
def test_a_new_adapter_repeats_after_a_token_that_nothing_else_holds(load, family: str, token: str | None):
    base = load(family)
    chosen, vocabulary = base.new_config().repeat_token, base.tokenizer.get_vocab()
    assert chosen == (vocabulary[token] if token else max(vocabulary.values()) + 1)
    spelt = f"{TEXT} {' '.join(vocabulary)}"
    assert chosen not in tokenize(spelt, base.tokenizer)[0] + question_prompt(base.tokenizer, spelt, [("?", "!")])


@pytest.mark.parametrize("family", FAMILIES)
def test_dollars_are_read_and_written_as_the_base_does(load, family: str):
    base = load(family)
    plain, ids = base.copy().model, tokenize(TEXT, base.tokenizer)[0]
    dollar = base.tokenizer.convert_tokens_to_ids("$")
    assert dollar in ids
    ccf = CCF(base, adapter_of(base))
    with torch.inference_mode():
        assert torch.equal(ccf.model(torch.tensor([ids])).logits, plain(torch.tensor([ids])).logits)
    # A base that writes nothing but dollars.
    ccf.model.get_output_embeddings().weight.data = torch.zeros(ccf.model.config.vocab_size, 32)
    ccf.model.get_output_embeddings().weight.data[dollar] = ccf.model.model.norm.weight
    ccf.model.model.norm.weight.data.fill_(1.0)
    written = ccf.decoder.generate([None, None], [ids, ids[:3]], max_new_tokens=4, exactly=True)
    sampled = ccf.decoder.generate([None, None], [ids, ids[:3]], max_new_tokens=4, exactly=True, temperature=1.0)
    assert sampled == written


def test_what_repeats_does_so_whatever_the_id(load):
    """A special token, and an id behind the embeddings."""
    found = []
    for behind in (False, True):
        base = load("smollm2_base")
        options = {"repeat_token": base.model.config.vocab_size} if behind else {}
        ccf = CCF(base, adapter_of(base, **options))
        assert (ccf.config.repeat_token < base.model.config.vocab_size) != behind
        memory, ids = ccf.compress(TEXT), ccf.segment(TEXT).input_ids[:8]
        prefix, prompt = ccf.decoder.prefix(memory), [ccf.config.repeat_token]
        beams = ccf.model.generate(**ccf.prefill(memory, prompt), max_new_tokens=6, num_beams=2, pad_token_id=0)
        scores = ccf.decoder.score(prefix, prompt, ids)
        found.append((ccf.reconstruct_ids(memory), beams[:, 1:].tolist(), scores.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("family", "token"),
    [("qwen2", "$"), ("llama3", "$"), ("mistral", "[INST]"), ("qwen3", "<think>"), ("qwen3", "<|im_end|>")],
)
def test_a_repeat_token_that_texts_or_questions_hold_is_refused(load, family: str, token: str):
    base = load(family)
    adapter = adapter_of(base, repeat_token=base.tokenizer.convert_tokens_to_ids(token))
    with pytest.raises(AdapterError) as refused:
        CCF(base, adapter)
    assert f"is {token!r} in this base's tokenizer" in str(refused.value)


def test_training_on_from_an_adapter_with_such_a_token_is_refused(family_folder, tmp_path, capsys):
    folder = family_folder("qwen3")
    base = load_base(folder, device="cpu", dtype="float32")
    Adapter.zero(base.model, CCFConfig(encoder_rank=2, decoder_rank=2)).save(tmp_path / "old")
    (tmp_path / "text.jsonl").write_text(json.dumps({"text": TEXT * 20}))
    command = [
        "train",
        "--base",
        str(folder),
        "--text",
        str(tmp_path / "text.jsonl"),
        "--device",
        "cpu",
        "--workers",
        "0",
    ]
    command += ["--out", str(tmp_path / "out"), "--start", str(tmp_path / "old"), "--made-up", "0", "--steps", "1"]
    assert main(command) == 2
    assert "'$'" in capsys.readouterr().err


def test_the_shipped_adapter_keeps_its_token() -> None:
    config = Adapter.load(DEFAULT_ADAPTER).config
    assert (config.repeat_token, config.chat_template) == (3, "")
    assert "chat_template" not in config.as_dict()


@pytest.mark.model
def test_the_token_of_the_shipped_adapter_is_free_in_the_default_base(real_base: Base):
    check_repeat_token(real_base.tokenizer, 3)
    assert real_base.new_config().chat_template == ""


# Questions


@pytest.mark.parametrize("family", ["llama3_base", "smollm2_base"])
def test_a_base_without_a_chat_template_is_asked_plainly(load, family: str, tmp_path):
    base = load(family)
    asked = question_prompt(base.tokenizer, f" {QUESTION}\n", [("When?", "In the <|im_end|> evening")])
    written = (
        "\n\nQuestion:\nWhen?\n\nAnswer:\nIn the <|im_end|> evening\n\nQuestion:\nWho counted the ships?\n\nAnswer:\n"
    )
    assert base.tokenizer.decode(asked) == written
    assert not {base.tokenizer.eos_token_id, base.tokenizer.bos_token_id}.intersection(asked)
    adapter_of(base).save(tmp_path)
    assert json.loads((tmp_path / "ccf.json").read_text())["chat_template"] == PLAIN_TEMPLATE


def test_an_adapter_is_asked_as_it_was_trained(load, tmp_path):
    base = load("llama3_base")
    adapter_of(base, chat_template="{% for m in messages %}Q {{ m['content'] }} A{% endfor %}").save(tmp_path)
    base.tokenizer.chat_template = "another"
    ccf = CCF(base, Adapter.load(tmp_path))
    assert ccf.tokenizer.decode(question_prompt(ccf.tokenizer, QUESTION)) == f"Q {QUESTION} A"
    assert base.tokenizer.chat_template == "another"
    assert ccf.answer(QUESTION, ccf.compress(TEXT), 4).kv_bytes


def test_a_model_that_thinks_is_told_to_answer(load):
    tokenizer = load("qwen3").tokenizer
    asked = tokenizer.decode(question_prompt(tokenizer, QUESTION))
    assert asked == f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@pytest.mark.parametrize("configured", [None, 7, [7, 8]])
def test_an_answer_ends_at_the_end_token_of_the_tokenizer_too(family_folder: FolderMaker, configured):
    base = load_base(family_folder("qwen2", eos_token_id=configured), device="cpu", dtype="float32")
    own = [] if configured is None else [configured] if isinstance(configured, int) else configured
    assert end_tokens(base.model) == [*own, base.tokenizer.eos_token_id]


# Refusals


def test_a_tokenizer_without_an_end_token_is_refused(family_folder: FolderMaker):
    folder = family_folder("qwen2")
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token": None}))
    with pytest.raises(UnsupportedBase, match='name the token that ends a text as "eos_token"'):
        load_base(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(family_folder: FolderMaker):
    with pytest.raises(UnsupportedBase, match=r"has 318 tokens.*embeddings for 312.*resize_token_embeddings\(318\)"):
        load_base(family_folder("qwen3", vocab_size=312))
