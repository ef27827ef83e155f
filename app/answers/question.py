"""A question as it is put: its words, and how the documents are to be read for it."""

from __future__ import annotations

from dataclasses import dataclass

from app.answers.whole_question import Whole
from app.types import Reader
from store import Document


@dataclass(frozen=True)
class Question:
    """What was asked, of what, and how. With ``goes_on`` the documents' text is to be continued instead; with ``whole``
    it is asked of all of their text, segment by segment.
    """

    text: str
    documents: tuple[Document, ...]
    ratio: int
    reader: Reader
    max_new_tokens: int
    history: tuple[tuple[str, str], ...] = ()
    in_full: int = 0
    goes_on: bool = False
    whole: Whole | None = None
