"""Answer questions about whole documents: ask the memory of each segment, for a summary quote a sentence of each, for a
number of rows tell the sizes of the tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import ccf_core
from app.answers.notes import MOST, abstained
from app.answers.question import Question
from app.answers.whole_question import Whole, asks_number, whole
from app.documents.memory_cache import Memories
from app.parsers.kinds import TABLES
from app.parsers.tables import sizes
from app.types import CancelCheck
from ccf_core import Answer, Cancelled, Timings
from ccf_core.answering.prompt import ABSTENTION
from ccf_core.memory.segments import Segmented
from store import Document

if TYPE_CHECKING:
    from ccf_core import CCF

#: Tokens of what one segment tells.
TOLD_TOKENS = 48

#: Chooses a sentence of a segment, given the document's SHA-256, the segment and a ratio.
SentenceOf = Callable[[str, int, int, CancelCheck], str]


def gone_over(texts: Sequence[Segmented]) -> list[tuple[int, int]]:
    """Choose the segments that are gone over, ``MOST`` at most and evenly spread: (document's number, its own)."""
    every = [(number, index) for number, text in enumerate(texts) for index in range(len(text.spans))]
    if len(every) <= MOST:
        return every
    return [every[i * len(every) // MOST] for i in range(MOST)]


class WholeDocument:
    def __init__(self, memories: Memories, sentence_of: SentenceOf, text_of: Callable[[str], str]) -> None:
        self.memories = memories
        self.sentence_of = sentence_of
        self.text_of = text_of

    def wanted(self, asked: Question) -> Whole | None:
        """Tell what is wanted of the whole documents; tables that were stored before sizes were told tell none."""
        # The question is looked at first: the sizes take reading the texts.
        if asked.documents and asks_number(asked.text) and all(map(self._sizes, asked.documents)):
            return "rows"
        return whole(asked.text)

    def _sizes(self, document: Document) -> list[str]:
        return sizes(self.text_of(document.sha256)) if document.media_type in TABLES else []

    def sizes(self, ccf: CCF, asked: Question, texts: Sequence[Segmented]) -> Generator[str | Answer]:
        """Yield the Answer to a question for a number of rows: what the documents say of their tables' sizes."""
        began = time.perf_counter()
        lines = [f"- {line}" for document in asked.documents for line in self._sizes(document)]
        yield Answer(
            text="\n".join(lines),
            reader=asked.reader,
            timings=Timings(0.0, time.perf_counter() - began, 0.0),
            kv_bytes=0,
            full_kv_bytes=sum(len(text.input_ids) for text in texts) * ccf.token_kv_bytes,
        )

    def answer(
        self, ccf: CCF, asked: Question, texts: Sequence[Segmented], cancelled: CancelCheck
    ) -> Generator[str | Answer]:
        """Yield a line for each segment that tells something new, as it is found, and last the Answer.

        For a summary the line is the sentence of the text that the segment's memory looks at most, and the model writes
        nothing; else it is what the decoder answers from that segment's memory alone. Others may use the model in
        between. When ``cancelled`` turns true, it ends with the lines that there are.
        """
        if asked.whole == "summary":
            ccf.config.check_trained("A summary from memory")
        began, first, written, held = time.perf_counter(), 0.0, 0, 0
        lines: dict[str, str] = {}
        for number, index in gone_over(texts):
            sha256 = asked.documents[number].sha256
            try:
                if asked.whole == "summary":
                    said = self.sentence_of(sha256, index, asked.ratio, cancelled)
                else:
                    told = self._told(ccf, asked, sha256, index, cancelled)
                    said, held = told.text, max(held, told.kv_bytes)
                    written += len(ccf.tokenizer(said)["input_ids"])
            except Cancelled:
                break
            # What a segment was telling meanwhile is cut off.
            if cancelled():
                break
            said = " ".join(said.split())
            key = said.casefold().strip(" .,;:!?\"'“”")
            if not key or key in lines or abstained(said):
                continue
            lines[key] = f"- {said}\n"
            first = first or time.perf_counter() - began
            yield lines[key]
        seconds = time.perf_counter() - began
        yield Answer(
            text="".join(lines.values()).strip() or ABSTENTION,
            reader=asked.reader,
            timings=Timings(0.0, first, written / seconds),
            kv_bytes=held,
            full_kv_bytes=sum(len(text.input_ids) for text in texts) * ccf.token_kv_bytes,
        )

    def _told(self, ccf: CCF, asked: Question, sha256: str, index: int, cancelled: CancelCheck) -> Answer:
        memory = self.memories.recall(sha256, asked.ratio, [index], cancelled=cancelled, ccf=ccf).memory
        work: Callable[..., Any] = ccf_core.CCF.answer
        with self.memories.model.hold(cancelled):
            pieces = self.memories.model.compute(
                ccf, work, asked.text, memory, TOLD_TOKENS, stream=True, with_evidence=False,
                tokens=(memory.slots, TOLD_TOKENS), cancelled=cancelled,
            )  # fmt: skip
            with closing(pieces):
                *_, told = pieces
        assert isinstance(told, Answer)
        return told
