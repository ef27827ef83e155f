"""A workbench on a tiny random model: the logic of the use cases does not depend on what a model knows."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from app.settings import Settings
from app.ui.gradio_import import without_stubs
from app.workbench import Workbench
from store import words

with without_stubs():  # seconds, for each worker
    import gradio  # noqa: F401

WORDS = [
    *("the", "fog", "hid", "seven", "ships", "while", "a", "harbour", "master"),
    *("counted", "them", "again", "in", "rain", "and", "evening", "light"),
]


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
    from ccf_core.model.encoder import Encoder

    seen: list[int] = []
    encode = Encoder.begin

    def counting(self: Encoder, segments: list[tuple[int, ...]], *how: object) -> object:
        seen.extend(len(segment) for segment in segments)
        return encode(self, segments, *how)

    monkeypatch.setattr(Encoder, "begin", counting)
    return seen


@pytest.fixture(scope="session")
def prose() -> Callable[..., str]:
    """``prose(words, seed)``: different words for every seed."""

    def make(words: int = 200, seed: int = 0) -> str:
        chosen = random.Random(seed).choices(WORDS, k=words)
        return f"Log {seed}. " + " ".join(chosen) + "."

    return make


@pytest.fixture
def sql(settings: Settings) -> Callable[..., list[tuple]]:
    """Change or read the database behind the workbench's back."""

    def run(statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(settings.database)) as db, db:
            db.execute("PRAGMA foreign_keys = ON")
            words.register(Database(db, execute_plugins=False))  # the search index follows every change
            return db.execute(statement, values).fetchall()

    return run
