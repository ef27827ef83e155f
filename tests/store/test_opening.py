import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from store import Store, StoreError, StoreUnavailable


def refused(path, sentence):
    """Opening fails with this sentence, and neither the file nor its folder changes."""
    before = path.read_bytes(), sorted(path.parent.iterdir())
    with pytest.raises(StoreUnavailable, match=sentence):
        Store(path)
    return (path.read_bytes(), sorted(path.parent.iterdir())) == before


def test_the_folder_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "workbench.db"
    with Store(str(path)) as store:
        assert store.path == path
    assert path.is_file()


def test_an_empty_file_is_a_new_store(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with Store(path) as store:
        assert store.documents.list() == []


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\n" * 1000, b"x", b"x" * 511, b"x" * 512, b"SQLite format 3\0", b"\0" * 5000]
)
def test_a_file_that_is_not_a_database_is_refused(tmp_path, content):
    path = tmp_path / "notes.pdf"
    path.write_bytes(content)
    assert refused(path, "is not a database; choose another path")


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    assert refused(path, "belongs to another program; choose another path")


def test_a_newer_file_is_refused(path):
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE _sqlite_migrations SET name = 'm900_future' WHERE id = 6")
    assert refused(path, "comes from a newer version; update this program")


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    with pytest.raises(StoreUnavailable, match="choose another path"):
        Store(tmp_path)


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="choose another path"):
        Store(tmp_path / "file" / "workbench.db")


@pytest.fixture
def unprivileged():
    """Without root's right to write everywhere, in a folder that everybody can enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = hasattr(os, "geteuid") and os.geteuid() == 0

        def lay_down():
            if root:
                os.seteuid(65534)

        try:
            yield Path(folder), lay_down
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_read_only_file_is_refused(unprivileged):
    folder, lay_down = unprivileged
    path = folder / "workbench.db"
    Store(path).close()
    path.chmod(0o444)
    folder.chmod(0o555)
    lay_down()
    with pytest.raises(StoreUnavailable, match="make the file and its folder writable"):
        Store(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_read_only_file_in_rollback_mode_is_refused(unprivileged):
    folder, lay_down = unprivileged
    path = folder / "workbench.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = delete")
    path.chmod(0o444)
    lay_down()
    with pytest.raises(StoreUnavailable, match="make the file and its folder writable"):
        Store(path)


def test_a_damaged_file_is_named(path):
    with Store(path) as store:
        store.documents.add("text " * 10_000, title="t", media_type="text/plain")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with (
        pytest.raises(
            StoreUnavailable, match="is damaged; end every program that uses it, run `python -m store rescue"
        ),
        Store(path) as store,
    ):
        store.documents.list()


def test_a_full_disk_is_named_and_loses_nothing(store, add):
    document = add("kept").sha256
    store.memories.put_many(document, "aa", [(0, 4, b"kept")])
    with store.transaction() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 10}").fetchall()
    with pytest.raises(StoreUnavailable, match="is full; free some space"):
        store.memories.put_many(document, "aa", [(1, 4, b"small"), (1, 8, bytes(10**6))])
    assert store.memories.get(document, "aa", None, [4, 8]) == {(0, 4): b"kept"}
    store.memories.put_many(document, "aa", [(1, 4, b"fits")])
    assert store.memories.missing(document, "aa", 2, [4]) == []


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="was closed; open it again"):
        store.documents.list()


def test_the_connection_is_set_up_as_promised(store):
    with store.transaction() as db:
        settings = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 30_000}


def test_every_error_has_the_same_root():
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreError, RuntimeError)


def test_stats_count_what_is_there(store, add, remember):
    add("one")
    remember(add("two"), segments=2)
    stats = store.stats()
    assert (stats.documents, stats.memory_bytes, stats.blobs) == (2, 800, 8)
    assert stats.file_bytes > 800
