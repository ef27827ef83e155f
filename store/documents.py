"""Documents: plain text by the SHA-256 of its UTF-8 bytes, with full-text search."""

import builtins
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from . import sources
from .chats import Chats
from .collections import Collections
from .connections import Connections
from .errors import DocumentDamaged, DocumentNotFound, InvalidText
from .excerpts import CLOSE, OPEN, excerpt
from .jobs import Jobs
from .memories import Memories
from .rows import document_id, now, parsed, storable
from .words import spaced

MAX_QUERY_WORDS = 64
MAX_HITS = 1_000

_COLUMNS = (
    "sha256, title, media_type, source_bytes, text_bytes, characters, pages, tokens, segments, created_at,"
    " (SELECT coalesce(sum(nbytes), 0) FROM memories WHERE document_id = documents.id) AS memory_bytes,"
    " coalesce((SELECT filename FROM sources WHERE document_id = documents.id), '') AS filename"
)


@dataclass(frozen=True)
class Document:
    """One document without its text.

    `source_bytes`: size of the file it was read from; `text_bytes`: its UTF-8 size; `characters`: its length;
    `pages`: (start, end) character offsets of each page; `tokens` and `segments`: None until a tokenizer saw
    it; `memory_bytes`: blobs stored for it, all models together; `created_at`: ISO 8601, UTC; `filename`: "" for
    text without a file, and where it is not known.
    """

    sha256: str
    title: str
    media_type: str
    source_bytes: int | None
    text_bytes: int
    characters: int
    pages: tuple[tuple[int, int], ...]
    tokens: int | None
    segments: int | None
    created_at: str
    memory_bytes: int
    filename: str = ""


@dataclass(frozen=True)
class Hit:
    """A document that matches a query.

    `snippet` is text[start : start + len(snippet)], plain; `marks` are the (start, end) of the matching words
    within it, empty if only the title matches; a higher `score` (BM25) is a better match.
    """

    document: Document
    snippet: str
    start: int
    marks: tuple[tuple[int, int], ...]
    score: float


class Documents:
    def __init__(self, connections: Connections, memories: Memories, chats: Chats, jobs: Jobs) -> None:
        self._connections = connections
        self._memories = memories
        self._chats = chats
        self._jobs = jobs

    def add(
        self,
        text: str,
        *,
        title: str,
        media_type: str,
        pages: Sequence[tuple[int, int]] = (),
        source_bytes: int | None = None,
        filename: str = "",
        left_out: Sequence[tuple[str, str]] = (),
    ) -> Document:
        """Store a text; one that is there already is returned as it is, under its first title, and mended if damaged.

        `left_out` are (heading, text) of what its file holds besides. What is not known of the file of a text that is
        there already, its name or what was left out, is filled in.

        Raises:
            InvalidText: the text cannot be written as UTF-8.
        """
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidText from error
        sha256 = hashlib.sha256(encoded).hexdigest()
        row = {
            "sha256": sha256,
            "title": storable(title),
            "media_type": media_type,
            "source_bytes": source_bytes,
            "text_bytes": len(encoded),
            "characters": len(text),
            "pages": json.dumps(list(pages)),
            "created_at": now(),
            "text": text,
        }
        with self._connections.transaction() as db:
            if self.find(sha256) is None:
                db.table("documents").insert(row)
            elif self._bytes(db, sha256) != encoded:
                db.table("documents").update(document_id(db, sha256), {"text": text})
                # What the index held of the damaged text is not known any more.
                db.table("documents_fts").rebuild_fts()
            sources.fill_in(db, document_id(db, sha256), storable(filename), left_out)
            return self.get(sha256)

    def get(self, sha256: str) -> Document:
        """Find a document. Raises DocumentNotFound."""
        document = self.find(sha256)
        if document is None:
            raise DocumentNotFound(sha256)
        return document

    def find(self, sha256: str) -> Document | None:
        """Find the document; None if there is none."""
        with self._connections.reading() as db:
            return next(iter(self._select(db, "WHERE sha256 = ?", [sha256])), None)

    def list(self) -> builtins.list[Document]:
        """List all documents, the newest first."""
        with self._connections.reading() as db:
            return self._select(db, "ORDER BY id DESC", [])

    def text(self, sha256: str) -> str:
        """Read the whole text. Raises DocumentNotFound; DocumentDamaged if it is not what was stored."""
        with self._connections.reading() as db:
            encoded = self._bytes(db, sha256)
            if hashlib.sha256(encoded).hexdigest() != sha256:
                raise DocumentDamaged(self.get(sha256).title)
        return encoded.decode()

    def left_out(self, sha256: str) -> builtins.list[tuple[str, str]]:
        """List (heading, text) of what the document's file holds besides the text.

        Raises DocumentNotFound; DocumentDamaged if it is not what was stored.
        """
        with self._connections.reading() as db:
            kept = sources.left_out(db, document_id(db, sha256))
            if kept is None:
                raise DocumentDamaged(self.get(sha256).title)
        return kept

    def rename(self, sha256: str, title: str) -> Document:
        """Rename a document. Raises DocumentNotFound."""
        return self._update(sha256, {"title": storable(title)})

    def set_tokens(self, sha256: str, tokens: int, segments: int) -> Document:
        """Note how many tokens and segments a tokenizer made of the text. Raises DocumentNotFound."""
        return self._update(sha256, {"tokens": tokens, "segments": segments})

    def delete(self, sha256: str) -> None:
        """Delete the document, its memories, its jobs, and what chats quote from it. Raises DocumentNotFound."""
        with self._connections.transaction() as db:
            self._chats.forget_document(sha256)
            self._memories.delete(sha256)
            self._jobs.forget_document(sha256)
            db.table("documents").delete(document_id(db, sha256))
            Collections.prune(db)

    def search(self, query: str, limit: int = 20) -> builtins.list[Hit]:
        """Find the documents that hold all words of the query, in title or text, the best first.

        Words are matched whatever their case, accents and English endings; "quoted words" as a phrase; words of
        Chinese, Japanese and Korean wherever they stand. No query is an error: one without a word finds nothing.
        """
        words = spaced(unicodedata.normalize("NFC", storable(query))).replace("\0", " ").split()[:MAX_QUERY_WORDS]
        if not words:
            return []
        with self._connections.reading() as db:
            match = db.quote_fts(" ".join(words))
            if not match:
                return []
            rows = db.execute(
                "SELECT documents.id, highlight(documents_fts, 1, ?, ?), -rank"
                " FROM documents_fts JOIN documents ON documents.id = documents_fts.rowid"
                " WHERE documents_fts MATCH ? ORDER BY rank LIMIT ?",
                [OPEN, CLOSE, match, min(max(limit, 0), MAX_HITS)],
            ).fetchall()
            return [
                Hit(self._select(db, "WHERE id = ?", [row_id])[0], *excerpt(marked), score)
                for row_id, marked, score in rows
            ]

    def _bytes(self, db: Database, sha256: str) -> bytes:
        row = db.execute("SELECT CAST(text AS BLOB) FROM documents WHERE id = ?", [document_id(db, sha256)]).fetchone()
        return bytes(row[0] or b"") if row else b""

    def _update(self, sha256: str, values: dict[str, Any]) -> Document:
        with self._connections.transaction() as db:
            db.table("documents").update(document_id(db, sha256), values)
            return self.get(sha256)

    def _select(self, db: Database, tail: str, values: Sequence[Any]) -> builtins.list[Document]:
        rows = db.query(f"SELECT {_COLUMNS} FROM documents {tail}", values)
        return [Document(**row | {"pages": _pages(row["pages"])}) for row in rows]


def _pages(stored: str) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in parsed(stored))
