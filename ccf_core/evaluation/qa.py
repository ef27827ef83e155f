"""Questions: the base's chat template after what the reader reads, greedy, scored against the answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ccf_core.answer import question_prompt
from ccf_core.baselines import BASELINES
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation import batches, metrics, readers
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.segment import Segmented

FIELDS = ("context", "question", "answers")
#: ``base_…`` are the same by the untouched base.
READERS = (
    *("memory", "mean_pool", "full", "truncated", "none", "base_full", *BASELINES),
    *("base_sink_recent", "base_key_norm", "base_repeat_attention"),
)
ANSWER_TOKENS, LONG_ANSWER_TOKENS = 32, 64

Scores = dict[str, list[metrics.Pair]]


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """(questions asked, result rows): one row for each reader, ratio and source, and for all sources.

    ``kept`` is f1 ÷ the better f1 of ``full`` and ``base_full``, told where one of them was run, and
    ``kept_rouge_l`` the same for long answers. ``full`` reads of a context what fits the window.
    """
    asked, documents = _sample(subject, rows, options)
    texts = list(documents.values())
    which_text = {context: index for index, context in enumerate(documents)}
    where = [which_text[row["context"]] for row in asked]
    prompts = [question_prompt(subject.ccf.tokenizer, row["question"]) for row in asked]
    rows_a_batch = options.batch_size or (256 if batches.on_gpu(subject.ccf.decoder) else 8)
    scores: dict[tuple[str, int | None], list[Scores]] = {}
    settings = readers.settings(READERS, options, subject.ccf.config.compressor)
    for reader, of_reader in groupby(settings, lambda setting: setting[0]):
        made = readers.prepare(subject, reader, texts, options)
        for _, ratio in of_reader:
            options.report(f"reader {reader}" + (f" at {ratio}x" if ratio else ""))
            jobs = [
                readers.job(subject, reader, texts[i], made[ratio][i], ratio, prompt, _room(row))
                for row, prompt, i in zip(asked, prompts, where, strict=True)
            ]
            written = batches.generate(subject.decoder(reader), jobs, options.report, rows=rows_a_batch)
            said = [batches.decode(subject.ccf, ids).strip() for ids in written]
            scores[reader, ratio] = [_scores(row["answers"], text) for row, text in zip(asked, said, strict=True)]
    sources = sorted({source_of(row) for row in asked})
    result = []
    for source in ["all", *(sources if len(sources) > 1 else [])]:
        which = [i for i, row in enumerate(asked) if source in ("all", source_of(row))]
        result += table(scores, which, source, options.seed)
    return len(asked), result


def _sample(subject: Subject, rows: list[Row], options: Options) -> tuple[list[Row], dict[str, Segmented]]:
    """Questions, and the document of each of their contexts; contexts without a token are left out."""
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


def _room(row: Row) -> int:
    return LONG_ANSWER_TOKENS if row["answers"] and metrics.is_long(row["answers"]) else ANSWER_TOKENS


def _scores(answers: Sequence[str], text: str) -> Scores:
    if not answers:
        return {"abstain_f1": [(float(metrics.abstains(text)), 1.0)]}
    if metrics.is_long(answers):
        return {"rouge_l": [(metrics.rouge_l_words(answers, text), 1.0)]}
    return {"f1": [(metrics.f1(answers, text), 1.0)], "em": [(metrics.exact_match(answers, text), 1.0)]}


def table(
    scores: dict[tuple[str, int | None], list[Scores]], which: Sequence[int], source: str, seed: int
) -> list[dict]:
    def column(setting: tuple[str, int | None], metric: str) -> list[metrics.Pair]:
        return [pair for i in which for pair in scores[setting][i].get(metric, [])]

    result = []
    for reader, ratio in scores:
        told = {name: column((reader, ratio), name) for name in ("f1", "em", "rouge_l", "abstain_f1")}
        for kept, metric in (("kept", "f1"), ("kept_rouge_l", "rouge_l")):
            whole = [column(s, metric) for s in scores if s[0] in ("full", "base_full")]
            best = max(whole, key=lambda pairs: metrics.pooled(pairs) or 0.0, default=[])
            pairs = zip(told[metric], best, strict=False)
            told[kept] = [(own, full) for (own, _), (full, _) in pairs]
        result.append(
            {"reader": reader, "ratio": ratio, "source": source, "n": len(which)} | metrics.summarise(told, seed)
        )
    return result
