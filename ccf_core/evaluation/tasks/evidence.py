"""Measure whether the attention that an answer pays to the memory points at the segment it comes from."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import comb

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.answering.batching import DecodeRequest
from ccf_core.answering.evidence import evidence
from ccf_core.evaluation import scoring
from ccf_core.evaluation.memories import memories_at
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import Scores, Setting, settings
from ccf_core.evaluation.readers.text import BM25
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.focus.bm25 import bm25
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import Segmented
from ccf_core.model.prefix import slot_segments
from ccf_core.readers.base import Question

ABOUT = (
    "10 to 15 contexts are joined to one document; attention of the answer's tokens to slots, mean over heads and the "
    "upper half of the layers, is summed for each segment. `top3`: questions whose gold segment is among the first "
    "three; `top3_context`: the same by context; `bm25` and `chance` find segments without a model."
)
DATA = "qa.jsonl.xz"
FIELDS = ("context", "question", "answers")
READERS = ("memory", "full", "none", "base_full", "yardstick_full", "focus", "focus_no_slots", "bm25", "gold")
METRIC, LABEL, SHORT_LABEL, COUNTED = "top3", "gold segment in the first three", "top 3", "questions"
DRAWN = MAIN = {"source": "all"}
#: Contexts of a document, at least and at most.
FEWEST, MOST = 10, 15
TOP = 3


@dataclass(frozen=True)
class Joined:
    """Contexts joined to one document, the question's own at ``gold`` among them."""

    contexts: tuple[str, ...]
    gold: int
    row: Row
    segments: tuple[tuple[int, str], ...]
    """(context, text) of every segment, in order."""

    @property
    def gold_segments(self) -> set[int]:
        """Segments of the gold context that hold an answer; all of them if none does."""
        of_gold = {i: text for i, (context, text) in enumerate(self.segments) if context == self.gold}
        holding = {i for i, text in of_gold.items() if any(metrics.holds(text, a) for a in self.row["answers"])}
        return holding or set(of_gold)

    def found(self, segments: Sequence[float], contexts: Sequence[float]) -> Scores:
        """Tell whether the gold is among the first three, by a score of every segment and of every context."""
        best, best_contexts = (_first(scores) for scores in (segments, contexts))
        return _pairs(float(bool(best & self.gold_segments)), float(self.gold in best_contexts))

    def chance(self) -> Scores:
        """Compute what a random order finds: 1 - C(n - g, 3) ÷ C(n, 3) for g gold ones of n."""
        n, g = len(self.segments), len(self.gold_segments)
        missed = comb(n - g, TOP) / comb(n, TOP)
        return _pairs(1 - missed, TOP / len(self.contexts))


def _pairs(segment: float, context: float) -> Scores:
    return {"top3": [(segment, 1.0)], "top3_context": [(context, 1.0)]}


def _first(scores: Sequence[float]) -> set[int]:
    return set(sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)[:TOP])


def joined(rows: Sequence[Row], pool: Sequence[str], seed: int) -> list[tuple[Row, tuple[str, ...], int]]:
    """Draw (row, 10 to 15 distinct contexts, index of the row's own): the other contexts and the index are random.

    EvaluationError if the pool has too few.
    """
    if len(pool) < MOST:
        raise EvaluationError(f"Only {len(pool)} contexts: give data with {MOST} or more to join documents from.")
    drawn_rows = []
    for row in rows:
        rng = random.Random(f"{seed}:{row['context']}:{row['question']}")
        drawn = rng.sample(pool, rng.randint(FEWEST, MOST))
        others = [context for context in drawn if context != row["context"]][: len(drawn) - 1]
        place = rng.randint(0, len(others))
        drawn_rows.append((row, (*others[:place], row["context"], *others[place:]), place))
    return drawn_rows


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (questions asked, result rows): those of ``qa`` on joined documents, and for the memory ``top3``.

    ``top3`` is the share of questions whose gold segment is among the three that the answer attended to most,
    ``top3_context`` the same for whole contexts. The readers ``bm25`` and ``chance`` find segments without a model.
    If ``bm25`` is asked for by name it also answers, from the text that it finds within the budget; ``f1_missed`` is
    then the f1 of every reader on the questions whose gold segments are not in that text. For ``abstain_f1``
    as many more questions as ``unanswerable`` says are put to documents without their passage.
    """
    asked, _ = scoring.sample(subject, [row for row in rows if row["answers"]], options)
    pool = [context for context in dict.fromkeys(row["context"] for row in rows) if context.strip()]
    drawn = joined(asked, pool, options.seed)
    without = without_gold(drawn, rows, options.unanswerable)
    documents = {c: subject.ccf.segment(c) for c in dict.fromkeys(c for _, contexts, _ in drawn for c in contexts)}
    chosen = settings(READERS, options, subject)
    compressed = any(ALL_READERS[reader].reads_slots for reader, _ in chosen)
    questions = about(subject, [*drawn, *without], documents, compressed, options)
    asked = [row for row, _, _ in (*drawn, *without)]
    whole = []
    for row, contexts, gold in drawn:
        segments = [(i, c[s.char_start : s.char_end]) for i, c in enumerate(contexts) for s in documents[c].spans]
        whole.append(Joined(contexts, gold, row, tuple(segments)))
    scores: dict[Setting, list[Scores]] = {}
    for setting, written, positions in scoring.answers(subject, chosen, questions, options):
        scores[setting] = scoring.score(subject, asked, questions, setting, written, positions)
        if setting[0] == "memory" and setting[1]:
            _add(scores[setting], _attended(subject, whole, questions, written, setting[1], options))
    if ("bm25", None) in scores:
        reader = BM25(subject.ccf.decoder, subject.ccf.tokenizer)
        for number, (w, q) in enumerate(zip(whole, questions, strict=False)):
            budget = int(len(q.document.input_ids) * options.budget)
            if not w.gold_segments & reader.best(replace(q, budget=budget)).keys():
                for of_setting in scores.values():
                    of_setting[number] |= {"f1_missed": of_setting[number].get("f1", [])}
    ranked = [
        w.found(bm25(w.row["question"], [text for _, text in w.segments]), bm25(w.row["question"], w.contexts))
        for w in whole
    ]
    _add(scores.setdefault(("bm25", None), [{} for _ in asked]), ranked)
    _add(scores.setdefault(("chance", None), [{} for _ in asked]), [w.chance() for w in whole])
    return len(asked), scoring.tables(asked, scores, options.seed)


def _add(scores: Sequence[Scores], found: Sequence[Scores]) -> None:
    """Add scores to the first rows, those whose document holds their passage."""
    for of_row, more in zip(scores, found, strict=False):
        of_row |= more


def without_gold(
    drawn: Sequence[tuple[Row, tuple[str, ...], int]], rows: Sequence[Row], count: int
) -> list[tuple[Row, tuple[str, ...], None]]:
    """Choose ``count`` questions that lose their own context, and with it their answer: (row, contexts left, None).

    No context that is left holds an accepted answer, and no other context is asked the same question. EvaluationError
    if there are too few such questions.
    """
    asked_of: dict[str, set[str]] = {}
    for row in rows:
        asked_of.setdefault(row["question"], set()).add(row["context"])
    found: list[tuple[Row, tuple[str, ...], None]] = []
    for row, contexts, gold in drawn:
        others = (*contexts[:gold], *contexts[gold + 1 :])
        elsewhere = any(metrics.holds(context, answer) for context in others for answer in row["answers"])
        if len(found) < count and len(asked_of[row["question"]]) == 1 and not elsewhere:
            found.append((row | {"answers": []}, others, None))
    if len(found) < count:
        raise EvaluationError(f"Only {len(found)} questions can lose their passage: give a smaller --unanswerable.")
    return found


def about(
    subject: Subject,
    drawn: Sequence[tuple[Row, tuple[str, ...], int | None]],
    documents: Mapping[str, Segmented],
    compressed: bool,
    options: Options,
) -> list[Question]:
    """Make questions about what ``joined`` or ``without_gold`` has drawn, from the ``documents`` of all contexts; if
    ``compressed`` with the memories of the contexts joined, down to the finest ratio."""
    memories: dict[str, KVMemory] = {}
    if compressed:
        parts = list(documents.values())
        at_ratios = memories_at(subject.ccf, parts, options.ratios, options.memory_dtype, options.report)
        memories = dict(zip(documents, at_ratios[min(options.ratios)], strict=True))
    questions = []
    for row, contexts, gold in drawn:
        parts = [documents[context] for context in contexts]
        memory = KVMemory.join(memories[context] for context in contexts) if memories else None
        passage = () if gold is None else parts[gold].input_ids
        questions.append(scoring.question(subject, row, _document(parts), memory, passage))
    return questions


def _document(parts: Sequence[Segmented]) -> Segmented:
    ids = tuple(i for part in parts for i in part.input_ids)
    sha = hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest()
    return Segmented(sha, ids, tuple(span for part in parts for span in part.spans))


def _attended(
    subject: Subject,
    whole: Sequence[Joined],
    questions: Sequence[Question],
    written: Sequence[Sequence[int]],
    ratio: int,
    options: Options,
) -> list[Scores]:
    decoder = subject.ccf.decoder
    memories = [q.memory.at(ratio) for q in questions[: len(whole)] if q.memory is not None]
    # An answer of no token still chose its end, as the token after the prompt.
    requests = [
        DecodeRequest(q.prompt, target=list(ids) or [0], prefix=partial(decoder.prefix, memory), cached=memory.slots)
        for q, ids, memory in zip(questions, written, memories, strict=False)
    ]
    result = []
    for w, memory, attention in zip(
        whole, memories, batching.attention(decoder, requests, options.report), strict=True
    ):
        shares = {e.segment: e.score for e in evidence(attention, slot_segments(memory))}
        segments = [shares.get(i, 0.0) for i in range(len(w.segments))]
        contexts = [0.0] * len(w.contexts)
        for (context, _), share in zip(w.segments, segments, strict=True):
            contexts[context] += share
        result.append(w.found(segments, contexts))
    return result
