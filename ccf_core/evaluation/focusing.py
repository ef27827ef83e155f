"""Readers that spend a budget by the question: ``focus``, and what it is measured against at the same bytes.

focus : a document coarsely, its best segments finer and as text, or the best text alone (``ccf_core.focus``).
focus_no_slots : always the best text alone, in half of the budget.
bm25 : the text of the segments that BM25 finds best, the last one cut where the budget ends.
gold : the text of the passage that was asked about, where an evaluation knows it; whatever it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from ccf_core import focus, signals
from ccf_core.answer import abstention
from ccf_core.baselines import position_bytes
from ccf_core.decoder import end_tokens
from ccf_core.evaluation import batches, readers
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.focus import Focus, Focused
from ccf_core.memory import KVMemory
from ccf_core.plan import pieces, ranked

if TYPE_CHECKING:
    from ccf_core.evaluation.asking import Question

GOLD = "gold"
#: Those that every task that asks can measure; ``gold`` is for tasks that know the passage.
READERS = tuple(reader for reader in readers.BY_QUESTION if reader != GOLD)


def _texts(question: Question) -> list[Sequence[int]]:
    return focus.cut(question.document.input_ids, [len(span) for span in question.document.spans])


def _budget(question: Question, options: Options) -> int:
    return int(len(question.document.input_ids) * options.budget)


def plans(subject: Subject, questions: Sequence[Question], options: Options) -> list[list[Focused]]:
    """What ``focus`` may read for each question, ``ccf_core.focus.readings``, planned in batches."""
    memories = _memories(subject, questions, options)
    return [
        focus.readings(subject.ccf.decoder, memory, _texts(q), own, Focus(_budget(q, options), piece=options.piece))
        for q, memory, own in zip(questions, memories, scores(subject, questions, memories, options), strict=True)
    ]


def surest(
    subject: Subject, questions: Sequence[Question], planned: Sequence[Sequence[Focused]], options: Options
) -> list[Focused]:
    """Of each question's readings the one that ``ccf_core.focus.read`` keeps."""
    decoder, no_answer = subject.ccf.decoder, abstention(subject.ccf.tokenizer)
    both = [i for i, readings in enumerate(planned) if len(readings) > 1]
    jobs = [job(subject, questions[i], reading, focus.DRAFT) for i in both for reading in planned[i]]
    drafts = batches.generate(decoder, jobs, options.report, rows=options.batch_size)
    ends = end_tokens(decoder.model)
    wanted = [replace(one, new=0, target=focus.drafted(draft, ends)) for one, draft in zip(jobs, drafts, strict=True)]
    refused = [replace(one, new=0, target=no_answer) for one in jobs[::2]]
    told = batches.score(decoder, wanted, options.report, rows=options.batch_size)
    refusals = batches.score(decoder, refused, options.report, rows=options.batch_size)
    sure = [focus.sureness(draft, chances, no_answer) for draft, (chances, _) in zip(drafts, told, strict=True)]
    kept = [readings[0] for readings in planned]
    for i, beside, alone, (refusal, _) in zip(both, sure[::2], sure[1::2], refusals, strict=True):
        kept[i] = planned[i][focus.keeps_alone(alone, partial(float, beside), partial(float, refusal.sum()))]
    return kept


def scores(
    subject: Subject, questions: Sequence[Question], memories: Sequence[KVMemory], options: Options
) -> list[list[float]]:
    """What every piece of each question's document is worth to it, ``ccf_core.signals.worth``."""
    decoder, tokenizer = subject.ccf.decoder, subject.ccf.tokenizer
    # More than a reading's budget: what is asked at once changes the time alone.
    told, room = [], batches.cache_tokens(decoder)
    for q, memory in zip(questions, memories, strict=True):
        told.append(signals.worth(decoder, tokenizer, q.text, memory, _texts(q), options.piece, room))
        if len(told) % 100 == 0:
            options.report(f"what {len(told)} of {len(questions)} questions need")
    return told


def within(
    subject: Subject, question: Question, scores: Sequence[float], budget: int, options: Options
) -> list[Focused]:
    """What ``focus`` may read within ``budget`` bytes, slots counted as the question's memory holds them."""
    assert question.memory is not None
    decoder, memory = subject.ccf.decoder, question.memory
    coarse, position = memory.at(memory.header.ratios[-1]), position_bytes(decoder)
    settings = Focus(budget // position, piece=options.piece)
    slot = Fraction(coarse.nbytes, coarse.slots * position)
    return focus.readings(decoder, memory, _texts(question), scores, settings, slot)


def _memories(subject: Subject, questions: Sequence[Question], options: Options) -> list[KVMemory]:
    """Every question's document, down to the finest ratio asked for."""
    own = [q.memory for q in questions if q.memory is not None]
    if len(own) < len(questions):
        documents = {q.document.sha256: q.document for q in questions}
        finest = min(options.ratios)
        made = readers.memories_at(
            subject.ccf, list(documents.values()), [finest], options.memory_dtype, options.report
        )
        by_document = dict(zip(documents, made[finest], strict=True))
        own = [by_document[q.document.sha256] for q in questions]
    for memory in own[:1]:
        focus.check(memory)
    return own


def best_text(subject: Subject, question: Question, options: Options) -> dict[int, Sequence[int]]:
    """Segment -> the tokens that ``bm25`` reads of it, within the budget and the window, in the order of the text."""
    return best_tokens(subject, question, _budget(question, options))


def best_tokens(subject: Subject, question: Question, budget: int) -> dict[int, Sequence[int]]:
    """The same within ``budget`` tokens."""
    texts = _texts(question)
    left = min(budget, subject.ccf.decoder.window - len(question.prompt) - question.new)
    read: dict[int, Sequence[int]] = {}
    whole = pieces([len(text) for text in texts])
    for index in ranked(signals.words(subject.ccf.tokenizer, question.text, texts, whole)):
        if left > 0:
            read[index] = texts[index][:left]
            left -= len(read[index])
    return dict(sorted(read.items()))


def jobs(
    subject: Subject,
    reader: str,
    questions: Sequence[Question],
    planned: Sequence[Sequence[Focused]],
    options: Options,
) -> list[Job]:
    """A job for each question; ``planned`` is what ``plans`` gave, needed where slots or their text are read."""
    if reader == GOLD:
        return [Job([*q.gold, *q.prompt], q.new) for q in questions]
    if reader == "bm25":
        found = [best_text(subject, q, options).values() for q in questions]
        return [
            Job([*(t for ids in own for t in ids), *q.prompt], q.new) for q, own in zip(questions, found, strict=True)
        ]
    if reader == "focus":
        kept = surest(subject, questions, planned, options)
    else:
        kept = [replace(readings[-1], slots=None) for readings in planned]
    return [job(subject, q, own, q.new) for q, own in zip(questions, kept, strict=True)]


def job(subject: Subject, question: Question, read: Focused, new: int) -> Job:
    """``new`` tokens after what is read and the question."""
    given = [*read.text, *question.prompt]
    if not read.slots:
        return Job(given, new)
    return Job(given, new, prefix=partial(read.slots_prefix, subject.ccf.decoder), cached=read.slots.slots)
