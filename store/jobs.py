"""Jobs: what is waiting to be compressed, in the order of arrival, kept until it has its outcome.

A file's bytes stay with its job until its text is stored, so that neither a reload nor a restart loses them.
"""

import builtins
import json
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from .connections import Connections
from .errors import JobNotFound
from .rows import now, parsed, storable

State = Literal["queued", "running", "stored", "failed"]

_COLUMNS = (
    "id, name, title, state, document, anew, reason, outcome, created_at,"
    " data IS NOT NULL OR document IS NOT NULL AS repeatable"
)


@dataclass(frozen=True)
class Job:
    """`name`: of the file; `title`: one that was given by hand, or "".

    `document`: SHA-256, None until the text is stored; `anew`: what is compressed already is to be compressed
    again; `reason`: why it failed; `outcome`: a JSON object, {} until it is stored; `created_at`: ISO 8601, UTC;
    `repeatable`: the file's bytes or its document are there, so that it can be tried again.
    """

    id: int
    name: str
    title: str
    state: State
    document: str | None
    anew: bool
    reason: str
    outcome: dict[str, Any]
    created_at: str
    repeatable: bool


class Jobs:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(
        self,
        name: str,
        data: bytes | None = None,
        *,
        title: str = "",
        document: str | None = None,
        anew: bool = False,
    ) -> Job:
        """Queue the bytes of a file, or a document that is stored already."""
        row = {
            "name": storable(name),
            "title": storable(title),
            "state": "queued",
            "document": document,
            "anew": int(anew),
            "reason": "",
            "outcome": "{}",
            "created_at": now(),
            "data": data,
        }
        with self._connections.transaction() as db:
            number = db.table("jobs").insert(row).last_pk
            return self._get(db, number)

    def list(self) -> builtins.list[Job]:
        """Oldest first."""
        with self._connections.reading() as db:
            return [_job(row) for row in db.query(f"SELECT {_COLUMNS} FROM jobs ORDER BY id")]

    def get(self, job: int) -> Job:
        """Find a job. Raises JobNotFound."""
        with self._connections.reading() as db:
            return self._get(db, job)

    def take(self) -> Job | None:
        """Take the queued job that waits longest, which runs from now on; None if none waits."""
        with self._connections.transaction() as db:
            found = db.execute("SELECT min(id) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if found is None:
                return None
            db.table("jobs").update(found, {"state": "running", "reason": ""})
            return self._get(db, found)

    def data(self, job: int) -> bytes | None:
        """Read the bytes of the job's file, None once the text is stored. Raises JobNotFound."""
        with self._connections.reading() as db:
            self._get(db, job)
            return db.execute("SELECT data FROM jobs WHERE id = ?", [job]).fetchone()[0]

    def read(self, job: int, document: str | None) -> None:
        """Forget the bytes of the file: the text is stored as this document, or is not to be kept."""
        self._update(job, {"document": document, "data": None})

    def finish(self, job: int, outcome: dict[str, Any]) -> None:
        """Mark a job as stored. `outcome` must be JSON."""
        self._update(job, {"state": "stored", "outcome": json.dumps(outcome), "data": None})

    def fail(self, job: int, reason: str) -> None:
        """Mark a job as failed; what it holds is kept for another try."""
        self._update(job, {"state": "failed", "reason": storable(reason)})

    def retry(self, job: int) -> Job:
        """Queue a failed job again; others are left as they are. Raises JobNotFound."""
        with self._connections.transaction() as db:
            if self._get(db, job).state == "failed":
                db.table("jobs").update(job, {"state": "queued", "reason": ""})
            return self._get(db, job)

    def requeue(self) -> int:
        """Queue what was running when its program ended; returns how many these were."""
        with self._connections.transaction() as db:
            return db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'").rowcount

    def delete(self, job: int) -> None:
        """Forget a job and its bytes. Raises JobNotFound."""
        with self._connections.transaction() as db:
            self._get(db, job)
            db.table("jobs").delete(job)

    def clear(self) -> None:
        """Forget the jobs that are stored."""
        with self._connections.transaction() as db:
            db.table("jobs").delete_where("state = 'stored'")

    def waiting(self) -> tuple[int, int]:
        """Count the files of which the text is not stored yet, whatever their state, and their bytes."""
        with self._connections.reading() as db:
            count, nbytes = db.execute(
                "SELECT count(*), coalesce(sum(length(data)), 0) FROM jobs WHERE data IS NOT NULL"
            ).fetchone()
        return int(count), int(nbytes)

    def forget_document(self, sha256: str) -> None:
        """Forget the jobs of a document."""
        with self._connections.transaction() as db:
            db.table("jobs").delete_where("document = ?", [sha256])

    def _get(self, db: Database, job: Any) -> Job:
        for row in db.query(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", [job]):
            return _job(row)
        raise JobNotFound(job)

    def _update(self, job: int, values: dict[str, Any]) -> None:
        # A job that was deleted meanwhile stays deleted.
        with self._connections.transaction() as db:
            if db.execute("SELECT 1 FROM jobs WHERE id = ?", [job]).fetchone():
                db.table("jobs").update(job, values)


def _job(row: dict[str, Any]) -> Job:
    return Job(
        **row | {"anew": bool(row["anew"]), "repeatable": bool(row["repeatable"]), "outcome": parsed(row["outcome"])}
    )
