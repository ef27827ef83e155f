"""Hold the answers that are being written, so that a page may be left and find its answer when it comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.errors import WorkbenchError
from app.types import AnswerView
from ccf_core import CCFError
from store import Store, StoreError


@dataclass
class UnderWay:
    """A question of a chat, and what there is of its answer.

    again : the answer will take the place of the chat's last one.  fresh : the chat was made for this question.
    switch : ends the answer.  trouble : why there will be none, "" while it is written.
    """

    chat: int
    question: str
    again: bool
    fresh: bool
    switch: threading.Event
    text: str = ""
    warnings: list[str] = field(default_factory=list)
    trouble: str = ""


class AnswersUnderWay:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._by_chat: dict[int, UnderWay] = {}

    def find(self, chat: int | None) -> UnderWay | None:
        """Find the answer that is being written in a chat, or that could not be and was not let go yet."""
        return self._by_chat.get(chat or 0)

    def begin(self, answer: UnderWay) -> None:
        """Hold an answer from now on, in place of an earlier one of its chat."""
        self._by_chat[answer.chat] = answer

    def let_go(self, answer: UnderWay) -> None:
        """Forget an answer: its chat has it, or its trouble was shown."""
        if self._by_chat.get(answer.chat) is answer:
            del self._by_chat[answer.chat]

    def noted(self, answer: UnderWay, pieces: Iterator[str | AnswerView]) -> Iterator[str | AnswerView]:
        """Yield the pieces of an answer and note them; a chat that was made for an answer goes if there is none."""
        try:
            for piece in pieces:
                if isinstance(piece, str):
                    answer.text += piece
                else:
                    self.let_go(answer)  # the chat has it
                yield piece
        except (WorkbenchError, CCFError, StoreError) as error:
            answer.trouble = str(error)
            self._forget_fresh(answer)
            raise
        except Exception:
            self.let_go(answer)
            raise

    def _forget_fresh(self, answer: UnderWay) -> None:
        try:
            if answer.fresh:
                self.store.chats.delete(answer.chat)
        except StoreError:  # gone already, or not to be had: the trouble counts that came first
            return
