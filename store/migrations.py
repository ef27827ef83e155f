"""The schema, as a list of small steps. A released step is never edited: a change is a new step."""

from pathlib import Path

from sqlite_utils import Database, Migrations
from sqlite_utils.db import ForeignKey

from . import words
from .errors import StoreUnavailable

migrations = Migrations("ccf")


def check(db: Database, path: Path) -> None:
    """Read whether the file is empty or ours; write nothing.

    Raises:
        StoreUnavailable: it holds another program's tables, or steps that this version does not know.
    """
    applied = {step.name for step in migrations.applied(db)}
    if not applied and set(db.table_names()) - {migrations.migrations_table}:
        raise StoreUnavailable(f"{path} belongs to another program; choose another path.")
    if applied - {step.name for step in migrations.pending(Database(memory=True))}:
        raise StoreUnavailable(f"{path} comes from a newer version; update this program or choose another path.")


def upgrade(db: Database) -> None:
    """Apply the missing steps in the caller's transaction; a second time changes nothing."""
    migrations.apply(db)
    # For other tools to read; it also fails at once where SQLite opened a file that it cannot write.
    db.execute(f"PRAGMA user_version = {len(migrations.applied(db))}")


def _owned(table: str, column: str, owner: str, key: str = "id") -> ForeignKey:
    """Delete the row when its owner is deleted."""
    return ForeignKey(table, column, owner, key, on_delete="CASCADE")


@migrations()
def m001_documents(db: Database) -> None:
    columns = {
        "id": int,
        "sha256": str,
        "title": str,
        "media_type": str,
        "source_bytes": int,
        "text_bytes": int,
        "characters": int,
        "pages": str,
        "tokens": int,
        "segments": int,
        "created_at": str,
        "text": str,  # last, so that lists of documents never read it
    }
    optional = {"id", "source_bytes", "tokens", "segments"}
    # `id` is explicit because VACUUM renumbers implicit row numbers, which the search index refers to.
    table = db.table("documents").create(columns, pk="id", not_null=columns.keys() - optional)
    table.create_index(["sha256"], unique=True)


@migrations()
def m002_document_search(db: Database) -> None:
    db.table("documents").enable_fts(
        ["title", "text"], tokenize="porter unicode61 remove_diacritics 2", create_triggers=True
    )
    # The library's trigger indexes the whole text again at every update of any column.
    schema = db.triggers_dict["documents_au"]
    db.execute("DROP TRIGGER documents_au")
    db.execute(schema.replace("AFTER UPDATE ON", "AFTER UPDATE OF title, text ON"))


@migrations()
def m003_memories(db: Database) -> None:
    memories = {
        "id": int,
        "document_id": int,
        "model_key": str,
        "nbytes": int,
        "created_at": str,
        "last_used": float,
    }
    db.table("memories").create(
        memories,
        pk="id",
        not_null=memories.keys() - {"id"},
        foreign_keys=[_owned("memories", "document_id", "documents")],
    ).create_index(["document_id", "model_key"], unique=True)
    parts = {"key": str, "memory_id": int, "segment": int, "level": int, "digest": str, "nbytes": int}
    db.table("memory_parts").create(
        parts, pk="key", not_null=parts, foreign_keys=[_owned("memory_parts", "memory_id", "memories")]
    ).create_index(["memory_id", "segment", "level"], unique=True)
    blobs = {"key": str, "data": bytes}
    db.table("blobs").create(
        blobs, pk="key", not_null=blobs, foreign_keys=[_owned("blobs", "key", "memory_parts", "key")]
    )


@migrations()
def m004_memory_sizes(db: Database) -> None:
    """Keep memories.nbytes the sum of its parts, whoever writes them."""
    change = "UPDATE memories SET nbytes = nbytes {sum} WHERE id = {row}.memory_id"
    for name, event, total, row in (
        ("memory_parts_ai", "INSERT", "+ new.nbytes", "new"),
        ("memory_parts_ad", "DELETE", "- old.nbytes", "old"),
        ("memory_parts_au", "UPDATE OF nbytes", "- old.nbytes + new.nbytes", "new"),
    ):
        body = change.format(sum=total, row=row)
        db.execute(f"CREATE TRIGGER {name} AFTER {event} ON memory_parts BEGIN {body}; END")


@migrations()
def m005_chats(db: Database) -> None:
    chats = {"id": int, "title": str, "created_at": str, "updated_at": str}
    db.table("chats").create(chats, pk="id", not_null=chats.keys() - {"id"})
    links = {"chat_id": int, "document_id": int, "position": int}
    db.table("chat_documents").create(
        links,
        pk=("chat_id", "document_id"),
        not_null=links,
        foreign_keys=[
            _owned("chat_documents", "chat_id", "chats"),
            _owned("chat_documents", "document_id", "documents"),
        ],
    ).create_index(["document_id"])
    messages = {"id": int, "chat_id": int, "role": str, "content": str, "meta": str, "created_at": str}
    db.table("chat_messages").create(
        messages,
        pk="id",
        not_null=messages.keys() - {"id"},
        foreign_keys=[_owned("chat_messages", "chat_id", "chats")],
    ).create_index(["chat_id"])


@migrations()
def m006_runs(db: Database) -> None:
    runs = {"id": int, "kind": str, "config": str, "results": str, "created_at": str}
    db.table("runs").create(runs, pk="id", not_null=runs.keys() - {"id"}).create_index(["kind"])


@migrations()
def m007_jobs(db: Database) -> None:
    jobs = {
        "id": int,
        "name": str,
        "title": str,
        "state": str,
        "document": str,
        "anew": int,
        "reason": str,
        "outcome": str,
        "created_at": str,
        "data": bytes,  # last, so that lists of jobs never read it
    }
    optional = {"id", "document", "data"}
    db.table("jobs").create(jobs, pk="id", not_null=jobs.keys() - optional).create_index(["state"])


@migrations()
def m008_collections(db: Database) -> None:
    collections = {"id": int, "name": str}
    db.table("collections").create(collections, pk="id", not_null={"name"}).create_index(["name"], unique=True)
    links = {"collection_id": int, "document_id": int}
    db.table("collection_documents").create(
        links,
        pk=("collection_id", "document_id"),
        not_null=links,
        foreign_keys=[
            _owned("collection_documents", "collection_id", "collections"),
            _owned("collection_documents", "document_id", "documents"),
        ],
    ).create_index(["document_id"])


@migrations()
def m009_sources(db: Database) -> None:
    """Keep what is known of a document's file, beside its text."""
    # A table by itself: SQLite reads what stands after a long text in a row through all of the text.
    sources = {"document_id": int, "filename": str, "nbytes": int, "digest": str, "left_out": str}
    db.table("sources").create(
        sources,
        pk="document_id",
        not_null=sources.keys() - {"document_id"},
        foreign_keys=[_owned("sources", "document_id", "documents")],
    )


@migrations()
def m010_search_without_spaces(db: Database) -> None:
    """Index Chinese, Japanese and Korean character by character."""
    words.register(db)
    db.table("documents").disable_fts()
    columns = "spaced_bytes(CAST({0}title AS BLOB)), spaced_bytes(CAST({0}text AS BLOB))"
    new, old = columns.format("new."), columns.format("old.")
    db.execute(
        "CREATE VIEW documents_spaced AS SELECT id, spaced_bytes(CAST(title AS BLOB)) AS title,"
        " spaced_bytes(CAST(text AS BLOB)) AS text FROM documents"
    )
    db.execute(
        "CREATE VIRTUAL TABLE documents_fts USING fts5 (title, text, content='documents_spaced', content_rowid='id',"
        " tokenize='porter unicode61 remove_diacritics 2')"
    )
    add = f"INSERT INTO documents_fts (rowid, title, text) VALUES (new.id, {new});"
    take = f"INSERT INTO documents_fts (documents_fts, rowid, title, text) VALUES ('delete', old.id, {old});"
    db.execute(f"CREATE TRIGGER documents_ai AFTER INSERT ON documents BEGIN {add} END")
    db.execute(f"CREATE TRIGGER documents_ad AFTER DELETE ON documents BEGIN {take} END")
    db.execute(f"CREATE TRIGGER documents_au AFTER UPDATE OF title, text ON documents BEGIN {take} {add} END")
    # One row at a time, within the transaction of all steps: a program that is killed here begins it again.
    db.execute("INSERT INTO documents_fts (documents_fts) VALUES ('rebuild')")
