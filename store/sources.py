"""Sources: the file that a document was read from, by its name and by what of it is not in the document's text."""

import hashlib
import json
from collections.abc import Sequence

from sqlite_utils import Database

from .rows import storable

#: (heading, text) of each part.
Parts = Sequence[tuple[str, str]]


def fill_in(db: Database, document: int, filename: str, parts: Parts) -> None:
    """Keep what was not known of a document's file, or is damaged: of several files of one text, the first counts."""
    row = db.execute("SELECT filename FROM sources WHERE document_id = ?", [document]).fetchone()
    if row and left_out(db, document):
        db.table("sources").update(document, {"filename": row[0] or filename})
        return
    data = json.dumps([[storable(what), storable(text)] for what, text in parts], ensure_ascii=False).encode()
    source = {
        "document_id": document,
        "filename": row[0] if row and row[0] else filename,
        "nbytes": len(data) if parts else 0,
        "digest": hashlib.sha256(data).hexdigest(),
        "left_out": data.decode(),
    }
    db.table("sources").upsert(source, pk="document_id")


def left_out(db: Database, document: int) -> list[tuple[str, str]] | None:
    """Read what was left out of a document; None if it is not what was stored."""
    row = db.execute("SELECT digest, CAST(left_out AS BLOB) FROM sources WHERE document_id = ?", [document]).fetchone()
    if row is None:
        return []
    digest, data = row
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    return [(what, text) for what, text in json.loads(data)]
