"""What a user of the training command may get wrong: exit code 2, one sentence, and nothing written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ccf_core.__main__ import main
from ccf_core.answering.prompt import question_prompt
from ccf_core.base.load import load_base
from ccf_core.config import CCFConfig
from ccf_core.errors import TrainingError
from ccf_core.model.adapter import Adapter
from ccf_core.training.config import TrainingConfig
from ccf_core.training.data.batch_size import BatchTooSmall
from ccf_core.training.data.dataset import TrainingData, tokenize_rows
from ccf_core.training.data.examples import Mix
from ccf_core.training.loop import train
from tests.ccf_core.training.command import arguments, rows_of

ASKED = {"context": "The war of 1812 was long. " * 4, "question": "When?"}


def written(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def base_folder(tiny_folder) -> Path:
    return tiny_folder("llama")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--text", "{here}/nowhere.jsonl"], "There is no file"),
        (["--text", "{here}/bad.jsonl"], "Line 2 of bad.jsonl is not readable as JSON"),
        (["--qa", "{here}/unanswered.jsonl"], "Line 1 of unanswered.jsonl has no 'answers' that can be used"),
        (["--held-out", "{here}/titles.jsonl"], "give rows with 'text', or 'context' and 'question' and 'answers'"),
        (["--held-out", "{here}/bad.npz"], "bad.npz holds no tokenized rows"),
        (["--tokens", "{here}/bad.npz"], "bad.npz holds no tokenized rows"),
        (["--tokens", "{here}/tokens"], "tokens cannot be written: give --tokens a name.npz"),
        (["--base", "{here}/nowhere"], "no folder"),
        (["--device", "abacus"], "abacus is not a device"),
        (["--dtype", "int3"], "int3 is not a dtype"),
        (["--start", "{here}/nowhere"], "no adapter in"),
        (["--resume", "{here}/nowhere"], "no adapter in"),
        (["--targets", "x_proj"], "invalid choice: 'x_proj'"),
        (["--compressor", "foil"], "invalid choice: 'foil'"),
        (["--segment-length", "0"], "Such an adapter cannot be: segment_length must be positive"),
        (["--tokens-per-batch", "8"], "is too small for the examples: give a larger --tokens-per-batch"),
        (["--steps", "0"], "--steps must be 1 or more, not 0."),
        (["--log-every", "0"], "--log-every must be 1 or more, not 0."),
        (["--learning-rate", "nan"], "--learning-rate must be a number above 0"),
        (["--mix-ratios", ".5", ".5"], "--mix-ratios must be a share for each of the ratios 4, 8, 16, 32"),
        (["--mix-ratios", ".5", ".5", ".5", ".5"], "--mix-ratios must be shares from 0 to 1 that add up to 1"),
        (["--mix-weights", "1", "1", "1", "1", "1", "-1"], "--mix-weights must be 6 numbers of 0 or more"),
        (["--mix-facts", "0"], "--mix-facts must be 1 or more"),
        (["--out", "{here}/bad.jsonl"], "bad.jsonl is a file: give a folder as --out"),
    ],
)
def test_mistakes_end_with_code_2_and_one_sentence(base_folder, texts, tmp_path, capsys, more, says):
    written(tmp_path / "bad.jsonl", {"text": "fine"})
    (tmp_path / "bad.jsonl").open("a").write("{not json}\n")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    written(tmp_path / "unanswered.jsonl", ASKED)
    written(tmp_path / "titles.jsonl", {"title": "t"})
    out = tmp_path / "out"
    try:
        code = main(
            arguments(base_folder, texts, out, "--steps", "1", *(value.format(here=tmp_path) for value in more))
        )
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr()
    assert code == 2
    assert says in printed.err
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    assert not list(out.glob("*"))


def test_a_run_without_rows_is_told_so(base_folder, tmp_path, capsys):
    assert main(["train", "--base", str(base_folder), "--out", str(tmp_path / "out")]) == 2
    assert "nothing to train on: give rows as --text or --qa, or a folder as --data" in capsys.readouterr().err


def test_tokens_of_another_tokenizer_are_refused(base_folder, texts, tmp_path, capsys):
    tokens = tmp_path / "tokens.npz"
    assert main(arguments(base_folder, texts, tmp_path / "out", "--steps", "1", "--tokens", str(tokens))) == 0
    kept, tokenizer = TrainingData.load(tokens), load_base(base_folder, device="cpu").tokenizer
    tokenizer.add_tokens(["<new>"])
    for other in (
        dataclasses.replace(kept, tokenizer="0" * 64),
        tokenize_rows(rows_of(texts), [], tokenizer, end_token=2),
    ):
        other.save(tokens)
        assert main(arguments(base_folder, texts, tmp_path / "out", "--steps", "1", "--tokens", str(tokens))) == 2
        assert "The tokens in tokens.npz are of another base's tokenizer" in capsys.readouterr().err


def test_answers_of_every_form_are_taught_whole_and_what_is_left_out_is_counted(base_folder, tmp_path, capsys):
    forms = ("1812", ["1812", "x"], {"text": ["1812"], "answer_start": [11]}, [{"text": "1812"}], ["", "1812"])
    rows = [ASKED | {"answers": answers} for answers in forms]
    left_out = [ASKED | {"answers": []}, ASKED | {"answers": " "}, {**ASKED, "context": "", "answers": "1812"}]
    long = [ASKED | {"context": "fog " * 9000, "answers": "1812"}]
    tokens = tmp_path / "tokens.npz"
    asked = written(tmp_path / "qa.jsonl", *rows, *left_out, *long)
    given = ["--qa", asked, "--held-out", asked, "--tokens", str(tokens), "--steps", "1", "--validation-batches", "1"]
    assert main(arguments(base_folder, written(tmp_path / "t.jsonl", {"text": ""}), tmp_path / "out", *given)) == 0
    said = capsys.readouterr().err
    for sentence in (
        "Left out: empty texts (1).",
        "--held-out: Left out: questions without an answer (2).",
        "Left out: questions without an answer (2).",
        "Left out: questions about contexts without tokens (1).",
        "Left out: questions about contexts of more than 8,192 tokens (1).",
    ):
        assert sentence in said
    data, tokenizer = TrainingData.load(tokens), load_base(base_folder, device="cpu").tokenizer
    assert [tokenizer.decode(data.answers[i][:-1]) for i in range(len(data.answers))] == ["1812"] * len(forms)
    assert data.prompts[0].tolist() == question_prompt(tokenizer, "When?")


@pytest.mark.parametrize(
    ("run", "mix", "error", "says"),
    [
        ({"tokens_per_batch": 8}, {}, BatchTooSmall, "A batch is too small .* or a smaller --mix-window"),
        ({"tokens_per_batch": 256}, {"window": 64}, BatchTooSmall, "A long batch .* or --mix-long-every 0"),
        ({}, {"reader": True}, TrainingError, "give one as --reader"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(base_folder, tmp_path, run, mix, error, says):
    base = load_base(base_folder, device="cpu", dtype="float32")
    data = tokenize_rows([{"text": "The fog hid seven ships. " * 2000}], [], base.tokenizer, end_token=2)
    config = CCFConfig(segment_length=32, encoder_rank=2, decoder_rank=2)
    with pytest.raises(error, match=says):
        train(base, data, config, TrainingConfig(steps=1, workers=0, mix=Mix(**mix), **run), tmp_path)
    with pytest.raises(TrainingError, match="No linear layer is called x_proj: choose --targets from q_proj"):
        train(base, data, CCFConfig(targets=("q_proj", "x_proj")), TrainingConfig(), tmp_path)


def test_the_adapter_to_start_from_has_the_shape_that_is_trained(base_folder, texts, tmp_path):
    base = load_base(base_folder, device="cpu", dtype="float32")
    data = tokenize_rows(rows_of(texts), [], base.tokenizer, end_token=2)
    config = CCFConfig(segment_length=32, encoder_rank=2, decoder_rank=2)
    start = Adapter.zero(base.model, CCFConfig(segment_length=32, encoder_rank=3, decoder_rank=2))
    with pytest.raises(RuntimeError, match="has encoder_rank 3: leave it out"):
        train(base, data, config, TrainingConfig(steps=1, workers=0), tmp_path, start=start)
