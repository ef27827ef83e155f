"""Answer a question from stored documents, in pieces, with its evidence and its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ccf_core
from app.answers.context_budget import affordable, are_short, fitting_turns
from app.answers.continuation import reader_for_more, wants_more
from app.answers.conversations import History, earlier_turns, turns
from app.answers.notes import READ_AS_TEXT, notes_on, warnings_of
from app.answers.question import Question
from app.answers.whole import SentenceOf, WholeDocument
from app.documents.export import answer_to_dict
from app.documents.library import page_at
from app.documents.memory_cache import Memories
from app.errors import NoDocument, NotAnswerable
from app.limits import KVBudget
from app.types import AnswerView, CancelCheck, EvidenceView, Progress, Reader, never, reader_names, silent
from ccf_core import Answer, Timings
from ccf_core.readers import READERS
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory

MAX_EVIDENCE = 8


class Asking:
    def __init__(
        self, store: Store, memories: Memories, sentence_of: SentenceOf, budget: KVBudget | None = None
    ) -> None:
        self.store = store
        self.memories = memories
        self.whole = WholeDocument(memories, sentence_of, store.documents.text)
        self.budget = budget

    def ask(
        self,
        question: str,
        documents: Sequence[str],
        ratio: int = 8,
        reader: Reader = "memory",
        *,
        max_new_tokens: int = 64,
        chat: int | None = None,
        history: History = "auto",
        replace_last: bool = False,
        in_full: int = 0,
        as_asked: bool = False,
        kv_budget: KVBudget | None = None,
        warned: Callable[[str], None] = lambda sentence: None,
        progress: Progress = silent,
        cancelled: CancelCheck = never,
    ) -> Iterator[str | AnswerView]:
        """Yield the pieces of the answer as they come, then the AnswerView, as the chat keeps it.

        Errors are raised at the first step.

        From stored memory the encoder never runs; ``progress`` is called only if something has to be
        compressed again. Several documents are read one after the other, in the order given, at the finest ratio
        from ``ratio`` on that fits the window and ``kv_budget`` (None: that of the settings), which is noted if it is
        another. What makes the answer doubtful from the start, such as a foreign language, is told to ``warned`` before
        its first piece, and stands among the notes. When ``cancelled`` turns true while the answer is being written, it
        ends there, and a note says so. Closing the iterator stops the model; nobody else can use the model until it is
        exhausted or closed.

        ``focus`` reads the documents coarsely, what the question needs finer, and of ``in_full`` segments at most text
        (0: no limit), all in the bytes of the memory at ``ratio``.

        Two things are done in another way than the reader's, which is noted, unless it is a reader of no slots or
        everything is to be ``as_asked``. Documents that are short, little more than a segment in all, are read as text:
        slots would save nothing worth what they lose. And what is asked of a whole document
        (``whole_question.whole``) is asked of the memory of each segment by itself.

        A wish that the text goes on (``continuation.wants_more``) is no question: the text is continued from its end,
        by a reader of memories from its graded one, and no earlier turns are read.

        With ``chat``, question and answer are appended to it, or take the place of its last ones
        (``replace_last``), and the question sees its last turns: ``all`` or ``none`` of them, or (``auto``) those
        that it refers to.

        Raises:
            NoDocument: no document, though the reader is not ``none``.
            NotAnswerable: no question, one that is too long, an unknown ratio or reader, or a text that is
                too long to be read in full.
            DocumentNotFound, ChatNotFound: of store.
            Cancelled: of ccf_core, before the answer began.
        """
        if in_full < 0:
            raise NotAnswerable(f"The segments read as text must be 0 or more, not {in_full}.")
        asked = replace(self._check(question, documents, ratio, reader, max_new_tokens, chat), in_full=in_full)
        if documents and wants_more(asked.text):
            asked = replace(asked, goes_on=True, reader=reader_for_more(reader))
        elif READERS[reader].reads_slots and not as_asked and (wanted := self.whole.wanted(asked)):
            asked = replace(asked, whole=wanted, reader="memory")
        elif chat is not None:
            said = earlier_turns(self.store, chat, asked.text, history, without_last=replace_last)
            asked = replace(asked, history=tuple(said))
        ccf = self.memories.model.load(cancelled=cancelled)
        self.memories.levels(ratio)
        started = time.perf_counter()
        texts = [self.memories.segmented(document.sha256, cancelled, ccf) for document in asked.documents]
        memory, notes = None, list[str]()
        warnings = warnings_of(asked, [self.store.documents.text(d.sha256) for d in asked.documents], ccf.tokenizer)
        for sentence in warnings:
            warned(sentence)
        slots = READERS[asked.reader].reads_slots and not as_asked
        if slots and not asked.goes_on and not asked.whole and are_short(ccf, texts):
            asked = replace(asked, reader="full")
            notes = [READ_AS_TEXT]
        reads = READERS[asked.reader]
        if reads.needs_memory() and not asked.whole:
            ratio, note = affordable(ccf, ratio, texts, kv_budget or self.budget)
            asked = replace(asked, ratio=ratio)
            memory, notes = self._recall(ccf, asked, progress, cancelled)
            notes = [note, *notes] if note else notes
        input_ids = [token for text in texts for token in text.input_ids]
        budget = sum(text.slots(ratio) for text in texts)
        loaded = time.perf_counter() - started
        answer: Answer | None = None
        stopped = False

        def stop() -> bool:
            nonlocal stopped
            stopped = stopped or cancelled()
            return stopped

        with ExitStack() as held:
            if not asked.whole:
                held.enter_context(self.memories.model.hold(cancelled))
            tokens = 0 if asked.whole else reads.text_tokens(len(input_ids), budget)
            asked = replace(asked, history=fitting_turns(ccf, asked.text, asked.history, max_new_tokens, tokens))
            if asked.whole == "rows":
                pieces = self.whole.sizes(ccf, asked, texts)
            elif asked.whole:
                pieces = self.whole.answer(ccf, asked, texts, stop)
            else:
                pieces = self._written(ccf, asked, memory, input_ids, budget, stop)
            # A reader that leaves early must stop the model before the next one gets it.
            with closing(pieces):
                for piece in pieces:
                    if isinstance(piece, str):
                        yield piece
                    else:
                        answer = piece
        assert answer is not None
        notes = [*warnings, *notes, *notes_on(asked, ccf.decoder.window, texts, answer, stopped)]
        view = self._view(asked, answer, memory, loaded, notes)
        yield view if chat is None else self._keep(chat, view, replace_last)

    def _check(
        self,
        question: str,
        documents: Sequence[str],
        ratio: int,
        reader: Reader,
        max_new_tokens: int,
        chat: int | None,
    ) -> Question:
        if not question.strip():
            raise NotAnswerable("There is no question; write one.")
        if reader not in reader_names():
            raise NotAnswerable(f"The reader must be one of {', '.join(reader_names())}, not {reader!r}.")
        if not documents and reader != "none":
            raise NoDocument("There is no document to ask; add one or choose one from the library.")
        if chat is not None:
            self.store.chats.get(chat)
        found = tuple(self.store.documents.get(sha256) for sha256 in dict.fromkeys(documents))
        return Question(question.strip(), found, ratio, reader, max_new_tokens)

    def _written(
        self,
        ccf: CCF,
        asked: Question,
        memory: KVMemory | None,
        input_ids: Sequence[int],
        budget: int,
        stop: CancelCheck,
    ) -> Generator[str | Answer]:
        """Let the decoder answer, or go on with the text, from what the reader reads; the caller holds the model."""
        work: Callable[..., Any] = ccf_core.CCF.answer
        given: dict[str, Any] = {"input_ids": input_ids, "reader": asked.reader}
        if asked.goes_on:
            work = ccf_core.CCF.continue_text
            given |= {"budget": budget}
        else:
            focus = ccf_core.Focus(budget, asked.in_full)
            given |= {"question": asked.text, "history": asked.history, "focus": focus}
        return self.memories.model.compute(
            ccf, work, memory=memory, max_new_tokens=asked.max_new_tokens, stream=True, **given,
            tokens=(len(input_ids), asked.max_new_tokens), cancelled=stop,
        )  # fmt: skip

    def _recall(
        self, ccf: CCF, asked: Question, progress: Progress, cancelled: CancelCheck
    ) -> tuple[KVMemory, list[str]]:
        """Recall the documents as one memory, with notes; the finest there is for a reader that chooses ratios."""
        reads = READERS[asked.reader]
        ratio = ccf.config.ratios[0] if reads.by_question or reads.grades_memory else asked.ratio
        recalled = [self.memories.recall(d.sha256, ratio, None, progress, cancelled, ccf) for d in asked.documents]
        return ccf_core.KVMemory.join([r.memory for r in recalled]), [note for r in recalled for note in r.notes]

    def _view(
        self, asked: Question, answer: Answer, memory: KVMemory | None, loaded: float, notes: Sequence[str]
    ) -> AnswerView:
        return AnswerView(
            question=asked.text,
            text=answer.text.strip(),
            reader=asked.reader,
            ratio=asked.ratio,
            documents=tuple(document.sha256 for document in asked.documents),
            evidence=self._evidence(asked, answer, memory),
            timings=Timings(loaded + answer.timings.load_s, answer.timings.first_token_s, answer.timings.tokens_per_s),
            kv_bytes=answer.kv_bytes,
            full_kv_bytes=answer.full_kv_bytes,
            stored_bytes=sum(
                self.store.memories.nbytes(document.sha256, self.memories.model.key) for document in asked.documents
            ),
            text_bytes=sum(document.text_bytes for document in asked.documents),
            notes=tuple(notes),
            turns=len(asked.history),
        )

    def _evidence(self, asked: Question, answer: Answer, memory: KVMemory | None) -> tuple[EvidenceView, ...]:
        if memory is None:
            return ()
        by_sha = {document.sha256: document for document in asked.documents}
        views = []
        for found in answer.evidence[:MAX_EVIDENCE]:
            span = memory.spans[found.segment]
            document = by_sha[span.document]
            views.append(
                EvidenceView(
                    document=document.sha256,
                    title=document.title,
                    segment=span.index,
                    score=found.score,
                    start=span.char_start,
                    end=span.char_end,
                    page=page_at(document, span.char_start),
                    text=self.store.documents.text(document.sha256)[span.char_start : span.char_end],
                    ratio=found.ratio,
                    filename=document.filename,
                )
            )
        return tuple(views)

    def _keep(self, chat: int, view: AnswerView, replace_last: bool) -> AnswerView:
        """Append question and answer to a chat, without quotes from documents that were deleted meanwhile.

        Returns the answer as it is kept: nobody has to read it from the store again.
        """
        with self.store.transaction():
            evidence = tuple(e for e in view.evidence if self.store.documents.find(e.document) is not None)
            kept = replace(view, evidence=evidence)
            last = turns(self.store.chats.messages(chat))[-1:] if replace_last else []
            self.store.chats.drop([message.id for turn in last for message in turn])
            self.store.chats.link(chat, [sha for sha in view.documents if self.store.documents.find(sha) is not None])
            self.store.chats.append(chat, "user", view.question)
            self.store.chats.append(chat, "assistant", view.text, answer_to_dict(kept))
        return kept
