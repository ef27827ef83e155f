"""Recognise the wish that a document's text goes on, which is no question about it."""

from __future__ import annotations

import re

from app.types import Reader
from ccf_core.readers import READERS

_IT = r"(?:with )?(?:this|the) (?:text|story|document|chapter)"
_WISHES = re.compile(
    rf"(?:please )?(?:go on|continue|carry on|keep going) {_IT}"
    rf"|(?:please )?(?:continue|keep) writing {_IT}"
    rf"|what (?:comes|happens) next(?: in {_IT})?"
    rf"|how does {_IT} (?:go on|continue)",
    re.IGNORECASE,
)


def wants_more(question: str) -> bool:
    """Tell whether the document's text is to go on, and nothing else is asked."""
    return bool(_WISHES.fullmatch(" ".join(question.split()).rstrip(".!? ")))


def reader_for_more(reader: Reader) -> Reader:
    """Choose what is read of a text that goes on: its graded memory, unless the reader keeps to text or to nothing."""
    reads = READERS[reader]
    return "graded" if reads.reads_slots or reads.by_question else reader
