"""Chats: questions, answers and what each answer was based on.

A chat outlives its documents, but keeps nothing that was quoted from them.
"""

import builtins
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from .connections import Connections
from .errors import ChatNotFound
from .rows import document_id, now, parsed, storable


@dataclass(frozen=True)
class Chat:
    """`documents`: SHA-256 of those that are still there, in the order given. Times are ISO 8601, UTC."""

    id: int
    title: str
    documents: tuple[str, ...]
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Message:
    """`meta` is whatever JSON object came with the message (costs, evidence, settings)."""

    id: int
    chat_id: int
    role: str
    content: str
    meta: dict[str, Any]
    created_at: str


class Chats:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def create(self, title: str, documents: Sequence[str] = ()) -> Chat:
        """Create a chat over these documents (SHA-256). Raises DocumentNotFound."""
        with self._connections.transaction() as db:
            moment = now()
            chat = {"title": storable(title), "created_at": moment, "updated_at": moment}
            chat_id = db.table("chats").insert(chat).last_pk
            # A document named twice is one link.
            for position, sha256 in enumerate(dict.fromkeys(documents)):
                owner = document_id(db, sha256)
                link = {"chat_id": chat_id, "document_id": owner, "position": position}
                db.table("chat_documents").insert(link)
            return self._chats(db, chat_id)[0]

    def list(self) -> builtins.list[Chat]:
        """List all chats, the one last written to first."""
        with self._connections.reading() as db:
            return self._chats(db)

    def get(self, chat: int) -> Chat:
        """Find a chat. Raises ChatNotFound."""
        with self._connections.reading() as db:
            self._require(db, chat)
            return self._chats(db, chat)[0]

    def append(self, chat: int, role: str, content: str, meta: dict[str, Any] | None = None) -> Message:
        """Add a message. `meta` must be JSON.

        An object in `meta`, at any depth, that quotes a document names it: `{"document": sha256, …}`.
        Deleting the document deletes these objects. Raises ChatNotFound.
        """
        with self._connections.transaction() as db:
            self._require(db, chat)
            message = {
                "chat_id": chat,
                "role": role,
                "content": storable(content),
                "meta": json.dumps(meta or {}),
                "created_at": now(),
            }
            number = db.table("chat_messages").insert(message).last_pk
            db.table("chats").update(chat, {"updated_at": message["created_at"]})
            return _message(message | {"id": number})

    def drop(self, messages: Sequence[int]) -> None:
        """Delete messages by their numbers; unknown ones are ignored."""
        with self._connections.transaction() as db:
            db.execute("DELETE FROM chat_messages WHERE id IN (SELECT value FROM json_each(?))", [json.dumps(messages)])

    def link(self, chat: int, documents: Sequence[str]) -> None:
        """Add documents (SHA-256) that a chat is about. Raises ChatNotFound, DocumentNotFound."""
        with self._connections.transaction() as db:
            self._require(db, chat)
            for position, sha256 in enumerate(dict.fromkeys(documents)):
                db.execute(
                    "INSERT OR IGNORE INTO chat_documents (chat_id, document_id, position) VALUES (?, ?, ?)",
                    [chat, document_id(db, sha256), position],
                )

    def messages(self, chat: int) -> builtins.list[Message]:
        """List the chat's messages, oldest first. Raises ChatNotFound."""
        with self._connections.reading() as db:
            self._require(db, chat)
            rows = db.table("chat_messages").rows_where("chat_id = ?", [chat], order_by="id")
            return [_message(row) for row in rows]

    def rename(self, chat: int, title: str) -> Chat:
        """Rename a chat. Raises ChatNotFound."""
        with self._connections.transaction() as db:
            self._require(db, chat)
            db.table("chats").update(chat, {"title": storable(title)})
            return self._chats(db, chat)[0]

    def delete(self, chat: int) -> None:
        """Delete the chat with its messages. Raises ChatNotFound."""
        with self._connections.transaction() as db:
            self._require(db, chat)
            db.table("chats").delete(chat)

    def forget_document(self, sha256: str) -> None:
        """Take what is quoted from a document out of all messages, but keep them. Raises DocumentNotFound."""
        with self._connections.transaction() as db:
            owner = document_id(db, sha256)
            linked = "chat_id IN (SELECT chat_id FROM chat_documents WHERE document_id = ?)"
            sql = f"SELECT id, meta, {linked} AS linked FROM chat_messages WHERE linked OR instr(meta, ?)"
            for row in list(db.query(sql, [owner, sha256])):
                kept = _without([parsed(row["meta"])], sha256, unnamed=bool(row["linked"]))
                meta = kept[0] if kept else {}
                db.table("chat_messages").update(row["id"], {"meta": json.dumps(meta)})

    def _require(self, db: Database, chat: int) -> None:
        if db.execute("SELECT 1 FROM chats WHERE id = ?", [chat]).fetchone() is None:
            raise ChatNotFound(chat)

    def _chats(self, db: Database, chat: int | None = None) -> builtins.list[Chat]:
        links: dict[int, builtins.list[str]] = {}
        for chat_id, sha256 in db.execute(
            "SELECT chat_id, sha256 FROM chat_documents JOIN documents ON documents.id = document_id"
            " WHERE ? IS NULL OR chat_id = ? ORDER BY position",
            [chat, chat],
        ):
            links.setdefault(chat_id, []).append(sha256)
        rows = db.query("SELECT * FROM chats WHERE ? IS NULL OR id = ? ORDER BY updated_at DESC, id DESC", [chat, chat])
        return [Chat(documents=tuple(links.get(row["id"], ())), **row) for row in rows]


def _message(row: dict[str, Any]) -> Message:
    return Message(**row | {"meta": parsed(row["meta"])})


def _without(value: Any, sha256: str, *, unnamed: bool, evidence: bool = False) -> Any:
    """Copy `value` without the objects that quote the document.

    `unnamed`: in a chat about the document, entries of an "evidence" list that name no document count as its.
    """

    def quotes(item: Any) -> bool:
        if not isinstance(item, dict):
            return False
        return item.get("document") == sha256 or (evidence and unnamed and "document" not in item)

    if isinstance(value, dict):
        return {
            key: _without(item, sha256, unnamed=unnamed, evidence=key == "evidence")
            for key, item in value.items()
            if not quotes(item)
        }
    if isinstance(value, list):
        return [_without(item, sha256, unnamed=unnamed) for item in value if not quotes(item)]
    return value
