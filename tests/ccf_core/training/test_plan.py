"""What a run will take, how it is asked for and how far it is: what a person at a terminal sees."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
from pathlib import Path

import pytest

from ccf_core.__main__ import main
from ccf_core.base.load import load_base
from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from ccf_core.training.config import TrainingConfig
from ccf_core.training.data.dataset import tokenize_rows
from ccf_core.training.data.examples import Mix
from ccf_core.training.model import TrainingModel
from ccf_core.training.options import ADAPTER, MIX, RUN, add_arguments
from ccf_core.training.plan import Plan
from tests.ccf_core.training.command import arguments, log, rows_of

CONFIG = CCFConfig(segment_length=32, encoder_rank=3, decoder_rank=2)


@pytest.fixture(scope="module")
def base_folder(tiny_folder) -> Path:
    return tiny_folder("qwen3")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_setting_is_an_option_with_help_and_default():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert all(action.help for action in parser._actions)
    page = " ".join(parser.format_help().split())
    assert "(0.001)" in page and "(0.3 0.35 0.2 0.15)" in page and "(56)" in page
    names = [{f.name for f in dataclasses.fields(kind)} for kind in (TrainingConfig, Mix, CCFConfig)]
    assert names[0] - set(RUN) == {"mix", "clip", "final_learning_rate"}
    assert names[1] - set(MIX) == {"reader"}
    assert set(ADAPTER) < names[2]


@pytest.mark.parametrize(
    ("config", "sides"),
    [
        (CONFIG, ("encoder", "decoder", "repeat")),
        (CONFIG, ("decoder",)),
        (dataclasses.replace(CONFIG, repeat_rank=2, targets=("q_proj", "up_proj")), ("encoder", "repeat")),
        (dataclasses.replace(CONFIG, compressor="mean_pool"), ("encoder",)),
    ],
)
def test_a_plan_counts_what_learns_and_what_it_reads(base_folder, texts, config, sides):
    base = load_base(base_folder, device="cpu", dtype="float32")
    data = tokenize_rows(rows_of(texts), [], base.tokenizer, end_token=2)
    run = TrainingConfig(tokens_per_batch=512, accumulate=2, train=sides, mix=Mix(window=128, long_window=256))
    one, two = (Plan.of(base, data, config, run, steps=30, processes=n) for n in (1, 2))
    model = TrainingModel(base.model, Adapter.zero(base.model, config), compiled=False, sides=sides)
    assert one.trained == sum(p.numel() for p in model.trainable.values() if p.requires_grad)
    assert one.parameters == sum(p.numel() for p in base.model.parameters())
    assert (one.tokens, two.tokens) == (30 * 2 * 512, 2 * 30 * 2 * 512)
    assert min(one.seconds, one.bytes, one.rate) > 0
    assert "in 30 steps" in str(one) and "larger than a batch" not in str(one)
    tight = dataclasses.replace(one, left_out=0.3, room=one.bytes - 1)
    assert "30% of examples are larger than a batch" in str(tight) and "a smaller --tokens-per-batch" in str(tight)


def test_a_dry_run_tells_and_writes_nothing(base_folder, texts, tmp_path, capsys):
    given = arguments(base_folder, texts, tmp_path / "run", "--dry-run", "--preset", "smoke")
    assert main(given) == 0
    assert "in 5 steps" in capsys.readouterr().err
    assert main([*given, "--steps", "7", "--strategy", "reservoir"]) == 0
    assert "in 7 steps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("answer", "begun"), [("\n", False), ("n\n", False), ("", False), ("y\n", True)])
def test_on_a_terminal_it_asks_before_it_begins(base_folder, texts, tmp_path, capsys, monkeypatch, answer, begun):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(arguments(base_folder, texts, tmp_path / "run", "--steps", "1")) == 0
    assert "Begin? [y/N]" in capsys.readouterr().err
    assert (tmp_path / "run" / "adapter").exists() == begun


def test_yes_and_a_finished_run_ask_nothing_and_one_line_tells_how_far_it_is(
    base_folder, texts, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    checks = ("--held-out", str(texts), "--validate-every", "1", "--validation-batches", "1", "--mix-window", "128")
    given = arguments(base_folder, texts, tmp_path / "run", "--steps", "3", *checks)
    assert main([*given, "--yes"]) == 0
    printed = capsys.readouterr()
    assert "Begin?" not in printed.err
    row, held = log(tmp_path / "run")[-1], rows_of(tmp_path / "run" / "validation.jsonl")[-2]
    assert f"step 3 of 3, 0 s left, loss {row['loss']:.3f}, held out {held['loss']:.3f}"[:60] in printed.err
    assert [json.loads(line)["step"] for line in printed.out.splitlines()] == [1, 1, 2, 2, 3, 3]
    assert row["loss"] == pytest.approx(
        row["reconstruct_nats"] + 1.2 * row.get("continue_nats", 0) + 0.6 * row.get("answer_nats", 0)
        + 0.2 * row.get("full_nats", 0) + 0.1 * row.get("read_nats", 0), abs=2e-4,
    )  # fmt: skip
    assert main(given) == 0
    assert "Nothing is left to do" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(base_folder, texts, tmp_path, capsys, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ccf_core.training.train.train", interrupted)
    assert main(arguments(base_folder, texts, tmp_path / "run", "--steps", "1")) == 130
    assert "Interrupted: the same command goes on" in capsys.readouterr().err


def test_a_folder_of_texts_is_enough_to_train_on(base_folder, texts, tmp_path, capsys):
    folder = tmp_path / "documents"
    (folder / "inner").mkdir(parents=True)
    for name, row in zip(("a.txt", "inner/b.md", "c.csv"), rows_of(texts), strict=False):
        (folder / name).write_text(row["text"])
    given = arguments(base_folder, texts, tmp_path / "run", "--steps", "1", "--made-up", "5", "--data", str(folder))
    del given[given.index("--text") : given.index("--text") + 2]
    assert main([*given, "--tokens", str(tmp_path / "kept.npz")]) == 0
    assert log(tmp_path / "run")[0]["reconstruct_nats"] > 0
    (folder / "a.txt").write_bytes(b"\xff\xfe")
    assert main(given) == 2
    assert "a.txt is not text in UTF-8" in capsys.readouterr().err
    assert main([*given, "--data", str(tmp_path / "nowhere")]) == 2
    assert "There is no text in" in capsys.readouterr().err
