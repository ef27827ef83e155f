"""Measure the loss on the k-th segment of a text after what a reader keeps of the k - 1 before it."""

from __future__ import annotations

from itertools import groupby

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import Setting, readings, settings
from ccf_core.evaluation.rows import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory.segments import Segmented
from ccf_core.readers.base import Question, Reader
from ccf_core.readers.text import Full, NoDocument

ABOUT = (
    "Loss in nats a token on the k-th segment of a text, given what the reader keeps of the k - 1 before it. "
    "`gain_kept` is (none - memory) ÷ (none - full), each by the best that was measured of "
    "the adapted decoder, the untouched base and the yardstick reader, which was trained on full text alone."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
#: ``base_…`` are the same by the untouched base, ``yardstick_…`` by the yardstick reader.
READERS = (
    *("memory", "mean_pool", "full", "none", "base_full", "base_none", "yardstick_full", "yardstick_none"),
    *("full_int8", "full_int4", "full_int2", "truncated_int8", "truncated_int4", "truncated_int2"),
    *("graded", "sink_recent", "random", "key_norm", "repeat_attention"),
)
METRIC, LABEL, SHORT_LABEL, COUNTED = "gain_kept", "gain kept", "gain kept", "texts"
DRAWN: dict[str, object] = {}
LINES, MAIN = "k", {"k": 4}

Nats = dict[Setting, list[metrics.Pair]]
#: (source, k - 1 segments as a document, the k-th segment)
Window = tuple[str, Segmented, tuple[int, ...]]


def windows(subject: Subject, rows: list[Row], options: Options, k: int) -> list[Window]:
    """Cut documents every k whole segments, at most ``limit`` windows, spread evenly over sources.

    EvaluationError if a reader could not see all k segments, or has none to remember.
    """
    length, window = subject.ccf.config.segment_length, subject.ccf.decoder.window
    if not 1 < k <= window // length:
        raise EvaluationError(f"--k {k} cannot be measured: choose from 2 to {window // length} segments of {length}.")
    found = []
    for row in rows:
        try:
            ids = subject.ccf.segment(row["text"]).input_ids
        except NothingToCompress:
            continue
        for start in range(0, len(ids) - k * length + 1, k * length):
            target = start + (k - 1) * length
            found.append((source_of(row), subject.ccf.segment(ids[start:target]), ids[target : target + length]))
    return stratified(found, lambda window: window[0], options.limit, options.seed)


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (windows, result rows): ``nats`` a token and ``gain_kept`` for each k, reader and ratio.

    The segment's first token is given, so that every reader is scored on the same ones. ``gain_kept`` is
    (none - memory) ÷ (none - full), either the lowest one of all decoders. A k longer than every text has no rows.
    """
    chosen = {k: windows(subject, rows, options, k) for k in options.k}
    if not any(chosen.values()):
        raise EvaluationError(f"No text is {min(options.k)} segments long: give longer documents or a smaller --k.")
    result = []
    for k, found in chosen.items():
        options.report(f"k = {k}: {len(found)} windows")
        nats = _measure(subject, found, options) if found else {}
        result += [
            {"reader": reader, "ratio": ratio, "k": k, "n": len(found)}
            | metrics.summarise({"nats": pairs, "gain_kept": _gain_kept(nats, pairs)}, options.seed)
            for (reader, ratio), pairs in nats.items()
        ]
    return sum(map(len, chosen.values())), result


def _measure(subject: Subject, chosen: list[Window], options: Options) -> Nats:
    window, afters = subject.ccf.decoder.window, [after for _, _, after in chosen]
    questions = [Question(after[:1], before, len(after) - 1, window=window) for _, before, after in chosen]
    nats: Nats = {}
    for reader, of_reader in groupby(settings(READERS, options, subject), lambda s: s[0]):
        for ratio, read in readings(subject, reader, [ratio for _, ratio in of_reader], questions, options):
            requests = [r.request(after[:1], target=after[1:]) for r, after in zip(read, afters, strict=True)]
            scored = batching.score(subject.decoder(reader), requests, options.report, rows=options.batch_size)
            nats[reader, ratio] = [(-float(logprobs.sum()), float(len(logprobs))) for logprobs, _ in scored]
    return nats


def _gain_kept(nats: Nats, pairs: list[metrics.Pair]) -> list[metrics.Pair]:
    def best(kind: type[Reader]) -> list[metrics.Pair]:
        measured = [of_reader for (name, _), of_reader in nats.items() if issubclass(ALL_READERS[name], kind)]
        return min(measured, key=lambda p: metrics.pooled(p) or 0.0, default=[])

    return [
        (without - loss, without - full)
        for (loss, _), (without, _), (full, _) in zip(pairs, best(NoDocument), best(Full), strict=False)
    ]
