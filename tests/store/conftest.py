import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from store import Document, Store, words

LEVELS = (4, 8, 16, 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "workbench.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as opened:
        yield opened


@pytest.fixture
def add(store: Store) -> Callable[..., Document]:
    """Adds a plain-text document: add("its text", title="…")."""

    def add(text: str, title: str = "notes.txt", **details: Any) -> Document:
        return store.documents.add(text, title=title, media_type="text/plain", **details)

    return add


@pytest.fixture
def remember(store: Store) -> Callable[..., None]:
    """Stores a memory of whole segments: remember(document, "model", segments=3)."""

    def remember(document: Document, model_key: str = "aa", segments: int = 1, nbytes: int = 100) -> None:
        for segment in range(segments):
            parts = [(segment, level, bytes([level]) * nbytes) for level in LEVELS]
            store.memories.put_many(document.sha256, model_key, parts)

    return remember


@pytest.fixture
def sql(path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs one statement behind the store's back and commits it."""

    def sql(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as db, db:
            words.register(Database(db, execute_plugins=False))  # the search index follows every change
            return db.execute(statement, values).fetchall()

    return sql
