"""Small values that several tables share: document numbers, time stamps, storable text."""

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from sqlite_utils import Database

from .errors import DocumentNotFound


def document_id(db: Database, sha256: str) -> int:
    """Find the row number behind a content address.

    Raises:
        DocumentNotFound: no such document.
    """
    row = db.execute("SELECT id FROM documents WHERE sha256 = ?", [sha256]).fetchone()
    if row is None:
        raise DocumentNotFound(sha256)
    return int(row[0])


def now() -> str:
    """Tell the present moment, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def parsed(stored: str) -> Any:
    """Parse a stored JSON text; one that cannot be read is reported as SQLite reports a damaged page."""
    try:
        return json.loads(stored)
    except (TypeError, ValueError) as error:
        damage = sqlite3.DatabaseError("stored JSON cannot be read")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from error


def storable(text: str) -> str:
    """Put a '?' for every lone surrogate, which UTF-8 cannot carry (odd file names, JSON escapes)."""
    return text.encode("utf-8", "replace").decode("utf-8")
