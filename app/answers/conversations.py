"""Keep chats, and choose the earlier turns of a chat with which a question is read.

A small model answers a question that stands alone worse with other turns before it, and then invents what it
would rightly have refused; so by default only a question that leans on the conversation sees it.
"""

from __future__ import annotations

import builtins
import re
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from app.documents.export import answer_from_dict, export_conversation
from app.parsers.normalise import one_line
from app.types import MessageView
from store import Chat, Message, Store

MAX_TITLE = 60
History = Literal["auto", "all", "none"]
MAX_TURNS = 3

_LEANS = re.compile(
    # Not the "it" of "how much does it cost".
    r"\b(?:it(?! (?:cost|take|possible|true|necessary)\b)|its|he|him|his|she|her|hers"
    r"|they|them|their|theirs|these|those|this)\b"
    r"|^(?:and|but|so|then|or|also|why|(?:what|how) about)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 2


class Conversations:
    def __init__(self, store: Store) -> None:
        self.store = store

    def new(self, title: str, documents: Sequence[str] = ()) -> Chat:
        """Begin a chat about these documents. Raises DocumentNotFound."""
        return self.store.chats.create(_short(title), documents)

    def list(self) -> list[Chat]:
        """List the chats, the one last written to first."""
        return self.store.chats.list()

    def messages(self, chat: int) -> builtins.list[MessageView]:
        """List the messages of a chat, oldest first. Raises ChatNotFound."""
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
        """Give a chat another title; a blank one leaves the old. Raises ChatNotFound."""
        line = _short(title)
        return self.store.chats.rename(chat, line) if line else self.store.chats.get(chat)

    def delete(self, chat: int) -> None:
        """Delete a chat, from the file too. Raises ChatNotFound."""
        self.store.chats.delete(chat)
        self.store.wipe()

    def export(self, chat: int, form: Literal["markdown", "json"] = "markdown") -> str:
        """Write all answers with settings, costs and evidence as one text. Raises ChatNotFound."""
        answers = [message.answer for message in self.messages(chat) if message.answer is not None]
        return export_conversation(self.store.chats.get(chat).title, answers, form)


def _short(title: str) -> str:
    """Shorten a title, by whole words where that can be."""
    line = one_line(title)
    return textwrap.shorten(line, MAX_TITLE, placeholder=" …") if " " in line[:MAX_TITLE] else line[:MAX_TITLE]


def leans_back(question: str) -> bool:
    """Tell whether a question needs the one before it: by its pronouns, its first word, or its shortness."""
    return bool(_LEANS.search(question.strip())) or len(question.split()) <= _FEW_WORDS


def turns(messages: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Pair the questions with their answers, oldest first."""
    return [(one, two) for one, two in pairwise(messages) if (one.role, two.role) == ("user", "assistant")]


def earlier_turns(
    store: Store, chat: int, question: str, history: History, *, without_last: bool = False
) -> list[tuple[str, str]]:
    """Choose the (question, answer) turns with which a question is read, oldest first.

    Turns about a document that was deleted since are left out: nothing of it may come back. Raises ChatNotFound.
    """
    if history == "none" or (history == "auto" and not leans_back(question)):
        return []
    found = turns(store.chats.messages(chat))
    if without_last:
        found = found[:-1]
    kept = [
        (asked.content, answered.content)
        for asked, answered in found
        if answered.content
        and answered.meta
        and all(store.documents.find(sha) is not None for sha in answer_from_dict(answered.meta).documents)
    ]
    return kept[-MAX_TURNS:]
