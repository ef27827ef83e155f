"""Rows to train on, in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.ccf_core.training.command import rows_of
from tests.tiny_models import WORDS


@pytest.fixture
def texts(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    rows = [{"text": " ".join(rng.choice(WORDS, rng.integers(40, 160)))} for _ in range(12)]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def questions(tmp_path, texts) -> Path:
    contexts = [row["text"] for row in rows_of(texts)]
    rows = [{"context": text, "question": f"What hid {i}?", "answers": ["the fog"]} for i, text in enumerate(contexts)]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
