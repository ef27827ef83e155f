"""The strategies side by side, each a training command of its own, on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ccf_core.base.load import load_base
from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from experiments.strategy_table import main
from tests.tiny_models import WORDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def arguments(tiny_folder, tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tiny_folder("llama")
    base = load_base(folder, device="cpu", dtype="float32")
    Adapter.zero(base.model, CCFConfig(segment_length=16, encoder_rank=2, decoder_rank=2)).save(tmp_path / "start")
    rng = np.random.default_rng(0)
    for name in ("text", "held-out"):
        rows = [{"text": " ".join(rng.choice(WORDS, count))} for count in (4, 80, 60, 90)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "--base", str(folder), "--device", "cpu", "--dtype", "float32", "--text", str(tmp_path / "text.jsonl"),
        "--held-out", str(tmp_path / "held-out.jsonl"), "--start", str(tmp_path / "start"), "--out",
        str(tmp_path / "out"), "--segments", "4", "--documents", "2", "--reservoir", "1", "--source-tokens", "1024",
        "--checks", "2", "--learning-rate", "0.02", "--warmup", "1", "--workers", "0", "--validation-batches", "1",
    ]  # fmt: skip


def test_all_start_alike_and_read_the_same(arguments, tmp_path, capsys):
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    out = tmp_path / "out"
    assert told == json.loads((out / "strategies.json").read_text())
    rows = {row["strategy"]: row for row in told["rows"]}
    assert list(rows) == ["start", "full", "incremental", "reservoir-1"]
    trained = [rows[name] for name in rows if name != "start"]
    assert len({(row["step"], row["source_tokens"]) for row in trained}) == 1
    assert trained[0]["step"] == told["steps"]
    for ratio in (4, 8, 16, 32):
        score = f"reconstruct_nats_{ratio}"
        assert all(row[score] < rows["start"][score] for row in trained)
        assert rows["full"][score] == pytest.approx(rows["incremental"][score], abs=2e-3)
    assert rows["full"] | {"strategy": ""} != rows["reservoir-1"] | {"strategy": ""}
    lines = (out / "strategies.md").read_text().splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[0].startswith("| strategy | source tokens | reconstruct 4x | reconstruct 8x |")

    assert main([*arguments, "--seed", "1"]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_a_run_that_fails_is_named(arguments, capsys):
    assert main([*arguments, "--workers", "-1"]) == 2
    assert "see full.log in out" in capsys.readouterr().err


def test_texts_that_are_too_short_are_answered_with_a_sentence(arguments, capsys):
    assert main([*arguments, "--segments", "64"]) == 2
    assert "held-out.jsonl has no text of 1024 tokens" in capsys.readouterr().err
