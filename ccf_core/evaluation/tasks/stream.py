"""Measure the perplexity of long texts that are read in chunks, as the CCF paper does (arXiv 2509.09199).

Of all earlier chunks the decoder sees what a reader keeps, of its own chunk the tokens. A chunk's loss does not depend
on where the text is cut after it, so every text is scored once, for all lengths.
"""

from __future__ import annotations

import math
from itertools import groupby

from ccf_core import metrics
from ccf_core.answering import batching
from ccf_core.errors import NothingToCompress
from ccf_core.evaluation.memories import compress_all
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import Setting, readings, settings
from ccf_core.evaluation.rows import EvaluationError, Row, source_of, stratified
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory.segments import Segmented
from ccf_core.readers.base import Question, Reading

ABOUT = (
    "Texts are cut at a length and read in chunks of four segments, 1,024 tokens: of all earlier chunks the decoder "
    "sees what the reader keeps of them, of its own chunk the tokens. `perplexity`: mean over texts of exp(nats a "
    "token); `nats`: mean over tokens; lower is better. `full`, `base_full`: where the text fits the window."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
#: ``base_…`` are the same by the untouched base.
READERS = (
    *("memory", "mean_pool", "full", "truncated", "sink_recent", "none", "base_full", "base_sink_recent"),
    *("truncated_int8", "truncated_int4", "truncated_int2"),
)
METRIC, LABEL, SHORT_LABEL, COUNTED = "perplexity", "perplexity", "perplexity", "texts"
#: A perplexity is no share, so no figure is drawn.
DRAWN = MAIN = {"length": 4096}
LENGTHS = (4096, 8192, 16384, 32768)
#: Segments of a chunk.
CHUNK = 4

#: Nats of a text's chunks, each with its tokens, by setting.
Losses = dict[Setting, list[metrics.Pair]]


def texts(subject: Subject, rows: list[Row], options: Options) -> dict[int, list[Segmented]]:
    """Choose for each length the texts that have so many tokens, at most ``limit``, spread evenly over sources.

    EvaluationError for a length that is no whole number of chunks, or of less than two; if all texts are too short.
    """
    lengths, chunk = options.lengths or LENGTHS, CHUNK * subject.ccf.config.segment_length
    for length in lengths:
        if length % chunk or length < 2 * chunk:
            raise EvaluationError(
                f"--lengths {length} cannot be streamed: give multiples of {chunk} from {2 * chunk} on."
            )
    found: list[tuple[str, Segmented]] = []
    for row in rows:
        try:
            found.append((source_of(row), subject.ccf.segment(row["text"])))
        except NothingToCompress:
            continue
    chosen = {}
    for length in lengths:
        enough = [(source, text) for source, text in found if len(text.input_ids) >= length]
        drawn = stratified(enough, lambda text: text[0], options.limit, options.seed)
        chosen[length] = [text for _, text in drawn]
    if not any(chosen.values()):
        raise EvaluationError(f"No text has {min(lengths)} tokens: give longer ones or smaller --lengths.")
    return chosen


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (texts, result rows): ``perplexity`` and ``nats`` for each length, reader and ratio.

    Every chunk's first token is given, so that each reader is scored on the same ones; before the first chunk there is
    nothing to read. A length without a text has no rows.
    """
    chosen = texts(subject, rows, options)
    furthest = {text: length for length in sorted(chosen) for text in chosen[length]}
    losses: dict[Segmented, Losses] = {}
    for text, length in furthest.items():
        options.report(f"text {len(losses) + 1} of {len(furthest)}: {length} tokens")
        losses[text] = measure(subject, beginning(text, length), options)
    result = []
    for length, of_length in chosen.items():
        chunks = length // (CHUNK * subject.ccf.config.segment_length)
        for reader, ratio in settings(READERS, options, subject) if of_length else ():
            pairs = [losses[text][reader, ratio][:chunks] for text in of_length]
            if min(map(len, pairs)) == chunks:
                nats = [(sum(loss for loss, _ in text), sum(tokens for _, tokens in text)) for text in pairs]
                scores = {"perplexity": [(math.exp(loss / tokens), 1.0) for loss, tokens in nats], "nats": nats}
                facts = {"reader": reader, "ratio": ratio, "length": length, "n": len(nats)}
                result.append(facts | metrics.summarise(scores, options.seed))
    return len(furthest), result


def beginning(text: Segmented, tokens: int) -> Segmented:
    """Cut a text to its first tokens, a whole number of segments."""
    return Segmented(text.sha256, text.input_ids[:tokens], tuple(span for span in text.spans if span.end <= tokens))


def measure(subject: Subject, text: Segmented, options: Options) -> Losses:
    """Score every chunk of a text with every reader; one of all text only as far as its window goes."""
    ccf, chunk = subject.ccf, CHUNK * subject.ccf.config.segment_length
    chosen = settings(READERS, options, subject)
    memory = None
    if ccf.config.nested and any(ALL_READERS[reader].reads_slots for reader, _ in chosen):
        (memory,) = compress_all(ccf, [text], min(options.ratios), options.memory_dtype, options.report)
    losses: Losses = {}
    for reader, of_reader in groupby(chosen, lambda setting: setting[0]):
        window = ccf.decoder.window if ALL_READERS[reader].whole_text else len(text.input_ids)
        starts = range(0, min(window, len(text.input_ids)) - chunk + 1, chunk)
        own = [text.input_ids[start : start + chunk] for start in starts]
        earlier = []
        for start, ids in zip(starts[1:], own[1:], strict=True):
            # A mean-pooled memory serves one ratio: those of its chunks are made when they are read.
            past = memory.select(range(start // ccf.config.segment_length)) if memory else None
            earlier.append(Question(ids[:1], beginning(text, start), chunk - 1, past, window=ccf.decoder.window))
        for ratio, read in readings(subject, reader, [ratio for _, ratio in of_reader], earlier, options):
            requests = [r.request(ids[:1], target=ids[1:]) for r, ids in zip([Reading(), *read], own, strict=True)]
            scored = batching.score(subject.decoder(reader), requests, options.report, rows=options.batch_size)
            losses[reader, ratio] = [(-float(logprobs.sum()), float(len(logprobs))) for logprobs, _ in scored]
    return losses
