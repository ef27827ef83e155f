"""As many SQLite connections as are used at once, transactions that wait for each other, SQLite's errors as sentences.

It knows nothing of what the tables mean.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import NotFoundError

from . import migrations, words
from .errors import StoreBusy, StoreDamaged, StoreUnavailable

BUSY_TIMEOUT_S = 30.0

#: How texts are read: a damaged byte must not hide the rest of a row, and what must be right is checked by digests.
TEXT = partial(str, encoding="utf-8", errors="replace")

_SMALLEST_BYTES = 512  # one page of the smallest size that SQLite knows

#: Of pages that a connection keeps. Visitors of a demo have connections of their own, and the system keeps pages too.
_CACHE_KIB = 256

_BUSY = "{path} is in use by another process; try again in a moment."
_DAMAGED = (
    '{path} is damaged; end every program that uses it, run `python -m store rescue "{path}"`, which takes what is '
    "sound into a new file, and start again."
)
_CANNOT_WRITE = "{path} cannot be written; make the file and its folder writable or choose another path."
_SENTENCES = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_READONLY: _CANNOT_WRITE,
    sqlite3.SQLITE_CANTOPEN: _CANNOT_WRITE,
    sqlite3.SQLITE_PERM: _CANNOT_WRITE,
    sqlite3.SQLITE_NOTADB: "{path} is not a database; choose another path or move that file away.",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: "The disk that holds {path} is full; free some space and try again.",
    sqlite3.SQLITE_IOERR: "The disk failed while {path} was in use; check the disk and try again.",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's complaints about the file into StoreUnavailable or StoreBusy; let others through."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code not in _SENTENCES:
            raise
        kind = {_BUSY: StoreBusy, _DAMAGED: StoreDamaged}.get(_SENTENCES[code], StoreUnavailable)
        raise kind(_SENTENCES[code].format(path=path)) from error
    except NotFoundError as error:
        # Rows are named by what was just read: an index and its table disagree.
        raise StoreDamaged(_DAMAGED.format(path=path)) from error


class Connections:
    """Opens the database at `path` (and its folder), brings its schema up to date, hands out connections.

    A block has a connection to itself, which the blocks within it share and the next one takes over. Writers of
    this process queue on a lock; writers of other processes are waited for up to `busy_timeout_s` seconds.

    Raises:
        StoreUnavailable: the file cannot be used; it is left as it was.
    """

    def __init__(self, path: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = Path(path).absolute()
        self._busy_timeout_s = busy_timeout_s
        self._pid = os.getpid()
        self._closed = False
        #: The connection of the block that a thread is in.
        self._held = threading.local()
        self._idle: list[Database] = []
        self._idle_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._make_room()
        try:
            self._use_wal()
            with self.transaction() as db:
                migrations.upgrade(db)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # What no sound file raises: its list of tables, or of the steps that made them, cannot be read.
            self.close()
            raise StoreDamaged(_DAMAGED.format(path=self.path)) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Lend a connection; inside `transaction()` its own, which sees what was written so far.

        Raises:
            StoreUnavailable: SQLite cannot use the file (StoreBusy: not now).
        """
        with translated(self.path):
            outer: Database | None = getattr(self._held, "db", None)
            if outer is not None:
                yield outer
                return
            db = self._held.db = self._take()
            try:
                yield db
            finally:
                self._held.db = None
                self._give_back(db)

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Lend a connection while no other thread of this process writes. Raises StoreBusy."""
        if not self._write_lock.acquire(timeout=self._busy_timeout_s):
            raise StoreBusy(_BUSY.format(path=self.path))
        try:
            with self.reading() as db:
                yield db
        finally:
            self._write_lock.release()

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Keep all of the block's writes, or none if the block raises. A block within a block is a savepoint.

        Raises:
            StoreUnavailable: SQLite cannot write the file (StoreBusy: another writer did not finish in time).
        """
        with self.writing() as db:
            if db.conn.in_transaction:
                with db.atomic():
                    yield db
                return
            # A deferred BEGIN fails at once when two readers both turn into writers; IMMEDIATE waits.
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.commit()
            except BaseException:
                db.rollback()
                raise

    def close(self) -> None:
        """Close every connection after the running writer; one that reads closes when its block ends.

        SQLite crashes the process if a connection is closed while another thread reads with it.
        """
        with self._write_lock, self._idle_lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def _take(self) -> Database:
        if os.getpid() != self._pid:
            # SQLite's connections and file locks do not survive a fork.
            raise StoreUnavailable(f"{self.path} was opened by another process; open it again in this one.")
        with self._idle_lock:
            if self._closed:
                raise StoreUnavailable(f"{self.path} was closed; open it again.")
            return self._idle.pop() if self._idle else self._connect()

    def _give_back(self, db: Database) -> None:
        with self._idle_lock:
            if self._closed or db.conn.in_transaction:  # one that could not be rolled back
                db.close()
            else:
                self._idle.append(db)

    def _connect(self) -> Database:
        conn = sqlite3.connect(self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False)
        conn.text_factory = TEXT
        try:
            db = Database(conn, strict=True, execute_plugins=False)
            words.register(db)
            # Some builds of SQLite let no trigger call a function of the program.
            db.execute("PRAGMA trusted_schema = ON")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            # What is deleted is overwritten, not only given up.
            db.execute("PRAGMA secure_delete = ON")
            db.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        except BaseException:
            conn.close()
            raise
        return db

    def _make_room(self) -> None:
        """Make the folder; refuse a very short file, which SQLite would take for an empty database.

        The file's size has to do: opening and closing the file here would drop this process's SQLite locks.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size = self.path.stat().st_size if self.path.exists() else 0
        except OSError as error:
            raise StoreUnavailable(_CANNOT_WRITE.format(path=self.path)) from error
        if 0 < size < _SMALLEST_BYTES:
            raise StoreUnavailable(_SENTENCES[sqlite3.SQLITE_NOTADB].format(path=self.path))

    def _use_wal(self) -> None:
        """Check that the file is ours, then switch it to write-ahead logging."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                with self.reading() as db:
                    migrations.check(db, self.path)
                    db.enable_wal()
                return
            except StoreBusy:
                # SQLite does not wait by itself when several processes switch a new file at the same moment.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
