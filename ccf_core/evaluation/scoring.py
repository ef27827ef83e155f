"""Ask questions about documents with every reader and score the answers: what the tasks that ask share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.answering.prompt import question_prompt
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.readers.base import Scores, Setting, readings
from ccf_core.evaluation.readers.memory import EXACT, differences
from ccf_core.evaluation.rows import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import Segmented
from ccf_core.readers.base import Question

ANSWER_TOKENS, LONG_ANSWER_TOKENS = 32, 192
#: Metric -> its pairs, over some answers.
Columns = dict[str, list[metrics.Pair]]
#: Values of a row's ``kind`` that say that its answers are whole sentences.
LONG_FORM = ("sentence", "longform")


def sample(subject: Subject, rows: Sequence[Row], options: Options) -> tuple[list[Row], dict[str, Segmented]]:
    """Sample rows to ask, at most ``limit``, and segment the document of each of their contexts.

    Contexts without a token are left out; EvaluationError if nothing remains.
    """
    asked, documents = [], {}
    for row in stratified(rows, source_of, options.limit, options.seed):
        try:
            if row["context"] not in documents:
                documents[row["context"]] = subject.ccf.segment(row["context"])
            asked.append(row)
        except NothingToCompress:
            continue
    if not asked:
        raise EvaluationError("The contexts hold no tokens: give rows with a context to ask about.")
    return asked, documents


def question(
    subject: Subject, row: Row, document: Segmented, memory: KVMemory | None = None, gold: Sequence[int] = ()
) -> Question:
    """Make a row's question; one of long form may have a longer answer."""
    prompt = question_prompt(subject.ccf.tokenizer, row["question"])
    new = LONG_ANSWER_TOKENS if is_long_form(row) else ANSWER_TOKENS
    return Question(prompt, document, new, memory, row["question"], gold, window=subject.ccf.decoder.window)


def answers(
    subject: Subject, settings: Sequence[Setting], questions: Sequence[Question], options: Options
) -> Iterator[tuple[Setting, list[list[int]], list[int]]]:
    """Answer greedily: yield (setting, tokens for every question, positions of its document in the cache)."""
    for reader, of_reader in groupby(settings, lambda setting: setting[0]):
        decoder = subject.decoder(reader)
        for ratio, read in readings(subject, reader, [ratio for _, ratio in of_reader], questions, options):
            requests = [each.request(q.prompt, q.new) for each, q in zip(read, questions, strict=True)]
            written = batching.generate(decoder, requests, options.report, rows=options.batch_size)
            yield (reader, ratio), written, [each.positions for each in read]


def is_long_form(row: Row) -> bool:
    """Tell whether a row asks for a long answer: its kind says so, or every accepted answer is over 30 words."""
    return bool(row["answers"]) and (row.get("kind") in LONG_FORM or metrics.is_long(row["answers"]))


def scores_of(row: Row, text: str) -> Scores:
    """Score an answer's text against the row's accepted answers (none: the document does not hold one)."""
    abstains, answers = (float(metrics.abstains(text)), 1.0), row["answers"]
    if not answers:
        return {"abstain_f1": [abstains]}
    if is_long_form(row):
        return {"rouge_l": [(metrics.rouge_l_words(answers, text), 1.0)], "false_abstain": [abstains]}
    return {
        "f1": [(metrics.f1(answers, text), 1.0)],
        "em": [(metrics.exact_match(answers, text), 1.0)],
        "false_abstain": [abstains],
    }


def score(
    subject: Subject,
    rows: Sequence[Row],
    questions: Sequence[Question],
    setting: Setting,
    written: Sequence[Sequence[int]],
    positions: Sequence[int],
) -> list[Scores]:
    """Score every row; for readers that spend a budget also ``kv_share``, positions read ÷ all tokens."""
    texts = (subject.text(ids).strip() for ids in written)
    scores = [scores_of(row, text) for row, text in zip(rows, texts, strict=True)]
    if READERS[setting[0]].by_question:
        for of_row, q, count in zip(scores, questions, positions, strict=True):
            of_row["kv_share"] = [(float(count), float(len(q.document.input_ids)))]
    return scores


def ask(
    subject: Subject, rows: Sequence[Row], questions: Sequence[Question], settings: Sequence[Setting], options: Options
) -> dict[Setting, list[Scores]]:
    """Ask and score every row in every setting."""
    return {
        setting: score(subject, rows, questions, setting, written, positions)
        for setting, written, positions in answers(subject, settings, questions, options)
    }


def tables(rows: Sequence[Row], scores: Mapping[Setting, list[Scores]], seed: int) -> list[dict]:
    """Make result rows over all sources and, if there are several, their ``macro`` average and one for each of them."""
    sources = sorted({source_of(row) for row in rows})
    each = {source: [i for i, row in enumerate(rows) if source_of(row) == source] for source in sources}
    everything = columns_of(scores, range(len(rows)))
    tables = {"all": everything}
    if len(sources) > 1:
        of_sources = {source: columns_of(scores, which) for source, which in each.items()}
        tables["macro"] = {
            setting: {name: metrics.macro([c[setting].get(name, []) for c in of_sources.values()]) for name in columns}
            for setting, columns in everything.items()
        }
        tables |= of_sources
    result = []
    for source, columns in tables.items():
        which = each.get(source, range(len(rows)))
        without = sum(not rows[i]["answers"] for i in which)
        unanswerable = {"unanswerable": without} if without else {}
        result += [row | unanswerable for row in _rows(columns, len(which), source, seed)]
    return result


def table(scores: Mapping[Setting, list[Scores]], which: Sequence[int], source: str, seed: int) -> list[dict]:
    """Make one result row for each setting, of ``columns_of`` over the answers ``which``."""
    return _rows(columns_of(scores, which), len(which), source, seed)


def _rows(columns: Mapping[Setting, Columns], n: int, source: str, seed: int) -> list[dict]:
    return [
        {"reader": reader, "ratio": ratio, "source": source, "n": n} | metrics.summarise(of_setting, seed)
        for (reader, ratio), of_setting in columns.items()
    ]


def columns_of(scores: Mapping[Setting, list[Scores]], which: Sequence[int]) -> dict[Setting, Columns]:
    """Gather the columns of each setting, over the answers ``which``.

    ``kept`` is f1 ÷ the best f1 of the readers of all text in the model's dtype, told where one of them was run, and
    ``kept_rouge_l`` the same for long answers; ``kept_gold`` is f1 ÷ f1 of ``gold``. Of readers with ``rivals`` also
    the mean differences of f1 to them, row by row: ``f1_minus_bm25``, ``f1_minus_no_slots`` and so on.
    Of memories in a dtype of their own the differences to bfloat16: see ``readers.memory.differences``.
    """

    def column(setting: Setting, metric: str) -> list[metrics.Pair]:
        return [pair for i in which for pair in scores[setting][i].get(metric, [])]

    known = {name: READERS[name] for name, _ in scores if name in READERS}
    whole_text = [s for s in scores if s[0] in known and known[s[0]].whole_text and not known[s[0]].cache_dtype]
    gold = ("gold", None)
    result = {}
    for reader, ratio in scores:
        names = dict.fromkeys(name for i in which for name in scores[reader, ratio][i])
        columns: Columns = {name: column((reader, ratio), name) for name in names}
        for kept, metric in (("kept", "f1"), ("kept_rouge_l", "rouge_l")):
            full = [column(setting, metric) for setting in whole_text]
            best = max(full, key=lambda pairs: metrics.pooled(pairs) or 0.0, default=[])
            columns[kept] = _divided(columns.get(metric, []), best)
        if gold in scores and "f1" in columns:
            columns["kept_gold"] = _divided(columns["f1"], column(gold, "f1"))
        for rival in known[reader].rivals if reader in known else ():
            for metric in ("f1", "f1_missed") if (rival, ratio) in scores else ():
                # In `evidence` there is always a row of bm25, which has answered only if it was asked.
                if theirs := column((rival, ratio), metric):
                    difference = metrics.minus(columns.get(metric, []), theirs)
                    columns[f"{metric}_minus_{rival.removeprefix('focus_')}"] = difference
        if (EXACT, ratio) in scores:
            exact = {name: column((EXACT, ratio), name) for name in names}
            columns |= differences(reader, columns, exact)
        result[reader, ratio] = columns
    return result


def _divided(pairs: Sequence[metrics.Pair], by: Sequence[metrics.Pair]) -> list[metrics.Pair]:
    """Pair the values of two columns so that the pooled value is the quotient of their sums."""
    return [(value, other) for (value, _), (other, _) in zip(pairs, by, strict=False)]
