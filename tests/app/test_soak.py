"""A library of many small documents: its sizes, its cap. ``python -m tests.load.soak`` is the same with a thousand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.settings import Settings
from ccf_core import Adapter, CCFConfig
from ccf_core.base.load import load_base
from tests.load.soak import RECALLED, broken, small_texts, soak


def test_sizes_are_as_predicted_and_the_cap_holds(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    # Memories as large as those of the default base, so that they and not their rows fill the file.
    shape = {
        "hidden_size": 96,
        "num_hidden_layers": 30,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "head_dim": 64,
    }
    base = tiny_folder(**shape)
    Adapter.zero(load_base(base, device="cpu", dtype="float32").model, CCFConfig(encoder_rank=2, decoder_rank=2)).save(
        tmp_path / "adapter"
    )
    settings = Settings(tmp_path / "data", adapter=tmp_path / "adapter", base=str(base), device="cpu", dtype="float32")
    found = soak(replace(settings, max_tokens=5000), [text[:300] for text in small_texts(30)])
    assert found["documents"] == 30
    assert found["recalled"] == RECALLED
    assert broken(found) == []
