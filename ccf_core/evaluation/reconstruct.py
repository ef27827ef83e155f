"""Segments from their own slots alone: exactly as many tokens, greedily; and teacher-forced."""

from __future__ import annotations

from functools import partial

from ccf_core.errors import NothingToCompress
from ccf_core.evaluation import batches, metrics
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.segment import Segmented

ABOUT = (
    "Segments are written again from their own slots alone, greedily, as many tokens as they have. `rouge_l`: "
    "longest common subsequence of token ids ÷ tokens; `exact_token`: equal positions; `digit_recall`, "
    "`capital_recall`: numbers, and words with a capital inside a sentence, found again; `teacher_forced`: next-token "
    "accuracy given the true tokens before. `full` are whole segments, `tails` shorter last ones."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
READERS = ("memory",)
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
    """(segments measured, result rows): one row for each ratio and sample."""
    chosen = samples(subject, rows, options)
    everything = [(name, segment) for name, found in chosen.items() for _, segment in found]
    if not everything:
        raise EvaluationError("The texts hold no tokens: give rows with text.")
    ccf, report = subject.ccf, options.report
    memories = batches.compress_all(
        ccf, [segment for _, segment in everything], min(options.ratios), options.memory_dtype, report
    )
    measured = [(ratio, i) for ratio in options.ratios for i in range(len(everything))]
    jobs = []
    for ratio, i in measured:
        memory, ids = memories[i].at(ratio), everything[i][1].input_ids
        read = partial(ccf.decoder.prefix, memory)
        jobs.append(Job([ccf.config.repeat_token], len(ids), ids, read, memory.slots))
    written = batches.generate(ccf.decoder, jobs, report, rows=options.batch_size, exactly=True)
    forced = batches.score(ccf.decoder, jobs, report, rows=options.batch_size)

    scores: dict[tuple[int, str], dict[str, list[metrics.Pair]]] = {}
    for (ratio, i), out, (_, hits) in zip(measured, written, forced, strict=True):
        name, segment = everything[i]
        reference, output = (batches.decode(ccf, ids) for ids in (segment.input_ids, out))
        row = {
            "rouge_l": (metrics.rouge_l(segment.input_ids, out), 1.0),
            "exact_token": (metrics.exact_token(segment.input_ids, out), 1.0),
            "digit_recall": metrics.digit_recall(reference, output),
            "capital_recall": metrics.capital_recall(reference, output),
            "teacher_forced": (hits.float().mean().item(), 1.0),
        }
        for metric, pair in row.items():
            scores.setdefault((ratio, name), {}).setdefault(metric, []).append(pair)
    return len(everything), [
        {"reader": "memory", "ratio": ratio, "sample": name, "n": len(chosen[name])}
        | metrics.summarise(row, options.seed)
        for (ratio, name), row in scores.items()
    ]
