"""Say in sentences what is to be known of an answer: why to doubt it, that it is none, how it was read, its stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.answers.question import Question
from app.answers.whole_question import Whole
from ccf_core import Answer
from ccf_core.base.language import is_foreign
from ccf_core.memory.grades import TEXT
from ccf_core.memory.layout import usable
from ccf_core.memory.segments import Segmented
from ccf_core.metrics import abstains
from ccf_core.readers import READERS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HARDLY_COMPRESSED = 32
#: Segments that are gone over at most, for what is asked of whole documents.
MOST = 24
ABSTAINED = "The model says that the document does not answer this."
#: Of what is asked of a whole document, by what is wanted.
GONE_OVER: dict[Whole, str] = {
    "summary": "What a small model says of a whole document may be made up. These are sentences of the text: of each "
    "segment the one that its memory looks at most.",
    "list": "Every segment was asked by itself; what only several together tell is missed, and things may be missing.",
    "rows": "The model counts nothing. This is what the file's tables hold; rows of some kind alone are not counted.",
    "count": "Nothing is counted over a whole document. Every segment was asked by itself, and this is what each said.",
}
SOME = "The document is long: {some} of its {all} segments were gone over, evenly spread."
READ_AS_TEXT = "So short a text was read itself, not a memory of it."
#: Of a text that is continued.
GOES_ON = "This goes on where the text ends, and is made up."
FROM_MEMORY = " The last tokens were read as they are, what is before them from memory."
FOREIGN = "{what} is in a language that the base model was hardly trained for: do not rely on the answer."


def abstained(text: str) -> bool:
    """Tell whether an answer says that there is none in the document; an empty one says nothing."""
    return bool(text.strip()) and abstains(text)


def warnings_of(asked: Question, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """List why to doubt an answer from the start: the question, or a document with its text, is in another language."""
    said = {"The question": asked.text}
    said |= {f"“{document.title}”": text for document, text in zip(asked.documents, texts, strict=True)}
    return [FOREIGN.format(what=what) for what, text in said.items() if is_foreign(text, tokenizer)]


def notes_on(asked: Question, window: int, texts: Sequence[Segmented], answer: Answer, stopped: bool) -> list[str]:
    """List what is to be said of an answer to documents with these texts, by a model with this window."""
    notes = []
    if asked.goes_on:
        notes.append(GOES_ON + (FROM_MEMORY if READERS[asked.reader].reads_slots else ""))
    elif asked.whole:
        segments = sum(len(text.spans) for text in texts)
        notes.append(GONE_OVER[asked.whole])
        if segments > MOST and asked.whole != "rows":
            notes.append(SOME.format(some=MOST, all=segments))
    elif abstained(answer.text):
        notes.append(ABSTAINED)
    if READERS[asked.reader].by_question and answer.evidence:
        as_text = sum(found.ratio == TEXT for found in answer.evidence)
        if as_text < max(asked.in_full, 1):
            some = f"room for text of {as_text} segment{'s' * (as_text != 1)}; the rest"
            fits = some if as_text else "no room for text; all of it"
            notes.append(f"The bytes of {asked.ratio}x have {fits} is read as slots.")
    if READERS[asked.reader].reads_slots:
        for document, text in zip(asked.documents, texts, strict=True):
            if len(text.input_ids) < HARDLY_COMPRESSED:
                notes.append(f"“{document.title}” has only {len(text.input_ids)} tokens: it is hardly compressed.")
        total = sum(len(text.input_ids) for text in texts)
        if total > usable(window) and not asked.whole:
            notes.append(
                f"{total:,} tokens are more than the {usable(window):,} positions that the model has; "
                f"they are placed {total / usable(window):.1f} times closer together, which costs accuracy."
            )
    if stopped:
        notes.append("The answer was stopped before its end.")
    elif not answer.text:
        notes.append("The model ended its answer without writing anything.")
    return notes
