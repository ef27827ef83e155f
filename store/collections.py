"""Collections: names under which documents are kept together. A document may be in several; none is ever empty."""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from .connections import Connections
from .rows import document_id, storable


@dataclass(frozen=True)
class Collection:
    """`documents`: SHA-256, the newest first."""

    name: str
    documents: tuple[str, ...]


class Collections:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def list(self) -> builtins.list[Collection]:
        """By name."""
        found: dict[str, builtins.list[str]] = {}
        with self._connections.reading() as db:
            for name, sha256 in db.execute(
                "SELECT name, sha256 FROM collections JOIN collection_documents ON collection_id = collections.id"
                " JOIN documents ON documents.id = document_id ORDER BY name COLLATE NOCASE, documents.id DESC"
            ):
                found.setdefault(name, []).append(sha256)
        return [Collection(name, tuple(documents)) for name, documents in found.items()]

    def set(self, document: str, names: Sequence[str]) -> None:
        """Put a document into exactly these collections, made where there are none. Raises DocumentNotFound."""
        with self._connections.transaction() as db:
            owner = document_id(db, document)
            db.table("collection_documents").delete_where("document_id = ?", [owner])
            for name in dict.fromkeys(storable(name) for name in names):
                db.execute("INSERT INTO collections (name) VALUES (?) ON CONFLICT (name) DO NOTHING", [name])
                db.execute(
                    "INSERT INTO collection_documents (collection_id, document_id)"
                    " SELECT id, ? FROM collections WHERE name = ?",
                    [owner, name],
                )
            self.prune(db)

    @staticmethod
    def prune(db: Database) -> None:
        """Forget collections without documents."""
        db.execute("DELETE FROM collections WHERE id NOT IN (SELECT collection_id FROM collection_documents)")
