import copy
import hashlib

import pytest
from sqlite_utils import Database

from store import Store
from store.migrations import migrations, upgrade

ZEAL = hashlib.sha256(b"zeal").hexdigest()
STEPS = [step.name for step in migrations.pending(Database(memory=True))]


def schema(path):
    with Database(path) as db:
        return sorted(db.query("SELECT type, name, sql FROM sqlite_master"), key=lambda row: row["name"])


def test_the_first_step_is_version_one_and_names_are_in_order():
    assert STEPS[0] == "m001_documents"
    assert sorted(STEPS) == STEPS


def test_opening_again_changes_no_schema(path):
    Store(path).close()
    first = schema(path)
    Store(path).close()
    assert schema(path) == first
    with Database(path) as db:
        assert [step.name for step in migrations.applied(db)] == STEPS


@pytest.mark.parametrize("step", STEPS[1:])
def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(tmp_path, step):
    fresh, older = tmp_path / "fresh.db", tmp_path / "older.db"
    Store(fresh).close()
    with Database(older, strict=True) as db:
        migrations.apply(db, stop_before=step)
        row = {"sha256": ZEAL, "title": "old", "media_type": "text/plain", "text_bytes": 4, "characters": 4}
        db.table("documents").insert(row | {"pages": "[]", "created_at": "then", "text": "zeal"})
    with Store(older) as store:
        assert store.documents.text(ZEAL) == "zeal"
        assert [hit.document.title for hit in store.documents.search("zeal")] == ["old"]
        store.memories.put_many(ZEAL, "aa", [(0, 4, b"x")])
        assert store.memories.nbytes() == 1
        store.collections.set(ZEAL, ["law"])
        assert [c.documents for c in store.collections.list()] == [(ZEAL,)]
        assert store.jobs.take() is None
        store.jobs.add("new", document=ZEAL)
        store.documents.delete(ZEAL)
        assert store.jobs.list() == store.collections.list() == []
    assert schema(older) == schema(fresh)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "half.db"
    with Database(path, strict=True) as db:
        migrations.apply(db, stop_before=STEPS[2])
    before = schema(path)
    broken = copy.deepcopy(migrations)

    @broken()
    def m999_broken(db):
        db.execute("CREATE TABLE half (x)")
        raise ZeroDivisionError

    monkeypatch.setattr("store.migrations.migrations", broken)
    with pytest.raises(ZeroDivisionError):
        Store(path)
    assert schema(path) == before


def test_tables_are_strict(path):
    Store(path).close()
    with Database(path) as db:
        ours = [t for t in db.tables if not t.name.startswith(("documents_fts", "sqlite_"))]
        assert {t.name for t in ours} >= {
            "documents",
            "memories",
            "memory_parts",
            "blobs",
            "chats",
            "runs",
            "jobs",
            "collections",
        }
        assert [t.name for t in ours if not t.strict] == []


def test_upgrade_is_idempotent():
    db = Database(memory=True, strict=True)
    upgrade(db)
    before = db.schema
    upgrade(db)
    assert db.schema == before
    assert db.execute("PRAGMA user_version").fetchone() == (len(STEPS),)


def test_the_search_index_of_an_older_file_is_made_anew(tmp_path):
    path = tmp_path / "older.db"
    with Database(path, strict=True) as db:
        migrations.apply(db, stop_before="m009_sources")
        row = {"media_type": "text/plain", "text_bytes": 4, "characters": 4, "pages": "[]", "created_at": "then"}
        texts = {"English": "The pumps of the harbour", "日本語": "本契約書は甲と乙が締結する。", "gone": "delete me"}
        for title, text in texts.items():
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            db.table("documents").insert(row | {"sha256": sha256, "title": title, "text": text})
        db.execute("UPDATE documents SET text = CAST(x'64656cff' AS TEXT) WHERE title = 'gone'")
    with Store(path) as store:
        for query, title in (("pump", "English"), ("契約", "日本語"), ("本語", "日本語"), ("gone", "gone")):
            assert [hit.document.title for hit in store.documents.search(query)] == [title]
        assert {document.filename for document in store.documents.list()} == {""}
        store.documents.delete(store.documents.search("gone")[0].document.sha256)
        assert store.documents.search("gone") == []
