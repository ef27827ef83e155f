"""Questions: the base's chat template after what the reader reads, greedy, scored against the answers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from ccf_core.baselines import BASELINES
from ccf_core.evaluation import asking, focusing, metrics, readers
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject

ABOUT = (
    "Questions put by the base's chat template, answered greedily in at most 32 tokens. `f1`, `em`: SQuAD's, best over "
    "answers; `kept`: f1 ÷ the better f1 of `full` and `base_full`; `rouge_l`: of answers over 30 words; "
    "`false_abstain`: told to have no answer though there is one; `abstain_f1`: of questions without one, told so."
)
DATA = "qa.jsonl.xz"
FIELDS = ("context", "question", "answers")
#: ``base_…`` are the same by the untouched base.
READERS = (
    *("memory", "mean_pool", "full", "truncated", "none", "base_full", *readers.AS_HELD),
    *(readers.RESIDUAL, *BASELINES),
    *("base_sink_recent", "base_key_norm", "base_repeat_attention"),
    *focusing.READERS,
)


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """(questions asked, result rows): one row for each reader, ratio and source, and for all sources.

    f1, em and what is kept of them are over rows with an answer, and so is ``false_abstain``, the share of them
    that is told to have none; ``abstain_f1`` is over rows without. ``full`` reads of a context what fits the window.
    """
    asked, documents = asking.sample(subject, rows, options)
    for row in unanswerable(rows, options.unanswerable, options.seed):
        asked.append(row)
        documents.setdefault(row["context"], subject.ccf.segment(row["context"]))
    settings = readers.settings(READERS, options, subject.ccf.config.compressor)
    questions = [asking.question(subject, row, documents[row["context"]]) for row in asked]
    return len(asked), asking.tables(asked, asking.ask(subject, asked, questions, settings, options), options.seed)


def unanswerable(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """``count`` rows without an answer: a question put to a context of the same source but another document.

    The context holds no accepted answer, and the question is one that is asked of a single context, for what
    is asked of many ("What is the plot?") any of them may answer. EvaluationError if there are too few.
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
    """The name that passages of one document share: the title, else the id less its last number, else the context."""
    numbered = re.fullmatch(r"(.+)-\d+", str(row.get("id", "")))
    return str(row.get("title") or (numbered[1] if numbered else row["context"]))
