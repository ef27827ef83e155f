"""Write segments again from what a reader keeps of them: greedily, as many tokens; and teacher-forced."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation.memories import single_segment
from ccf_core.evaluation.readers.base import Scores, readings, settings
from ccf_core.evaluation.readers.memory import EXACT, differences
from ccf_core.evaluation.rows import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory.segments import Segmented
from ccf_core.readers.base import Question, Reading

ABOUT = (
    "Segments are written again from their own slots alone, greedily, as many tokens as they have. `rouge_l`: "
    "longest common subsequence of token ids ÷ tokens; `exact_token`: equal positions; `digit_recall`, "
    "`capital_recall`: numbers, and words with a capital inside a sentence, found again; `exact_segment`: all tokens "
    "equal. `teacher_forced`: next-token accuracy given the true tokens before; `rouge_l_forced`, `bleu_4_forced`: of "
    "these tokens. `full` are whole segments, `tails` shorter last ones."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
READERS = (
    *("memory", "mean_pool", "memory_bfloat16", "memory_int8", "memory_int4"),
    *("sink_recent", "random", "key_norm", "repeat_attention"),
)
METRIC, LABEL, SHORT_LABEL, COUNTED = "rouge_l", "ROUGE-L", "ROUGE-L", "segments"
DRAWN: dict[str, object] = {}
LINES, MAIN = "sample", {"sample": "full"}
SAMPLES = ("full", "tails")

Sample = tuple[str, Segmented]


def samples(subject: Subject, rows: list[Row], options: Options) -> dict[str, list[Sample]]:
    """Sample (source, segment) of ``full`` segments, and of ``tails``: last segments of documents, if shorter.

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
            found[name].append((source_of(row), single_segment(document, index)))
    return {
        name: stratified(all_of, lambda sample: sample[0], options.limit, options.seed)
        for name, all_of in found.items()
    }


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (segments, result rows): one row for each reader, ratio and sample. Raises AdapterNeeded without one."""
    subject.ccf.config.check_trained("A reconstruction")
    chosen = samples(subject, rows, options)
    everything = [(name, segment) for name, found in chosen.items() for _, segment in found]
    if not everything:
        raise EvaluationError("The texts hold no tokens: give rows with text.")
    prompt = [subject.ccf.config.repeat_token]
    questions = [Question(prompt, segment, len(segment.input_ids)) for _, segment in everything]
    scores: dict[tuple[str, int | None, str], Scores] = {}
    for reader, of_reader in groupby(settings(READERS, options, subject), lambda s: s[0]):
        decoder, ratios = subject.repeater(reader), [ratio for _, ratio in of_reader]
        measured = [
            (ratio, name, segment.input_ids, reading)
            for ratio, read in readings(subject, reader, ratios, questions, options)
            for (name, segment), reading in zip(everything, read, strict=True)
        ]
        requests = [reading.request(prompt, len(ids), ids) for _, _, ids, reading in measured]
        written = batching.generate(decoder, requests, options.report, rows=options.batch_size, exactly=True)
        forced = batching.score(decoder, requests, options.report, rows=options.batch_size)
        for (ratio, name, ids, reading), out, (_, likeliest) in zip(measured, written, forced, strict=True):
            columns = scores.setdefault((reader, ratio, name), {})
            for metric, pair in (_scores(subject, ids, out, likeliest.tolist()) | _slot_bytes(reading)).items():
                columns.setdefault(metric, []).append(pair)
    return len(everything), [
        {"reader": reader, "ratio": ratio, "sample": name, "n": len(chosen[name])}
        | metrics.summarise(columns | differences(reader, columns, scores.get((EXACT, ratio, name))), options.seed)
        for (reader, ratio, name), columns in scores.items()
    ]


def _slot_bytes(reading: Reading) -> dict[str, metrics.Pair]:
    """Divide the bytes of a memory by its slots; nothing for pruned caches."""
    return {"bytes": (float(reading.slots.nbytes), float(reading.slots.slots))} if reading.slots else {}


def _scores(subject: Subject, ids: Sequence[int], out: Sequence[int], forced: Sequence[int]) -> dict[str, metrics.Pair]:
    """Score tokens ``out``, written greedily, and ``forced``, each the likeliest after the true ones before it."""
    reference, output = (subject.text(tokens) for tokens in (ids, out))
    return {
        "rouge_l": (metrics.rouge_l(ids, out), 1.0),
        "exact_token": (metrics.exact_token(ids, out), 1.0),
        "digit_recall": metrics.digit_recall(reference, output),
        "capital_recall": metrics.capital_recall(reference, output),
        "exact_segment": (float(list(ids) == list(out)), 1.0),
        "teacher_forced": (metrics.exact_token(ids, forced), 1.0),
        "rouge_l_forced": (metrics.rouge_l(ids, forced), 1.0),
        "bleu_4_forced": metrics.bleu_4(ids, forced),
    }
