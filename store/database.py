"""The store: one SQLite file that holds documents, their memories, collections, jobs, chats and runs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlite_utils import Database

from .blobs import SQLiteBlobs
from .chats import Chats
from .collections import Collections
from .connections import BUSY_TIMEOUT_S, Connections, translated
from .documents import Documents
from .jobs import Jobs
from .memories import Memories
from .runs import Runs


@dataclass(frozen=True)
class StoreStats:
    """`file_bytes`: the database and its log on disk; `memory_bytes`: blobs alone; the others are counts."""

    file_bytes: int
    documents: int
    memory_bytes: int
    blobs: int


@dataclass(frozen=True)
class StoreUsage:
    """`documents`: stored or waiting as files; `nbytes`: of texts, of what was left out of them, of files that wait."""

    documents: int
    nbytes: int


class Store:
    """Opens the database at `path`, made with its folder where there is none, and brings it up to date.

    It may be used from many threads at once and by several processes, each of which opens it for itself (also
    after a fork). With `memory_cap_bytes`, the least recently used memories give way to new ones.

    Raises:
        StoreUnavailable: the file cannot be written, is not a database, belongs to another program or was
            written by a newer version; it is left as it was.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        memory_cap_bytes: int | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self._connections = Connections(path, busy_timeout_s=busy_timeout_s)
        self._blobs = SQLiteBlobs(self._connections)
        self.path = self._connections.path
        self.memories = Memories(self._connections, self._blobs, cap_bytes=memory_cap_bytes)
        self.chats = Chats(self._connections)
        self.collections = Collections(self._connections)
        self.jobs = Jobs(self._connections)
        self.documents = Documents(self._connections, self.memories, self.chats, self.jobs)
        self.runs = Runs(self._connections)

    def transaction(self) -> AbstractContextManager[Database]:
        """Keep all writes of the block, or none if the block raises: `with store.transaction():`.

        Raises:
            StoreBusy: another writer did not finish within the busy timeout.
        """
        return self._connections.transaction()

    def stats(self) -> StoreStats:
        """Count what is stored, and its bytes."""
        with self._connections.reading() as db:
            documents = db.table("documents").count
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm"))
        return StoreStats(
            file_bytes=sum(file.stat().st_size for file in files if file.exists()),
            documents=documents,
            memory_bytes=self.memories.nbytes(),
            blobs=self._blobs.count(),
        )

    def usage(self) -> StoreUsage:
        """Count what somebody put in, and what waits to be; see StoreUsage."""
        with self._connections.reading() as db:
            documents, texts = db.execute("SELECT count(*), coalesce(sum(text_bytes), 0) FROM documents").fetchone()
            (left_out,) = db.execute("SELECT coalesce(sum(nbytes), 0) FROM sources").fetchone()
        waiting, files = self.jobs.waiting()
        return StoreUsage(documents + waiting, texts + left_out + files)

    def version(self) -> tuple[int, float]:
        """Another value after every write, by whichever process: the size and time of the files that grow."""
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal"))
        states = [file.stat() for file in files if file.exists()]
        return sum(state.st_size for state in states), max(state.st_mtime for state in states)

    def copy_to(self, path: Path) -> None:
        """Write all that is stored now to a new file at `path`, whoever writes meanwhile; its folder must be there.

        Raises:
            StoreUnavailable: it cannot be written; what is at `path` stays as it is.
        """
        partial = path.with_name(path.name + ".partial")
        with translated(partial):
            partial.unlink(missing_ok=True)
            with self._connections.reading() as db:
                db.execute("VACUUM INTO ?", [str(partial)])
        partial.replace(path)

    def vacuum(self) -> None:
        """Give the space of what was deleted back to the disk, and wipe its traces from the search index."""
        with self._connections.writing() as db:
            db.table("documents_fts").optimize()
            db.vacuum()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def wipe(self) -> None:
        """Take what was deleted out of the file: out of the search index and the log, and the space of it given back
        once a quarter of the file is free. Deleted rows themselves are overwritten as they go.
        """
        with self._connections.writing() as db:
            db.table("documents_fts").optimize()
            free, pages = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_count"))
            if free * 4 >= pages:
                db.vacuum()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close all connections; nothing can be done with this object afterwards."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
