"""Nats on the k-th segment, given what the reader keeps of the k - 1 segments before it."""

from __future__ import annotations

from itertools import groupby

from ccf_core.baselines import BASELINES
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation import batches, metrics, readers
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.data import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.segment import Segmented

ABOUT = (
    "Loss in nats a token on the k-th segment of a text, given what the reader keeps of the k - 1 before it. "
    "`gain_kept` is (none - memory) ÷ (none - full), by the better of the adapted decoder and the untouched base."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
#: ``base_…`` are the same by the untouched base.
READERS = ("memory", "mean_pool", "full", "none", "base_full", "base_none", *BASELINES)

Nats = dict[tuple[str, int | None], list[metrics.Pair]]
#: (source, k - 1 segments as a document, the k-th segment)
Window = tuple[str, Segmented, tuple[int, ...]]


def windows(subject: Subject, rows: list[Row], options: Options, k: int) -> list[Window]:
    """Documents cut every k whole segments, at most ``limit`` windows, spread evenly over sources.

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
    """(windows measured, result rows): ``nats`` a token and ``gain_kept`` for each k, reader and ratio.

    The segment's first token is given, so that every reader is scored on the same ones. ``gain_kept`` is
    (none - memory) ÷ (none - full), either the lower one of the adapted decoder and the untouched base. A k
    longer than every text has no rows.
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
    documents = [before for _, before, _ in chosen]
    nats: Nats = {}
    settings = readers.settings(READERS, options, subject.ccf.config.compressor)
    for reader, of_reader in groupby(settings, lambda setting: setting[0]):
        made = readers.prepare(subject, reader, documents, options)
        for _, ratio in of_reader:
            options.report(f"reader {reader}" + (f" at {ratio}x" if ratio else ""))
            jobs = []
            for i, (_, before, after) in enumerate(chosen):
                if ratio:
                    prefix, cached = readers.held(subject, reader, before, made[ratio][i], ratio)
                    jobs.append(Job(after[:1], target=after[1:], prefix=prefix, cached=cached))
                else:
                    text = before.input_ids if reader.endswith("full") else ()
                    jobs.append(Job([*text, *after[:1]], target=after[1:]))
            scored = batches.score(subject.decoder(reader), jobs, options.report, rows=options.batch_size)
            nats[reader, ratio] = [(-float(chances.sum()), float(len(chances))) for chances, _ in scored]
    return nats


def _gain_kept(nats: Nats, pairs: list[metrics.Pair]) -> list[metrics.Pair]:
    def best(name: str) -> list[metrics.Pair]:
        measured = [nats[reader, None] for reader in (name, f"base_{name}") if (reader, None) in nats]
        return min(measured, key=lambda p: metrics.pooled(p) or 0.0, default=[])

    return [
        (nothing - own, nothing - full)
        for (own, _), (nothing, _), (full, _) in zip(pairs, best("none"), best("full"), strict=False)
    ]
