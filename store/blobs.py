"""Where the bytes of memories live. The rest of the store knows only `BlobStore`.

A blob store neither interprets nor verifies: digests are kept and checked by `memories`.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Protocol

from .connections import Connections


class BlobStore(Protocol):
    """Bytes by key, a key being 64 hex digits: fit for a table, fit for the name of a file."""

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Store (key, bytes) pairs; a key written before is replaced."""

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The blobs of those keys that are there."""

    def delete(self, keys: Sequence[str]) -> None:
        """Forget these keys; unknown ones are ignored."""

    def count(self) -> int:
        """How many blobs are stored."""


class SQLiteBlobs:
    """Blobs in the table `blobs`, in the caller's transaction where there is one."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        with self._connections.transaction() as db:
            db.conn.executemany(
                "INSERT INTO blobs (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data",
                blobs,
            )

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        with self._connections.reading() as db:
            return dict(
                db.execute(
                    "SELECT key, data FROM blobs WHERE key IN (SELECT value FROM json_each(?))",
                    [json.dumps(keys)],
                )
            )

    def delete(self, keys: Sequence[str]) -> None:
        with self._connections.transaction() as db:
            db.execute("DELETE FROM blobs WHERE key IN (SELECT value FROM json_each(?))", [json.dumps(keys)])

    def count(self) -> int:
        with self._connections.reading() as db:
            return db.table("blobs").count
