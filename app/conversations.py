"""Questions and answers that are kept: listed, read again, renamed, taken out, deleted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from app.exporting import answer_from_dict, export_conversation
from app.library import one_line
from app.views import MessageView
from store import Chat, Store

MAX_TITLE = 60


class Conversations:
    def __init__(self, store: Store) -> None:
        self.store = store

    def new(self, title: str, documents: Sequence[str] = ()) -> Chat:
        """Raises DocumentNotFound."""
        return self.store.chats.create(_short(title), documents)

    def list(self) -> list[Chat]:
        """The one last written to first."""
        return self.store.chats.list()

    def messages(self, chat: int) -> list[MessageView]:
        """Oldest first. Raises ChatNotFound."""
        return [
            MessageView(
                role="assistant" if message.role == "assistant" else "user",
                content=message.content,
                created_at=message.created_at,
                answer=answer_from_dict(message.meta) if message.meta else None,
            )
            for message in self.store.chats.messages(chat)
        ]

    def rename(self, chat: int, title: str) -> Chat:
        """Raises ChatNotFound. A blank title leaves the old one."""
        line = _short(title)
        return self.store.chats.rename(chat, line) if line else self.store.chats.get(chat)

    def delete(self, chat: int) -> None:
        """Raises ChatNotFound."""
        self.store.chats.delete(chat)
        self.store.wipe()

    def export(self, chat: int, form: Literal["markdown", "json"] = "markdown") -> str:
        """All answers with settings, costs and evidence as one text. Raises ChatNotFound."""
        answers = [message.answer for message in self.messages(chat) if message.answer is not None]
        return export_conversation(self.store.chats.get(chat).title, answers, form)


def _short(title: str) -> str:
    """A title of whole words where that can be."""
    line = one_line(title)
    return textwrap.shorten(line, MAX_TITLE, placeholder=" …") if " " in line[:MAX_TITLE] else line[:MAX_TITLE]
