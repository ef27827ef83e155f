"""Small values that several tables share: document numbers, time stamps, storable text."""

from datetime import UTC, datetime

from sqlite_utils import Database

from .errors import DocumentNotFound


def document_id(db: Database, sha256: str) -> int:
    """The row number behind a content address.

    Raises:
        DocumentNotFound: no such document.
    """
    row = db.execute("SELECT id FROM documents WHERE sha256 = ?", [sha256]).fetchone()
    if row is None:
        raise DocumentNotFound(sha256)
    return int(row[0])


def now() -> str:
    """The present moment, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def storable(text: str) -> str:
    """`text` with a '?' for every lone surrogate, which UTF-8 cannot carry (odd file names, JSON escapes)."""
    return text.encode("utf-8", "replace").decode("utf-8")
