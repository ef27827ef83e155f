"""Where the bytes of memories live, by keys of 64 hex digits.

It neither interprets nor verifies: digests are kept and checked by `memories`.
"""

import json
from collections.abc import Iterable, Sequence

from .connections import Connections


class SQLiteBlobs:
    """Blobs in the table `blobs`, in the caller's transaction where there is one."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Store (key, bytes) pairs; a key written before is replaced."""
        with self._connections.transaction() as db:
            db.conn.executemany(
                "INSERT INTO blobs (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data",
                blobs,
            )

    def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Read the blobs of those keys that are there."""
        with self._connections.reading() as db:
            return dict(
                db.execute(
                    "SELECT key, data FROM blobs WHERE key IN (SELECT value FROM json_each(?))",
                    [json.dumps(keys)],
                )
            )

    def delete(self, keys: Sequence[str]) -> None:
        """Forget these keys; unknown ones are ignored."""
        with self._connections.transaction() as db:
            db.execute("DELETE FROM blobs WHERE key IN (SELECT value FROM json_each(?))", [json.dumps(keys)])

    def count(self) -> int:
        """Count the blobs that are stored."""
        with self._connections.reading() as db:
            return db.table("blobs").count
