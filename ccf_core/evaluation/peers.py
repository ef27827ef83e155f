"""What a user would pick instead of a memory, in one table: scores, bytes and seconds, at the same bytes held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from ccf_core.baselines import BASELINES, Ranked, position_bytes
from ccf_core.evaluation import asking, batches, evidence, focusing, metrics, readers, singly
from ccf_core.evaluation.asking import Question, Scores, Setting
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.data import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.focus import Focused
from ccf_core.memory import KVMemory

ABOUT = (
    "10 to 15 contexts are joined to one document, as in evidence. At a ratio each reader may hold as many bytes of it "
    "as the memory does. Slots count as they are held, all else in the model's dtype: beside an int8 memory, keys and "
    "values are about half as many in bfloat16, a quarter in float32. `kept`: f1 ÷ the better f1 of `full` and "
    "`base_full`; `held_bytes`: what is held, mean over documents; `kv_bytes`: the decoder's cache for it while it "
    "answers, slots widened; `compress_s`: from the document's tokens to what is kept until a question comes; "
    "`first_token_s`: from there to the first token, what is chosen by the question included; both one document at a "
    "time, medians of a few."
)
DATA = "qa.jsonl.xz"
FIELDS = ("context", "question", "answers")
READERS = ("memory", "focus", "bm25", *BASELINES, "full", "base_full", "none")
#: Readers that hold the same whatever the ratio.
WHOLE = ("full", "base_full", "none")


@dataclass(frozen=True)
class Held:
    """A reader's job for one question, and the bytes it holds of the document, slots as their memory holds them."""

    job: Job
    nbytes: int


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """(questions asked, result rows): those with an answer of at most 30 words, a row for each reader and ratio.

    ``f1_minus_memory`` is the mean difference to the memory at the same ratio, row by row. Seconds are medians over
    a few documents, see ``singly``, bytes means over all. Raises EvaluationError for mean-pooled memories.
    """
    if not subject.ccf.config.nested:
        raise EvaluationError("Mean-pooled memories cannot focus: choose an adapter that compresses into slots.")
    short = [row for row in rows if row["answers"] and not metrics.is_long(row["answers"])]
    asked, _ = asking.sample(subject, short, options)
    pool = [context for context in dict.fromkeys(row["context"] for row in rows) if context.strip()]
    drawn = evidence.joined(asked, pool, options.seed)
    documents = {c: subject.ccf.segment(c) for c in dict.fromkeys(c for _, contexts, _ in drawn for c in contexts)}
    peers = Peers(subject, evidence.about(subject, drawn, documents, True, options), options)
    scores: dict[Setting, list[Scores]] = {}
    seconds: dict[Setting, dict[str, float]] = {}
    for setting, held in peers.all():
        reader, ratio = setting
        options.report(f"reader {reader}" + (f" at {ratio}x" if ratio else ""))
        decoder = subject.decoder(reader)
        written = batches.generate(decoder, [one.job for one in held], options.report, rows=options.batch_size)
        scores[setting] = peers.scores(asked, setting, written, held)
        few = [(q, peers.budget(q, ratio)) for q in peers.questions[: 1 + singly.DOCUMENTS]]
        seconds[setting] = singly.seconds(subject, reader, ratio, few, options)
    for reader, ratio in scores:
        if ratio and reader != "memory" and ("memory", ratio) in scores:
            for own, memory in zip(scores[reader, ratio], scores["memory", ratio], strict=True):
                own["f1_minus_memory"] = [(own["f1"][0][0] - memory["f1"][0][0], 1.0)]
    told = asking.table(scores, range(len(asked)), "all", options.seed)
    for row in told:
        row["ci95"] = {name: interval for name, interval in row["ci95"].items() if not name.endswith("_bytes")}
        row["metrics"] |= seconds[row["reader"], row["ratio"]]
    return len(asked), told


@dataclass(frozen=True)
class Peers:
    """Readers of the same questions, each about a document whose memory was made down to the finest ratio."""

    subject: Subject
    questions: Sequence[Question]
    options: Options

    def all(self) -> Iterator[tuple[Setting, list[Held]]]:
        """(setting, what it holds for every question) of the readers and ratios that the options ask for."""
        for reader in READERS:
            if reader not in (self.options.readers or READERS):
                continue
            ranked: Sequence[Ranked | Focused | None]
            ranked = self._ranked(reader) if reader in readers.PRUNED else [None] * len(self.questions)
            for ratio in (None,) if reader in WHOLE else self.options.ratios:
                made = self._focused(ratio) if reader == "focus" else ranked
                yield (reader, ratio), [self._held(reader, ratio, i, own) for i, own in enumerate(made)]

    def budget(self, question: Question, ratio: int | None) -> int:
        """Bytes of the question's memory at ``ratio``, as it is held; those without a ratio have none to keep."""
        assert question.memory is not None
        return question.memory.at(ratio).nbytes if ratio else 0

    def scores(
        self, rows: Sequence[Row], setting: Setting, written: Sequence[Sequence[int]], held: Sequence[Held]
    ) -> list[Scores]:
        """What ``asking.told`` tells of short answers, and the bytes of each document."""
        position = position_bytes(self.subject.decoder(setting[0]))
        positions = asking.positions([one.job for one in held], self.questions)
        told = asking.told(self.subject, rows, self.questions, setting, written, positions)
        return [
            {"f1": own["f1"], "em": own["em"]}
            | {"held_bytes": [(float(one.nbytes), 1.0)], "kv_bytes": [(float(count * position), 1.0)]}
            for own, one, count in zip(told, held, positions, strict=True)
        ]

    def _ranked(self, reader: str) -> list[Ranked]:
        finest, position = min(self.options.ratios), position_bytes(self.subject.decoder(reader))
        kept = [self.budget(q, finest) // position for q in self.questions]
        return readers.rank(self.subject, reader, [q.document for q in self.questions], kept, self.options)

    @cached_property
    def _segment_scores(self) -> list[list[float]]:
        memories = [q.memory for q in self.questions if q.memory is not None]
        return focusing.scores(self.subject, self.questions, memories, self.options)

    def _focused(self, ratio: int | None) -> list[Focused]:
        """What ``focus`` reads for every question in the bytes of its memory at ``ratio``."""
        planned = [
            focusing.within(self.subject, q, scores, self.budget(q, ratio), self.options)
            for q, scores in zip(self.questions, self._segment_scores, strict=True)
        ]
        return focusing.surest(self.subject, self.questions, planned, self.options)

    def _held(self, reader: str, ratio: int | None, index: int, made: Ranked | Focused | None) -> Held:
        q, decoder = self.questions[index], self.subject.decoder(reader)
        budget, position = self.budget(q, ratio), position_bytes(decoder)
        slots: KVMemory | None = None
        if isinstance(made, Ranked):
            kept = min(budget // position, made.length)
            job = Job(q.prompt, q.new, prefix=partial(made.prefix, kept, decoder.model.device), cached=kept)
        elif isinstance(made, Focused):
            job, slots = focusing.job(self.subject, q, made, q.new), made.slots
        elif reader == "bm25":
            read = focusing.best_tokens(self.subject, q, budget // position).values()
            job = Job([*(token for segment in read for token in segment), *q.prompt], q.new)
        else:
            job = readers.job(self.subject, reader, q.document, q.memory, ratio, q.prompt, q.new)
            slots = q.memory.at(ratio) if q.memory and ratio else None
        (positions,) = asking.positions([job], [q])
        held = slots.nbytes + (positions - slots.slots) * position if slots else positions * position
        return Held(job, held)
