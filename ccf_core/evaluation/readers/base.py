"""Choose readers and ratios, give questions their memory and budget at a ratio, and let readers read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ccf_core import metrics
from ccf_core.evaluation.memories import memories_at
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.rows import EvaluationError
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory.memory import KVMemory
from ccf_core.readers.base import Question, Reader, Reading

#: What one answer tells: metric -> its pairs (none, where it tells nothing).
Scores = dict[str, list[metrics.Pair]]
#: (reader, ratio); the ratio is None where it makes no difference.
Setting = tuple[str, int | None]


def settings(offered: Sequence[str], options: Options, subject: Subject) -> list[Setting]:
    """List (reader, ratio) for each reader that is ``offered`` or named by the options, in that order.

    Unless the options name readers, those are left out that are measured on request alone, whose decoder the subject
    has not, or that read memories of another kind than it makes. Naming such a kind is an EvaluationError.
    """
    kind = "mean_pool" if subject.ccf.config.compressor == "mean_pool" else "slots"
    other = {name for name, reader in READERS.items() if reader.compressor not in ("", kind)}
    for name in other.intersection(options.readers):
        fitting = next(name for name, reader in READERS.items() if reader.compressor == kind)
        raise EvaluationError(f"This adapter has no reader {name!r}: choose {fitting!r}, or another adapter.")
    wanted = options.readers or [
        name for name in offered if name not in other and not READERS[name].on_request and subject.has(name)
    ]
    return [
        (name, ratio)
        for name in dict.fromkeys((*offered, *options.readers))
        if name in wanted
        for ratio in (options.ratios if READERS[name].at_ratio() else (None,))
    ]


def readings(
    subject: Subject, name: str, ratios: Sequence[int | None], questions: Sequence[Question], options: Options
) -> Iterator[tuple[int | None, list[Reading]]]:
    """Yield (ratio, what a reader reads for every question); what it makes of a document serves all ratios."""
    reader = subject.reader(name, options)
    memories = _memories(subject, reader, ratios, questions, options)
    asked = {
        ratio: [
            replace(q, memory=m, budget=_budget(reader, q, ratio, options))
            for q, m in zip(questions, of_ratio, strict=True)
        ]
        for ratio, of_ratio in memories.items()
    }
    prepared = reader.prepare(asked[min(asked, key=lambda ratio: ratio or 0)])
    for ratio in ratios:
        options.report(f"reader {name}" + (f" at {ratio}x" if ratio else ""))
        yield ratio, reader.read(asked[ratio], prepared)


def _budget(reader: Reader, question: Question, ratio: int | None, options: Options) -> int:
    if ratio:
        return reader.beside(question.document.slots(ratio))
    return int(len(question.document.input_ids) * options.budget)


def _memories(
    subject: Subject, reader: Reader, ratios: Sequence[int | None], questions: Sequence[Question], options: Options
) -> dict[int | None, list[KVMemory | None]]:
    """List by ratio the memory of every question's document (without a ratio the finest), None where none is read.

    A reader that grades memories is given them down to the adapter's finest ratio, whatever ratios are asked for.
    """
    if not reader.reads_slots:
        return {ratio: [None] * len(questions) for ratio in ratios}
    given = [q.memory for q in questions if q.memory is not None]
    finest = subject.ccf.config.finest if reader.grades_memory else min(options.ratios)
    read_at = {ratio: finest if reader.grades_memory else ratio or finest for ratio in ratios}
    if reader.memory_dtype is None and len(given) == len(questions) and all(m.ratio <= finest for m in given):
        return {ratio: [memory.at(at) for memory in given] for ratio, at in read_at.items()}
    documents = list(dict.fromkeys(q.document for q in questions))
    dtype = reader.memory_dtype or options.memory_dtype
    encoded = memories_at(subject.ccf, documents, [*read_at.values()], dtype, options.report)
    by_document = {at: dict(zip(documents, made, strict=True)) for at, made in encoded.items()}
    return {ratio: [by_document[at][q.document] for q in questions] for ratio, at in read_at.items()}
