"""Which earlier turns of a conversation a question is read with.

A small model answers a question that stands alone worse with other turns before it, and then invents what it
would rightly have refused; so by default only a question that leans on the conversation sees it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from app.exporting import answer_from_dict
from store import Message, Store

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


def leans_back(question: str) -> bool:
    """Whether a question cannot be understood alone: by its pronouns, its first word, or its shortness."""
    return bool(_LEANS.search(question.strip())) or len(question.split()) <= _FEW_WORDS


def turns(messages: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Questions with their answers, oldest first."""
    return [(one, two) for one, two in pairwise(messages) if (one.role, two.role) == ("user", "assistant")]


def earlier_turns(
    store: Store, chat: int, question: str, history: History, *, without_last: bool = False
) -> list[tuple[str, str]]:
    """(question, answer) of the last turns that the question is read with, oldest first.

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
