"""Segments from what the reader keeps of them alone: exactly as many tokens, greedily; and teacher-forced."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from torch import Tensor

from ccf_core.baselines import BASELINES
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation import batches, metrics, readers
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory import KVMemory
from ccf_core.residual import ResidualMemory
from ccf_core.segment import Segmented

ABOUT = (
    "Segments are written again from their own slots alone, greedily, as many tokens as they have. `rouge_l`: "
    "longest common subsequence of token ids ÷ tokens; `exact_token`: equal positions; `digit_recall`, "
    "`capital_recall`: numbers, and words with a capital inside a sentence, found again; `teacher_forced`: next-token "
    "accuracy given the true tokens before. `full` are whole segments, `tails` shorter last ones."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
READERS = ("memory", "mean_pool", *readers.AS_HELD, readers.RESIDUAL, *BASELINES)
#: What ``residual`` is measured against at the same bytes, and by which metrics.
RIVALS = ("memory", "repeat_attention")
COMPARED = ("rouge_l", "digit_recall", "capital_recall", "teacher_forced")
SAMPLES = ("full", "tails")

Sample = tuple[str, Segmented]


def samples(subject: Subject, rows: list[Row], options: Options) -> dict[str, list[Sample]]:
    """(source, segment) of ``full`` segments, and of ``tails``: last segments of documents, if shorter.

    Documents are cut as they are for use. At most ``limit`` of each, spread evenly over sources.
    """
    found: dict[str, list[Sample]] = {name: [] for name in SAMPLES}
    for row in rows:
        try:
            document = subject.ccf.segment(row["text"])
        except NothingToCompress:
            continue
        for index, span in enumerate(document.spans):
            name = "full" if len(span) == subject.ccf.config.segment_length else "tails"
            found[name].append((source_of(row), batches.single_segment(document, index)))
    return {
        name: stratified(all_of, lambda sample: sample[0], options.limit, options.seed)
        for name, all_of in found.items()
    }


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """(segments measured, result rows): one row for each reader, ratio and sample."""
    chosen = samples(subject, rows, options)
    everything = [(name, segment) for name, found in chosen.items() for _, segment in found]
    if not everything:
        raise EvaluationError("The texts hold no tokens: give rows with text.")
    segments = [segment for _, segment in everything]
    decoder, report = subject.ccf.decoder, options.report
    scores: dict[tuple[str, int, str], dict[str, list[metrics.Pair]]] = {}
    settings = readers.settings(READERS, options, subject.ccf.config.compressor)
    for reader, of_reader in groupby(settings, lambda setting: setting[0]):
        made = readers.prepare(subject, reader, segments, options)
        measured = [(ratio, i) for _, ratio in of_reader if ratio for i in range(len(segments))]
        jobs = []
        for ratio, i in measured:
            prefix, cached = readers.held(subject, reader, segments[i], made[ratio][i], ratio)
            ids = segments[i].input_ids
            jobs.append(Job([subject.ccf.config.repeat_token], len(ids), ids, prefix, cached))
        written = batches.generate(decoder, jobs, report, rows=options.batch_size, exactly=True)
        forced = batches.score(decoder, jobs, report, rows=options.batch_size)
        for (ratio, i), out, (_, hits) in zip(measured, written, forced, strict=True):
            told = scores.setdefault((reader, ratio, everything[i][0]), {})
            for metric, pair in (_scores(subject, segments[i].input_ids, out, hits) | _held(made[ratio][i])).items():
                told.setdefault(metric, []).append(pair)
    for (reader, ratio, name), own in scores.items():
        for other in RIVALS if reader == readers.RESIDUAL else ():
            theirs = scores.get((other, ratio, name), {})
            own |= {f"{m}_minus_{other}": metrics.minus(own[m], theirs[m]) for m in COMPARED if m in theirs}
    return len(everything), [
        {"reader": reader, "ratio": ratio, "sample": name, "n": len(chosen[name])}
        | metrics.summarise(
            row | readers.differences(reader, row, scores.get((readers.EXACT, ratio, name))), options.seed
        )
        for (reader, ratio, name), row in scores.items()
    ]


def _held(made: readers.Made | None) -> dict[str, metrics.Pair]:
    """Bytes of a memory ÷ its positions, and tokens among them ÷ positions; nothing for pruned caches."""
    if isinstance(made, ResidualMemory):
        positions = float(made.length)
        return {"bytes": (float(made.nbytes), positions), "raw_share": (float(made.tokens), positions)}
    return {"bytes": (float(made.nbytes), float(made.slots))} if isinstance(made, KVMemory) else {}


def _scores(subject: Subject, ids: Sequence[int], out: Sequence[int], hits: Tensor) -> dict[str, metrics.Pair]:
    reference, output = (batches.decode(subject.ccf, tokens) for tokens in (ids, out))
    return {
        "rouge_l": (metrics.rouge_l(ids, out), 1.0),
        "exact_token": (metrics.exact_token(ids, out), 1.0),
        "digit_recall": metrics.digit_recall(reference, output),
        "capital_recall": metrics.capital_recall(reference, output),
        "teacher_forced": (hits.float().mean().item(), 1.0),
    }
