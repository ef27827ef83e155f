"""Compare a memory with what could be held in its bytes instead: scores, bytes and seconds in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ccf_core.answering import batching
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import Scores, Setting
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import evidence, latency
from ccf_core.readers.base import Question, Reading

ABOUT = (
    "10 to 15 contexts are joined to one document, as in evidence. At a ratio each reader may hold as many bytes of it "
    "as the memory does. Slots and coded caches count as they are held, all else in the model's dtype: beside an int8 "
    "memory, keys and values are about half as many in bfloat16, a quarter in float32. `kept`: f1 ÷ the best f1 that "
    "was measured of `full`, `base_full` and `yardstick_full`; `held_bytes`: what is held, mean over documents; "
    "`kv_bytes`: the decoder's cache for it while it answers, slots and codes widened; `compress_s`: from the "
    "document's tokens to what is kept until a question comes; `first_token_s`: from there to the first token, what is "
    "chosen by the question included; both one document at a time, medians of a few."
)
DATA = "qa.jsonl.xz"
FIELDS = ("context", "question", "answers")
READERS = (
    *("memory", "focus", "bm25", "sink_recent", "random", "key_norm", "repeat_attention"),
    *("truncated_int8", "truncated_int4", "truncated_int2"),
    *("full", "full_int8", "full_int4", "full_int2", "base_full", "yardstick_full", "none"),
)
METRIC, LABEL, SHORT_LABEL, COUNTED = "f1", "F1", "F1", "questions"
DRAWN = MAIN = {"source": "all"}


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (questions asked, result rows): those with an answer of at most 30 words; a row a reader and ratio.

    ``f1_minus_memory`` is the mean difference to the memory at the same ratio, row by row. Seconds are medians over
    a few documents, see ``latency``, bytes means over all. Raises EvaluationError for mean-pooled memories.
    """
    if not subject.ccf.config.nested:
        raise EvaluationError("Mean-pooled memories cannot focus: choose an adapter that compresses into slots.")
    short = [row for row in rows if row["answers"] and not scoring.is_long_form(row)]
    asked, _ = scoring.sample(subject, short, options)
    pool = [context for context in dict.fromkeys(row["context"] for row in rows) if context.strip()]
    drawn = evidence.joined(asked, pool, options.seed)
    documents = {c: subject.ccf.segment(c) for c in dict.fromkeys(c for _, contexts, _ in drawn for c in contexts)}
    peers = Peers(subject, evidence.about(subject, drawn, documents, True, options), options)
    scores: dict[Setting, list[Scores]] = {}
    seconds: dict[Setting, dict[str, float]] = {}
    for setting, questions, readings in peers.all():
        reader, ratio = setting
        options.report(f"reader {reader}" + (f" at {ratio}x" if ratio else ""))
        requests = [reading.request(q.prompt, q.new) for q, reading in zip(questions, readings, strict=True)]
        written = batching.generate(subject.decoder(reader), requests, options.report, rows=options.batch_size)
        scores[setting] = peers.scores(asked, setting, written, readings)
        seconds[setting] = latency.seconds(subject, reader, ratio, questions[: 1 + latency.DOCUMENTS], options)
    for reader, ratio in scores:
        if ratio and reader != "memory" and ("memory", ratio) in scores:
            for of_row, memory in zip(scores[reader, ratio], scores["memory", ratio], strict=True):
                of_row["f1_minus_memory"] = [(of_row["f1"][0][0] - memory["f1"][0][0], 1.0)]
    results = scoring.table(scores, range(len(asked)), "all", options.seed)
    for row in results:
        row["ci95"] = {name: interval for name, interval in row["ci95"].items() if not name.endswith("_bytes")}
        row["metrics"] |= seconds[row["reader"], row["ratio"]]
    return len(asked), results


@dataclass(frozen=True)
class Peers:
    """Readers of the same questions, each about a document whose memory was made down to the finest ratio."""

    subject: Subject
    questions: Sequence[Question]
    options: Options

    def all(self) -> Iterator[tuple[Setting, list[Question], list[Reading]]]:
        """Yield (setting, every question with its budget, what is read for it) of the readers and ratios asked for."""
        wanted = self.options.readers or [name for name in READERS if self.subject.has(name)]
        for name in dict.fromkeys((*READERS, *self.options.readers)):
            if name not in wanted:
                continue
            reader = self.subject.reader(name, self.options)
            bounded = reader.needs_memory() or reader.by_question
            ratios: Sequence[int | None] = self.options.ratios if bounded else (None,)
            asked = {ratio: [self.at(name, q, ratio) for q in self.questions] for ratio in ratios}
            prepared = reader.prepare(asked[min(ratios, key=lambda ratio: ratio or 0)])
            for ratio in ratios:
                yield (name, ratio), asked[ratio], reader.read(asked[ratio], prepared)

    def budget(self, question: Question, ratio: int | None) -> int:
        """Count the bytes of the question's memory at ``ratio``, as it is held; without a ratio 0."""
        assert question.memory is not None
        return question.memory.at(ratio).nbytes if ratio else 0

    def at(self, name: str, question: Question, ratio: int | None) -> Question:
        """Give the question what ``budget`` allows, in positions of the reader's cache; slots count as held.

        The memory is the one at the ratio, for a reader that chooses its ratios itself the finest.
        """
        assert question.memory is not None
        position = self.subject.decoder(name).kv_bytes
        coarse = question.memory.at(question.memory.header.ratios[-1])
        memory = question.memory.at(ratio) if ratio and not ALL_READERS[name].by_question else question.memory
        slot = Fraction(coarse.nbytes, coarse.slots * position)
        budget = self.subject.reader(name, self.options).held_in(self.budget(question, ratio))
        return replace(question, memory=memory, budget=budget, slot=slot)

    def scores(
        self, rows: Sequence[Row], setting: Setting, written: Sequence[Sequence[int]], readings: Sequence[Reading]
    ) -> list[Scores]:
        """Score short answers with ``scoring.score`` and count the bytes of each document."""
        position = self.subject.decoder(setting[0]).kv_bytes
        positions = [reading.positions for reading in readings]
        scores = scoring.score(self.subject, rows, self.questions, setting, written, positions)
        return [
            {"f1": of_row["f1"], "em": of_row["em"]}
            | {"held_bytes": [(float(reading.held_bytes(position)), 1.0)]}
            | {"kv_bytes": [(float(reading.positions * position), 1.0)]}
            for of_row, reading in zip(scores, readings, strict=True)
        ]
