"""Time a reader for one user: to make what it keeps of a document, and from there to an answer's first token.

One document at a time, with nothing shared between them, unlike in the batches that scores are made in.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ccf_core.evaluation.bench.timing import clock_of
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.model.prefix import Prefix
from ccf_core.readers.base import Question, Reader

#: Documents that are measured, after one to warm up.
DOCUMENTS = 3


def seconds(
    subject: Subject, reader: str, ratio: int | None, questions: Sequence[Question], options: Options
) -> dict[str, float]:
    """Measure ``compress_s`` and ``first_token_s``, in seconds: medians over ``DOCUMENTS``, after one to warm up.

    questions : each with its memory and budget. Fewer questions are all taken; a single one is its own warm-up.
    """
    clock = clock_of(subject.decoder(reader).model.device)
    reads = subject.reader(reader, options)
    compressed, first = [], []
    for question in [*questions[: 1 + DOCUMENTS], *(questions if len(questions) == 1 else ())]:
        started = clock()
        kept = compress(subject, reads, ratio, question, options)
        between = clock()
        first_token(reads, question, kept)
        compressed.append(between - started)
        first.append(clock() - between)
    taken = {"compress_s": compressed, "first_token_s": first}
    return {name: round(statistics.median(of_name[1:]), 5) for name, of_name in taken.items()}


def compress(
    subject: Subject, reader: Reader, ratio: int | None, question: Question, options: Options
) -> Prefix | None:
    """Make what a reader keeps of a document until a question comes; return the prefix, if a prefix is kept.

    A memory is made of the tokens in one piece, cut into whole segments, as of any other document.
    """
    if reader.reads_slots:
        finest = ratio if ratio and not reader.by_question else min(options.ratios)
        subject.ccf.compress(question.document.input_ids, finest, dtype=options.memory_dtype)
    elif not reader.by_question:
        (reading,) = reader.read([question], reader.prepare([question]))
        return reading.prefix(reader.decoder)
    return None


def first_token(reader: Reader, question: Question, kept: Prefix | None) -> int:
    """Decode a first token, end tokens barred, after the prefix ``kept``, or without one after what is read now."""
    decoder, prompt = reader.decoder, list(question.prompt)
    if kept is None:
        (reading,) = reader.read([question], reader.prepare([question]))
        kept, prompt = reading.cache(), [*reading.text, *prompt]
    ((token,),) = decoder.generate([kept], [prompt], max_new_tokens=1, exactly=True)
    return token
