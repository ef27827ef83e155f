"""A workbench on a tiny random model: the logic of the use cases does not depend on what a model knows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from app.workbench import Workbench
from ccf_core import Adapter, CCFConfig
from ccf_core.base import load_base
from ccf_core.encoder import Encoder

SEGMENT = 32
WORDS = "the fog hid seven ships while a harbour master counted them again in rain and evening light".split()


@pytest.fixture(scope="session")
def tiny_model_folders(
    tiny_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """(base, adapter) folders: an untrained adapter with segments of 32 tokens."""
    base = tiny_folder()
    adapter = tmp_path_factory.mktemp("adapter")
    config = CCFConfig(encoder_rank=2, decoder_rank=2, segment_length=SEGMENT)
    Adapter.zero(load_base(base, device="cpu", dtype="float32").model, config).save(adapter)
    return base, adapter


@pytest.fixture
def settings(tiny_model_folders: tuple[Path, Path], tmp_path: Path) -> Settings:
    base, adapter = tiny_model_folders
    return Settings(tmp_path / "data", adapter=adapter, base=str(base), device="cpu", dtype="float32")


@pytest.fixture
def workbench(settings: Settings) -> Iterator[Workbench]:
    with Workbench(settings) as opened:
        yield opened


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of each segment that went through the encoder, which does its work all the same."""
    seen: list[int] = []
    encode = Encoder.encode

    def counting(self: Encoder, segments: list[tuple[int, ...]], finest: int) -> object:
        seen.extend(len(segment) for segment in segments)
        return encode(self, segments, finest)

    monkeypatch.setattr(Encoder, "encode", counting)
    return seen


@pytest.fixture
def prose() -> Callable[..., str]:
    """``prose(words, seed)``: different words for every seed."""

    def make(words: int = 200, seed: int = 0) -> str:
        chosen = random.Random(seed).choices(WORDS, k=words)
        return f"Log {seed}. " + " ".join(chosen) + "."

    return make
