"""Questions about documents, answered by every reader and scored: what the tasks that ask have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby

from ccf_core.answer import question_prompt
from ccf_core.decoder import Decoder, Prefix
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation import batches, focusing, metrics, readers
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.focus import Focused
from ccf_core.memory import KVMemory
from ccf_core.segment import Segmented

ANSWER_TOKENS, LONG_ANSWER_TOKENS = 32, 64
#: Reader -> what it is measured against at the same bytes.
RIVALS = {"focus": ("bm25", "focus_no_slots"), readers.RESIDUAL: ("memory", "repeat_attention")}

#: What one answer tells: metric -> its pairs (none, where it tells nothing).
Scores = dict[str, list[metrics.Pair]]
#: (reader, ratio); the ratio is None where it makes no difference.
Setting = tuple[str, int | None]


@dataclass(frozen=True)
class Question:
    """A prompt, the document that it asks about, and the room for an answer in tokens.

    memory : the document's, if it is not to be made from the document as it stands.
    text : the question's words.  gold : the tokens of the passage that it asks about, where that is known.
    """

    prompt: Sequence[int]
    document: Segmented
    new: int = ANSWER_TOKENS
    memory: KVMemory | None = None
    text: str = ""
    gold: Sequence[int] = ()


def sample(subject: Subject, rows: Sequence[Row], options: Options) -> tuple[list[Row], dict[str, Segmented]]:
    """Rows to ask, at most ``limit``, and the document of each of their contexts.

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
    """A row's question; one whose answers are all long gets more room."""
    long = row["answers"] and metrics.is_long(row["answers"])
    prompt = question_prompt(subject.ccf.tokenizer, row["question"])
    new = LONG_ANSWER_TOKENS if long else ANSWER_TOKENS
    return Question(prompt, document, new, memory, row["question"], gold)


def answers(
    subject: Subject, settings: Sequence[Setting], questions: Sequence[Question], options: Options
) -> Iterator[tuple[Setting, list[list[int]], list[int]]]:
    """(setting, greedy tokens for every question, positions that its document took); what a reader makes of a
    document serves all its ratios."""
    planned: list[list[Focused]] = []
    for reader, of_reader in groupby(settings, lambda setting: setting[0]):
        decoder = subject.decoder(reader)
        if reader in ("focus", "focus_no_slots"):
            planned = planned or focusing.plans(subject, questions, options)
        if reader in focusing.READERS or reader == focusing.GOLD:
            options.report(f"reader {reader}")
            jobs = focusing.jobs(subject, reader, questions, planned, options)
            written = batches.generate(decoder, jobs, options.report, rows=options.batch_size)
            yield (reader, None), written, positions(jobs, questions)
            continue
        for setting, jobs in _of_reader(subject, reader, [ratio for _, ratio in of_reader], questions, options):
            written = batches.generate(decoder, jobs, options.report, rows=options.batch_size)
            yield setting, written, positions(jobs, questions)


def positions(jobs: Sequence[Job], questions: Sequence[Question]) -> list[int]:
    """Positions of each question's document in the cache."""
    return [job.cached + len(job.prompt) - len(q.prompt) for job, q in zip(jobs, questions, strict=True)]


def _of_reader(
    subject: Subject, reader: str, ratios: Sequence[int | None], questions: Sequence[Question], options: Options
) -> Iterator[tuple[Setting, list[Job]]]:
    documents = {q.document.sha256: q.document for q in questions}
    shared = _shared(subject.decoder(reader), questions) if reader in ("full", "base_full") else {}
    own = reader == "memory" and all(q.memory for q in questions)
    made = {} if own else readers.prepare(subject, reader, list(documents.values()), options)
    for ratio in ratios:
        options.report(f"reader {reader}" + (f" at {ratio}x" if ratio else ""))
        by_document = {} if own else dict(zip(documents, made[ratio], strict=True))
        jobs = []
        for q in questions:
            sha = q.document.sha256
            if sha in shared:
                length, read = shared[sha]
                jobs.append(Job(q.prompt, q.new, prefix=read, cached=length))
            else:
                held = q.memory if own else by_document[sha]
                jobs.append(readers.job(subject, reader, q.document, held, ratio, q.prompt, q.new))
        yield (reader, ratio), jobs


def room(decoder: Decoder, questions: Sequence[Question]) -> int:
    """Tokens of a document that fit the window beside the longest of some questions and its answer."""
    return decoder.window - max(len(q.prompt) + q.new for q in questions)


def _shared(
    decoder: Decoder, questions: Sequence[Question], worth: int = 512
) -> dict[str, tuple[int, Callable[[], Prefix]]]:
    """(tokens, how to read them) of the documents that several questions share: each is read once, not once for
    each question. Short ones are cheaper to read in a batch of many."""
    alike: dict[str, list[Question]] = {}
    for q in questions:
        alike.setdefault(q.document.sha256, []).append(q)

    # Batches go through documents one after another, so the last ones read are all that is worth keeping.
    @lru_cache(maxsize=2)
    def read(ids: tuple[int, ...]) -> Prefix:
        return decoder.read_text(ids, chunk=8192 if batches.on_gpu(decoder) else 1024)

    shared: dict[str, tuple[int, Callable[[], Prefix]]] = {}
    for sha, group in alike.items():
        ids = group[0].document.input_ids[: room(decoder, group)]
        if len(group) > 1 and len(ids) > worth:
            shared[sha] = len(ids), partial(read, ids)
    return shared


def scores_of(answers: Sequence[str], text: str) -> Scores:
    """What a text tells of a row with these answers (none: the document does not hold one)."""
    abstains = (float(metrics.abstains(text)), 1.0)
    if not answers:
        return {"abstain_f1": [abstains]}
    if metrics.is_long(answers):
        return {"rouge_l": [(metrics.rouge_l_words(answers, text), 1.0)], "false_abstain": [abstains]}
    return {
        "f1": [(metrics.f1(answers, text), 1.0)],
        "em": [(metrics.exact_match(answers, text), 1.0)],
        "false_abstain": [abstains],
    }


def told(
    subject: Subject,
    rows: Sequence[Row],
    questions: Sequence[Question],
    setting: Setting,
    written: Sequence[Sequence[int]],
    held: Sequence[int],
) -> list[Scores]:
    """Scores of every row; for readers that spend a budget also ``kv_share``, positions held ÷ the document's."""
    texts = (batches.decode(subject.ccf, ids).strip() for ids in written)
    scores = [scores_of(row["answers"], text) for row, text in zip(rows, texts, strict=True)]
    if setting[0] in focusing.READERS or setting[0] == focusing.GOLD:
        for own, q, positions in zip(scores, questions, held, strict=True):
            own["kv_share"] = [(float(positions), float(len(q.document.input_ids)))]
    return scores


def ask(
    subject: Subject, rows: Sequence[Row], questions: Sequence[Question], settings: Sequence[Setting], options: Options
) -> dict[Setting, list[Scores]]:
    """Scores of every row in every setting."""
    return {
        setting: told(subject, rows, questions, setting, written, held)
        for setting, written, held in answers(subject, settings, questions, options)
    }


def tables(rows: Sequence[Row], scores: Mapping[Setting, list[Scores]], seed: int) -> list[dict]:
    """Result rows over all sources and, if there are several, for each of them."""
    sources = sorted({source_of(row) for row in rows})
    result = []
    for source in ["all", *(sources if len(sources) > 1 else [])]:
        which = [i for i, row in enumerate(rows) if source in ("all", source_of(row))]
        without = sum(not rows[i]["answers"] for i in which)
        result += [told | ({"unanswerable": without} if without else {}) for told in table(scores, which, source, seed)]
    return result


def table(scores: Mapping[Setting, list[Scores]], which: Sequence[int], source: str, seed: int) -> list[dict]:
    """One result row for each setting, over the answers ``which``.

    ``kept`` is f1 ÷ the better f1 of ``full`` and ``base_full``, told where one of them was run, and
    ``kept_rouge_l`` the same for long answers; ``kept_gold`` is f1 ÷ f1 of ``gold``. Of readers with ``RIVALS`` also
    the mean differences of f1 to them, row by row: ``f1_minus_bm25``, ``f1_minus_no_slots`` and so on.
    Of memories held as some dtype the differences to those held as bfloat16: see ``readers.differences``.
    """

    def column(setting: Setting, metric: str) -> list[metrics.Pair]:
        return [pair for i in which for pair in scores[setting][i].get(metric, [])]

    result = []
    for reader, ratio in scores:
        names = dict.fromkeys(name for i in which for name in scores[reader, ratio][i])
        told = {name: column((reader, ratio), name) for name in names}
        for kept, metric in (("kept", "f1"), ("kept_rouge_l", "rouge_l")):
            whole = [column(s, metric) for s in scores if s[0] in ("full", "base_full")]
            best = max(whole, key=lambda pairs: metrics.pooled(pairs) or 0.0, default=[])
            pairs = zip(told.get(metric, []), best, strict=False)
            told[kept] = [(own, full) for (own, _), (full, _) in pairs]
        if (focusing.GOLD, None) in scores and "f1" in told:
            pairs = zip(told["f1"], column((focusing.GOLD, None), "f1"), strict=True)
            told["kept_gold"] = [(own, gold) for (own, _), (gold, _) in pairs]
        for other in RIVALS.get(reader, ()):
            for metric in ("f1", "f1_missed") if (other, ratio) in scores else ():
                # In `evidence` there is always a row of bm25, which has answered only if it was asked.
                if theirs := column((other, ratio), metric):
                    differences = metrics.minus(told.get(metric, []), theirs)
                    told[f"{metric}_minus_{other.removeprefix('focus_')}"] = differences
        if (readers.EXACT, ratio) in scores:
            exact = {name: column((readers.EXACT, ratio), name) for name in names}
            told |= readers.differences(reader, told, exact)
        result.append(
            {"reader": reader, "ratio": ratio, "source": source, "n": len(which)} | metrics.summarise(told, seed)
        )
    return result
