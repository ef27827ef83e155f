"""The training command with each strategy: it learns, resumes exactly, and spreads over processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ccf_core.__main__ import main
from ccf_core.model.adapter import Adapter
from tests.ccf_core.training.command import arguments, log, rows_of


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "weights.safetensors")


@pytest.mark.parametrize("strategy", ["full", "incremental", "reservoir"])
def test_a_run_learns_and_resumes_exactly(tiny_folder, texts, tmp_path, strategy):
    folder = tiny_folder("llama")
    options = ("--steps", "8", "--save-every", "3", "--strategy", strategy, "--reservoir", "1", "--accumulate", "2")
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert main(arguments(folder, texts, straight, *options)) == 0
    rows = log(straight)
    assert rows[-1]["reconstruct_nats"] < rows[0]["reconstruct_nats"]
    assert rows[-1]["continue_nats"] < rows[0]["continue_nats"]
    assert main(arguments(folder, texts, stopped, *options, "--max-seconds", "0")) == 0
    assert len(log(stopped)) == 1
    assert main(arguments(folder, texts, stopped, *options)) == 0
    one, other = weights(straight), weights(stopped)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_validation_and_deadlines_leave_no_trace_in_the_weights(tiny_folder, texts, tmp_path):
    folder = tiny_folder("llama")
    options = ("--steps", "4", "--strategy", "reservoir", "--reservoir", "1")
    checks = ("--held-out", str(texts), "--validate-every", "2", "--validation-batches", "1", "--mix-window", "128")
    plain, far, near = (tmp_path / name for name in ("plain", "far", "near"))
    assert main(arguments(folder, texts, plain, *options)) == 0
    assert main(arguments(folder, texts, far, *options, *checks, "--deadline", "1e6")) == 0
    scores = rows_of(far / "validation.jsonl")
    assert [row["step"] for row in scores] == [2, 4]
    assert all(scores[1][f"reconstruct_nats_{ratio}"] < scores[0][f"reconstruct_nats_{ratio}"] for ratio in (4, 32))
    assert main(arguments(folder, texts, near, *options, *checks, "--deadline", "0")) == 0
    assert [row["step"] for row in log(near)] == [row["step"] for row in rows_of(near / "validation.jsonl")] == [1]
    assert main(arguments(folder, texts, near, *options)) == 0
    assert [row["step"] for row in log(near)] == [1, 2, 3, 4]
    for other in (far, near):
        assert all(torch.equal(tensor, weights(other)[name]) for name, tensor in weights(plain).items())


def test_strategies_that_keep_every_graph_train_the_same(tiny_folder, texts, tmp_path):
    folder = tiny_folder("llama")
    logs = {}
    for strategy in ("full", "incremental", "reservoir"):
        out = tmp_path / strategy
        main(arguments(folder, texts, out, "--steps", "3", "--strategy", strategy, "--reservoir", "1"))
        logs[strategy] = log(out)
    for full, incremental in zip(logs["full"], logs["incremental"], strict=True):
        assert full["continue_nats"] == pytest.approx(incremental["continue_nats"], abs=1e-3)
        assert full["grad_norm"] == pytest.approx(incremental["grad_norm"], rel=1e-2)
    assert logs["full"][0]["continue_nats"] == logs["reservoir"][0]["continue_nats"]
    assert logs["full"][1]["grad_norm"] != logs["reservoir"][1]["grad_norm"]


@pytest.mark.parametrize("strategy", ["packed", "reservoir"])
def test_two_processes_do_what_one_does_with_twice_the_batches(tiny_folder, texts, questions, tmp_path, strategy):
    folder = tiny_folder("llama")
    root = Path(__file__).parents[3]
    given = (
        "--steps", "3", "--strategy", strategy, "--reservoir", "1", "--qa", str(questions), "--mix-window", "128",
        "--mix-long-window", "256", "--tokens", str(tmp_path / "tokens.npz"),
    )  # fmt: skip
    assert main(arguments(folder, texts, tmp_path / "p1", *given, "--accumulate", "2")) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "ccf_core"]
    done = subprocess.run(
        launch + arguments(folder, texts, tmp_path / "p2", *given, "--accumulate", "1"),
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for one, two in zip(log(tmp_path / "p1"), log(tmp_path / "p2"), strict=True):
        assert one["tokens"] == two["tokens"]
        for score in ("reconstruct_nats", "continue_nats"):
            assert one[score] == pytest.approx(two[score], abs=2e-3)
        assert one["grad_norm"] == pytest.approx(two["grad_norm"], rel=2e-2)


def test_texts_of_one_segment_are_answered_with_a_sentence(tiny_folder, texts, tmp_path, capsys):
    long = arguments(tiny_folder("llama"), texts, tmp_path / "out", "--strategy", "reservoir")
    long[long.index("--segment-length") + 1] = "4096"
    assert main(long) == 2
    assert "give longer texts" in capsys.readouterr().err


def test_the_command_begins_with_the_decoder_of_a_reader_and_resumes(tiny_folder, texts, tmp_path):
    folder, first = tiny_folder("llama"), tmp_path / "first"
    alone = ("--steps", "2", "--train", "decoder", "--encoder-rank", "1", "--mix-full-share", "1")
    assert main(arguments(folder, texts, first, *alone)) == 0
    reader = str(first / "adapter")
    options = (
        "--steps", "4", "--save-every", "2", "--decoder", reader, "--reader", reader, "--train", "encoder", "repeat",
        "--repeat-rank", "2", "--mix-held-share", "0",
    )  # fmt: skip
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert main(arguments(folder, texts, straight, *options)) == 0
    assert main(arguments(folder, texts, stopped, *options, "--max-seconds", "0")) == 0
    assert len(log(stopped)) == 1
    assert main(arguments(folder, texts, stopped, *options)) == 0
    one, other = weights(straight), weights(stopped)
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name, tensor in Adapter.load(reader).tensors.items():
        if name.startswith("decoder."):
            assert torch.equal(one[name.replace(".", "__")], tensor)
    assert any(one[name].any() for name in one if name.startswith("repeat__") and name.endswith("__b"))
