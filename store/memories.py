"""Memories: what a model made of a document, one blob and one digest per segment and level.

A memory is bytes here: this package cannot tell a key from a value. It promises that what comes out is what went
in (SHA-256, checked at every read), and that the bytes stay under a cap by forgetting whole memories that
were not used for longest.
"""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlite_utils import Database

from .blobs import SQLiteBlobs
from .connections import Connections
from .errors import StoreUnavailable
from .rows import document_id, now

TOUCH_EVERY_S = 60.0
TICK_S = 0.001

logger = logging.getLogger(__name__)


class MemoryParts(dict[tuple[int, int], bytes]):
    """(segment, level) -> blob, in order; `corrupted` names the damaged parts, which are dropped by now."""

    def __init__(self) -> None:
        super().__init__()
        self.corrupted: list[tuple[int, int]] = []


def memory_key(document: str, model_key: str, segment: int, level: int) -> str:
    """SHA-256, in hex, over everything that names one part of a memory."""
    return hashlib.sha256(f"{document}\n{model_key}\n{segment}\n{level}".encode()).hexdigest()


def digest(blob: bytes) -> str:
    """SHA-256 of a blob, in hex."""
    return hashlib.sha256(blob).hexdigest()


class Memories:
    """Parts of memories by document (SHA-256 of its text), model key, segment (from 0) and level.

    `model_key` is opaque: whoever makes memories puts into it all that changes their bytes. With `cap_bytes`,
    every write forgets least recently used memories of other documents until the sum of blobs is under it; a
    document that is over the cap by itself is kept.
    """

    def __init__(self, connections: Connections, blobs: SQLiteBlobs, *, cap_bytes: int | None = None) -> None:
        self.cap_bytes = cap_bytes
        self._connections = connections
        self._blobs = blobs

    def put_many(self, document: str, model_key: str, parts: Iterable[tuple[int, int, bytes]]) -> None:
        """Store (segment, level, blob) parts, all of them or none. Raises DocumentNotFound."""
        # Collected and hashed first: reading `parts` may take long, and a writer keeps the others waiting.
        ready = [
            (memory_key(document, model_key, segment, level), segment, level, digest(blob), blob)
            for segment, level, blob in parts
        ]
        if not ready:
            return
        with self._connections.transaction() as db:
            owner = document_id(db, document)
            memory = self._open_memory(db, owner, model_key)
            db.conn.executemany(
                "INSERT INTO memory_parts (key, memory_id, segment, level, digest, nbytes)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key)"
                " DO UPDATE SET digest = excluded.digest, nbytes = excluded.nbytes",
                [(key, memory, segment, level, sha256, len(blob)) for key, segment, level, sha256, blob in ready],
            )
            self._blobs.write((key, blob) for key, *_, blob in ready)
            self._evict(db, owner)

    def get(self, document: str, model_key: str, segments: Sequence[int] | None, levels: Sequence[int]) -> MemoryParts:
        """Read the stored parts of these segments (None: all) and levels; what is not there is left out.

        Every blob is checked against its digest. A damaged one is never returned: it is deleted, logged as a
        warning and named in `.corrupted`. Raises DocumentNotFound.
        """
        found = MemoryParts()
        with self._connections.reading() as db:
            owner = document_id(db, document)
            memory = db.execute(
                "SELECT id, last_used FROM memories WHERE document_id = ? AND model_key = ?",
                [owner, model_key],
            ).fetchone()
            if memory is None:
                return found
            rows = self._parts(db, memory[0], segments, levels)
            blobs = self._blobs.read([row["key"] for row in rows])
        for row in rows:
            blob = blobs.get(row["key"])
            if blob is not None and digest(blob) == row["digest"]:
                found[row["segment"], row["level"]] = blob
            else:
                self._look_again(row, found)
        self._touch(*memory)
        return found

    def missing(self, document: str, model_key: str, segments: int, levels: Sequence[int]) -> list[int]:
        """List those of the segments 0 … segments - 1 that lack a level. Raises DocumentNotFound."""
        with self._connections.reading() as db:
            owner = document_id(db, document)
            rows = db.execute(
                "SELECT segment FROM memory_parts JOIN memories ON memories.id = memory_id"
                " WHERE document_id = ? AND model_key = ? AND level IN (SELECT value FROM json_each(?))"
                " GROUP BY segment HAVING count(*) = ?",
                [owner, model_key, json.dumps(list(levels)), len(set(levels))],
            )
            complete = {segment for (segment,) in rows}
        return [segment for segment in range(segments) if segment not in complete]

    def nbytes(
        self, document: str | None = None, model_key: str | None = None, levels: Sequence[int] | None = None
    ) -> int:
        """Count the bytes of blobs, of all or of those that the arguments name; 0 for what is not there."""
        source, size = "memories", "memories.nbytes"
        conditions: list[str] = []
        values: list[Any] = []
        if levels is not None:
            source, size = "memory_parts JOIN memories ON memories.id = memory_id", "memory_parts.nbytes"
            conditions.append("level IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(levels)))
        if document is not None:
            conditions.append("document_id = (SELECT id FROM documents WHERE sha256 = ?)")
            values.append(document)
        if model_key is not None:
            conditions.append("model_key = ?")
            values.append(model_key)
        where = " AND ".join(conditions) or "1"
        with self._connections.reading() as db:
            sql = f"SELECT coalesce(sum({size}), 0) FROM {source} WHERE {where}"
            return int(db.execute(sql, values).fetchone()[0])

    def delete(self, document: str, model_key: str | None = None) -> None:
        """Forget the document's memories under one model key (None: under all). Raises DocumentNotFound."""
        with self._connections.transaction() as db:
            owner = document_id(db, document)
            rows = db.execute(
                "SELECT id FROM memories WHERE document_id = ? AND (? IS NULL OR model_key = ?)",
                [owner, model_key, model_key],
            ).fetchall()
            for (memory,) in rows:
                self._forget(db, memory)

    def _open_memory(self, db: Database, owner: int, model_key: str) -> int:
        db.execute(
            "INSERT INTO memories (document_id, model_key, nbytes, created_at, last_used)"
            " VALUES (?, ?, 0, ?, ?)"
            " ON CONFLICT (document_id, model_key) DO UPDATE SET last_used = excluded.last_used",
            [owner, model_key, now(), self._moment(db)],
        )
        sql = "SELECT id FROM memories WHERE document_id = ? AND model_key = ?"
        return int(db.execute(sql, [owner, model_key]).fetchone()[0])

    def _parts(
        self, db: Database, memory: int, segments: Sequence[int] | None, levels: Sequence[int]
    ) -> list[dict[str, Any]]:
        sql = (
            "SELECT key, segment, level, digest FROM memory_parts"
            " WHERE memory_id = :memory AND level IN (SELECT value FROM json_each(:levels))"
        )
        if segments is not None:
            sql += " AND segment IN (SELECT value FROM json_each(:segments))"
        wanted = {"memory": memory, "levels": json.dumps(list(levels))}
        if segments is not None:
            wanted["segments"] = json.dumps(list(segments))
        return list(db.query(sql + " ORDER BY segment, level", wanted))

    def _look_again(self, part: dict[str, Any], found: MemoryParts) -> None:
        """Read a suspect part again while nobody can write between row and blob; drop it if it is bad."""
        key, place = part["key"], (part["segment"], part["level"])
        with self._connections.transaction() as db:
            row = db.execute("SELECT digest FROM memory_parts WHERE key = ?", [key]).fetchone()
            if row is None:
                return
            blob = self._blobs.read([key]).get(key)
            if blob is not None and digest(blob) == row[0]:
                found[place] = blob
                return
            self._blobs.delete([key])
            db.execute("DELETE FROM memory_parts WHERE key = ?", [key])
        found.corrupted.append(place)
        logger.warning("Dropped segment %d, level %d of a memory: its bytes do not match their digest.", *place)

    def _touch(self, memory: int, last_used: float) -> None:
        """Note the use, at most once a minute."""
        if abs(time.time() - last_used) < TOUCH_EVERY_S:
            return
        # A full or busy disk must not keep a reader from what it has already read.
        with contextlib.suppress(StoreUnavailable), self._connections.transaction() as db:
            db.execute("UPDATE memories SET last_used = ? WHERE id = ?", [self._moment(db), memory])

    def _moment(self, db: Database) -> float:
        """Now, in seconds, or just after the last use if the clock was set back since: the order of uses must hold."""
        latest = db.execute("SELECT max(last_used) FROM memories").fetchone()[0] or 0.0
        return max(time.time(), latest + TICK_S)

    def _evict(self, db: Database, writing: int) -> None:
        if self.cap_bytes is None:
            return
        excess = db.execute("SELECT sum(nbytes) FROM memories").fetchone()[0] - self.cap_bytes
        if excess <= 0:
            return
        others = db.execute(
            "SELECT id, nbytes FROM memories WHERE document_id != ? AND nbytes > 0 ORDER BY last_used, id",
            [writing],
        ).fetchall()
        for memory, nbytes in others:
            if excess <= 0:
                break
            self._forget(db, memory)
            excess -= nbytes
            logger.info("Forgot a memory of %d bytes to stay under the cap of %d.", nbytes, self.cap_bytes)

    def _forget(self, db: Database, memory: int) -> None:
        keys = [key for (key,) in db.execute("SELECT key FROM memory_parts WHERE memory_id = ?", [memory])]
        self._blobs.delete(keys)
        db.execute("DELETE FROM memories WHERE id = ?", [memory])
