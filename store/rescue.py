"""What is sound of a damaged database, taken into a new one.

Rows are fetched one at a time by their number, so that a page that cannot be read costs what stands on it and no more.
Of what the tables mean it knows little more than their order: what is taken over damaged is found out by its digest
when it is read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from .connections import TEXT, translated
from .database import Store
from .errors import DocumentDamaged, StoreDamaged, StoreUnavailable

#: Owners before what they own.
TABLES = (
    *("documents", "memories", "memory_parts", "blobs", "chats", "chat_documents", "chat_messages"),
    *("collections", "collection_documents", "runs", "jobs", "sources"),
)
#: Row numbers tried in vain, one after the other, before the rest of a table is given up.
PATIENCE = 10_000


@dataclass(frozen=True)
class Rescued:
    """`aside`: where the damaged file is now; `rows`: taken over, by table; `torn`: tables of which some could not be.

    `damaged`: titles of documents that were taken over, but whose text is not sound.
    """

    aside: Path
    rows: dict[str, int]
    torn: tuple[str, ...]
    damaged: tuple[str, ...]


def rescue(path: str | Path) -> Rescued:
    """Put a new database with all that can be read in the place of a damaged one, which is kept under another name.

    Raises:
        StoreUnavailable: there is no such file, nothing can be read of it, or a program uses it (StoreBusy).
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise StoreUnavailable(f"There is no file {path}; name the database that is to be rescued.")
    new, aside = path.with_name(f"{path.name}.rescued"), path.with_name(f"{path.name}.damaged")
    if aside.exists():
        raise StoreUnavailable(f"{aside} is there from an earlier rescue; move it away first.")
    new.unlink(missing_ok=True)
    try:
        with translated(path), closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as old:
            old.text_factory = TEXT
            # One file instead of three; it fails while another program has the database open.
            old.execute("PRAGMA journal_mode = DELETE").fetchone()
            with Store(new) as store:
                with store.transaction() as db:
                    taken = {table: [_insert(db, table, row) for row in _rows(old, table)] for table in TABLES}
                damaged = tuple(_damaged(store))
    except StoreDamaged as error:
        raise StoreUnavailable(
            f"Nothing can be read of {path}: move it away or restore a copy of it, then start again."
        ) from error
    path.rename(aside)
    new.rename(path)
    torn = tuple(table for table, done in taken.items() if not all(done))
    return Rescued(aside, {table: sum(done) for table, done in taken.items()}, torn, damaged)


def _rows(old: sqlite3.Connection, table: str) -> Iterator[dict[str, object] | None]:
    """Yield rows in the order of their numbers, and None for every number at which there is damage."""
    columns = [row[1] for row in old.execute(f"PRAGMA table_info({table})")]
    last = misses = 0
    while columns and misses < PATIENCE:
        try:
            # Without columns of other kinds this reads pages of the table alone, never of an index.
            row = old.execute(f"SELECT rowid FROM {table} NOT INDEXED WHERE rowid > ? LIMIT 1", [last]).fetchone()
            if row is None:
                return
            last = row[0]
            found = _row(old, table, columns, last)
            misses = 0
        except sqlite3.DatabaseError:
            last, misses = last + 1, misses + 1
            yield None
            continue
        if found:
            yield dict(zip(columns, found, strict=True))


def _row(old: sqlite3.Connection, table: str, columns: list[str], number: int) -> tuple[object, ...] | None:
    sql = f"SELECT {{}} FROM {table} NOT INDEXED WHERE rowid = ?"
    try:
        return old.execute(sql.format(", ".join(columns)), [number]).fetchone()
    except sqlite3.DatabaseError:
        if table != "documents":
            raise
        # A text fills many pages: without it the document can still be named, and mended by adding its file again.
        return old.execute(
            sql.format(", ".join("''" if name == "text" else name for name in columns)), [number]
        ).fetchone()


def _insert(db: Database, table: str, row: dict[str, object] | None) -> bool:
    """Insert the row if it fits, and tell: one whose owner is lost, or with values of a wrong type, does not."""
    if row is None:
        return False
    if table == "memories":
        row["nbytes"] = 0  # its parts add theirs as they come
    names = ", ".join(row)
    try:
        db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    except sqlite3.IntegrityError:
        return False
    return True


def _damaged(store: Store) -> Iterator[str]:
    for document in store.documents.list():
        try:
            store.documents.text(document.sha256)
            store.documents.left_out(document.sha256)
        except DocumentDamaged:
            yield document.title
