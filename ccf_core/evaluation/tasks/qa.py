"""Ask questions in the base's chat template after what a reader reads, and score the greedy answers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from ccf_core import metrics
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers.base import settings
from ccf_core.evaluation.rows import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject

ABOUT = (
    "Questions put by the base's chat template, answered greedily in at most 32 tokens, those of long form in 192. "
    "`f1`, `em`: SQuAD's, best over answers; `kept`: f1 ÷ the best f1 that was measured of "
    "`full`, `base_full` and `yardstick_full`, whose decoder was trained on full text alone; `rouge_l`: of "
    "answers of long form; source `macro`: means over sources, each as much as another; "
    "`false_abstain`: told to have no answer though there is one; `abstain_f1`: of questions without one, told so."
)
DATA = "qa.jsonl.xz"
FIELDS = ("context", "question", "answers")
#: ``base_…`` are the same by the untouched base, ``yardstick_…`` by the yardstick reader.
READERS = (
    *("memory", "mean_pool", "full", "truncated", "none", "base_full", "yardstick_full"),
    *("memory_bfloat16", "memory_int8", "memory_int4"),
    *("full_int8", "full_int4", "full_int2", "truncated_int8", "truncated_int4", "truncated_int2"),
    *("sink_recent", "random", "key_norm", "repeat_attention"),
    *("base_sink_recent", "base_key_norm", "base_repeat_attention"),
    *("focus", "focus_no_slots", "bm25"),
)
METRIC, LABEL, SHORT_LABEL, COUNTED = "f1", "F1", "F1", "questions"
DRAWN = MAIN = {"source": "all"}


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (questions asked, result rows): one row for each reader, ratio and source, for all sources, and
    for their macro average.

    ``f1``, ``em``, ``kept`` and ``false_abstain``, the share of questions told to have no answer, are over rows with
    an answer; ``abstain_f1`` is over rows without. ``full`` reads of a context what fits the window.
    """
    asked, documents = scoring.sample(subject, rows, options)
    for row in unanswerable(rows, options.unanswerable, options.seed):
        asked.append(row)
        documents.setdefault(row["context"], subject.ccf.segment(row["context"]))
    chosen = settings(READERS, options, subject)
    questions = [scoring.question(subject, row, documents[row["context"]]) for row in asked]
    return len(asked), scoring.tables(asked, scoring.ask(subject, asked, questions, chosen, options), options.seed)


def unanswerable(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Make ``count`` rows without an answer: a question put to a context of the same source but another document.

    The context holds no accepted answer, and the question is asked of a single context: a question that is asked of
    many ("What is the plot?") may have an answer in any context. EvaluationError if there are too few.
    """
    contexts: dict[str, dict[str, str]] = {}
    asked_of: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row["context"].strip():
            contexts.setdefault(source_of(row), {})[row["context"]] = document_of(row)
        asked_of.setdefault((source_of(row), row["question"]), set()).add(row["context"])
    found: list[Row] = []
    candidates = [row for row in rows if row["answers"] and len(asked_of[source_of(row), row["question"]]) == 1]
    for row in stratified(candidates, source_of, None, seed):
        if len(found) == count:
            break
        others = [c for c, document in contexts.get(source_of(row), {}).items() if document != document_of(row)]
        random.Random(f"{seed}:{row['context']}:{row['question']}").shuffle(others)
        other = next((c for c in others if not any(metrics.holds(c, a) for a in row["answers"])), None)
        if other:
            found.append({**row, "context": other, "answers": []})
    if len(found) < count:
        raise EvaluationError(
            f"Only {len(found)} questions can be put to another document: give a smaller --unanswerable or more data."
        )
    return found


def document_of(row: Row) -> str:
    """Name a passage's document: the title, else the id less its last number, else the context."""
    numbered = re.fullmatch(r"(.+)-\d+", str(row.get("id", "")))
    return str(row.get("title") or (numbered[1] if numbered else row["context"]))
