"""Peak memory of the strategies on the tiny model: flat with a reservoir, linear without."""

from __future__ import annotations

import json

import pytest

from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from ccf_core.training.model import TrainingModel
from experiments.memory_table import main, table

CONFIG = CCFConfig(segment_length=32, encoder_rank=3, decoder_rank=3)
DOCUMENTS, RATIO = 2, 8


@pytest.fixture(scope="module")
def peaks(tiny_model) -> dict[tuple[str, int | None, int], int]:
    base = tiny_model("llama")
    model = TrainingModel(base, Adapter.zero(base, CONFIG), compiled=False)
    rows = table(model, [4, 8, 16], [1, 2, 4], DOCUMENTS, RATIO)
    return {(row["strategy"], row["reservoir"], row["segments"]): row["peak_bytes"] for row in rows}


def leaf_bytes(segments: int) -> int:
    """Keys and values of so many segments: 2 layers, 2 heads of 8 numbers in float32."""
    return segments * DOCUMENTS * (32 // RATIO) * 2 * 2 * 2 * 8 * 4


@pytest.mark.parametrize("size", [1, 2, 4])
def test_with_a_reservoir_only_the_memories_grow(peaks, size):
    growth = peaks["reservoir", size, 16] - peaks["reservoir", size, 8]
    # The decoder of a later segment reads more of them: their copies in its layers, and a mask in plain attention.
    assert 0 <= growth <= 3 * leaf_bytes(8)
    assert growth < 0.05 * peaks["reservoir", size, 8]


def test_full_backpropagation_doubles_with_the_segments(peaks):
    assert 1.8 < peaks["full", None, 16] / peaks["full", None, 8] < 2.3


def test_memory_goes_up_with_the_graphs_that_are_kept(peaks):
    at_16 = [peaks["reservoir", size, 16] for size in (1, 2, 4)]
    at_16 += [peaks["incremental", None, 16], peaks["full", None, 16]]
    assert at_16 == sorted(at_16)
    assert len(set(at_16)) == 5
    assert peaks["reservoir", 4, 4] == peaks["incremental", None, 4]


def test_the_command_writes_json_and_a_table(tiny_folder, tmp_path, capsys):
    out = tmp_path / "memory.json"
    main([
        "--base", str(tiny_folder("llama")), "--device", "cpu", "--dtype", "float32", "--segment-length", "32",
        "--segments", "2", "3", "--reservoir", "1", "--documents", "1", "--max-seconds", "600", "--out", str(out),
    ])  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(out.read_text())
    assert len(told["rows"]) == 6
    assert all(row["peak_bytes"] > 0 and row["tokens_per_s"] > 0 for row in told["rows"])
    lines = out.with_suffix(".md").read_text().splitlines()
    assert lines[0] == "| strategy | 2 segments | 3 segments |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| reservoir, S = 1", "| incremental", "| full"]
