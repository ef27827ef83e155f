"""A workbench on a tiny random model: the logic of the use cases does not depend on what a model knows."""

from __future__ import annotations

import random
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings
from app.workbench import Workbench
from ccf_core import Adapter, CCFConfig
from ccf_core.base import load_base
from ccf_core.encoder import Encoder

SEGMENT = 32
WORDS = [
    *("the", "fog", "hid", "seven", "ships", "while", "a", "harbour", "master"),
    *("counted", "them", "again", "in", "rain", "and", "evening", "light"),
]


@pytest.fixture(scope="session")
def tiny_model_folders(tiny_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
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
    encode = Encoder.begin

    def counting(self: Encoder, segments: list[tuple[int, ...]], *how: object) -> object:
        seen.extend(len(segment) for segment in segments)
        return encode(self, segments, *how)

    monkeypatch.setattr(Encoder, "begin", counting)
    return seen


@pytest.fixture
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
            return db.execute(statement, values).fetchall()

    return run


@pytest.fixture(scope="session")
def pdf() -> Callable[..., bytes]:
    """``pdf(text, …)``: one page for each text, in lines of 80 characters; an empty one is a drawing."""

    def make(*pages: str) -> bytes:
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
        objects = [
            "<< /Type /Catalog /Pages 2 0 R >>",
            f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
        for i, page in enumerate(pages):
            lines = "".join(f"({line}) Tj 0 -14 Td\n" for line in textwrap.wrap(page, 80))
            drawn = f"BT /F1 10 Tf 72 760 Td\n{lines}ET" if page else "100 100 300 300 re f"
            objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {fonts} /Contents {5 + 2 * i} 0 R >>")
            objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
        out, offsets = "%PDF-1.4\n", []
        for number, body in enumerate(objects, 1):
            offsets.append(len(out))
            out += f"{number} 0 obj\n{body}\nendobj\n"
        rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
        size = len(objects) + 1
        out += f"xref\n0 {size}\n0000000000 65535 f \n{rows}trailer\n<< /Size {size} /Root 1 0 R >>\n"
        return f"{out}startxref\n{out.index('xref')}\n%%EOF\n".encode("ascii")

    return make
