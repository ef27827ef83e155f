"""The training command on the tiny model, as its tests give it, and the rows that it writes."""

from __future__ import annotations

import json
from pathlib import Path


def arguments(folder: Path, texts: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", "--base", str(folder), "--text", str(texts), "--out", str(out), "--device", "cpu", "--dtype",
        "float32", "--segment-length", "32", "--encoder-rank", "2", "--decoder-rank", "2", "--tokens-per-batch", "512",
        "--learning-rate", "0.01", "--warmup", "1", "--workers", "0", "--log-every", "1", "--segments", "5",
        "--made-up", "0", *more,
    ]  # fmt: skip


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def log(out: Path) -> list[dict]:
    return rows_of(out / "log.jsonl")
