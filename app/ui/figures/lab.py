"""Make the figures of the Lab from evaluation results, each with its definition. Reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.ui.figures.rate_curves import STYLE, Level, Own, Result, curve, heat_map, level, ratio_figure, rows_of
from ccf_core.evaluation.tasks import TASKS

#: Results by the name of their file.
Results = Mapping[str, Result]

PRUNED = ("repeat_attention", "sink_recent", "key_norm", "random")
#: Below this share of the gain a baseline is worse than no context by so much that it would flatten the figure.
WORST_GAIN = -0.25
BARS = "Bars are 95% bootstrap intervals."
#: Said wherever the curve of mean pooling is drawn.
POOLED = (
    "Mean pooling: an adapter of its own, not shipped, that went on from the adapter before this one, its gain by its "
    "own decoder; its slots are means over blocks of text; a memory of it serves one ratio, where one of slots serves "
    "them all. "
)


@dataclass(frozen=True)
class Chart:
    """A figure with its heading and, in one line, what it shows of what."""

    title: str
    definition: str
    figure: go.Figure


def charts(results: Results, own: Own | None = None, pooled: Results | None = None) -> dict[str, Chart]:
    """Make the figures that the results allow, by key; ``own`` are (segment, ROUGE-L) of a document by ratio.

    ``pooled`` are results of mean pooling, drawn where they were measured on the same base and data.
    """
    beside = {name: result for name, result in (pooled or {}).items() if _alike(result, results.get(name))}
    made = {
        "reconstruction": _reconstruction(results, own or {}, beside),
        "questions": _questions(results, "qa", "Answers about a passage: F1 against ratio", beside),
        "long": _questions(results, "longqa", "Answers about a long document: F1 against ratio", beside),
        "gain": _gain(results, beside),
        "needle": _needle(results),
        "evidence": _evidence(results),
    }
    return {key: chart for key, chart in made.items() if chart}


def _reconstruction(results: Results, own: Own, pooled: Results) -> Chart | None:
    result = results.get("reconstruct")
    if not result and not any(own.values()):
        return None
    curves = [
        curve(f"{metric}-{sample}", result, metric, reader="memory", sample=sample)
        for metric in ("rouge_l", "digit_recall")
        for sample in ("full", "tails")
    ]
    curves.append(curve("mean_pool", pooled.get("reconstruct"), "rouge_l", reader="mean_pool", sample="full"))
    definition = (
        "ROUGE-L: longest common subsequence of tokens ÷ tokens of the segment. Digit recall: share of the text's runs "
        "of digits that are found again. Tails: the last segment of a document, of 1 to 255 tokens. "
        + (POOLED if "reconstruct" in pooled else "")
        + (f"{_source(result, 'segments a point', sample='full')}. {BARS}" if result else "")
    )
    return Chart("Reconstruction against ratio", definition, ratio_figure(curves, [], own, "share kept"))


def _questions(results: Results, name: str, title: str, pooled: Results) -> Chart | None:
    result, baselines = results.get(name), results.get(f"{name}-baselines")
    if not result:
        return None
    task = TASKS[name]
    curves = [curve(reader, result, task.METRIC, reader=reader, **task.MAIN) for reader in ("memory", "truncated")]
    curves += [curve(reader, baselines, task.METRIC, reader=reader, **task.MAIN) for reader in PRUNED]
    curves.append(curve("mean_pool", pooled.get(name), task.METRIC, reader="mean_pool", **task.MAIN))
    levels = level("full context", result, task.METRIC, reader="full", **task.MAIN)
    levels += level("no document", result, task.METRIC, below=True, reader="none", **task.MAIN)
    pruned = f" Pruned caches keep a vector for each slot: {_source(baselines, task.COUNTED)}." if baselines else ""
    definition = (
        "F1: overlap of words with the best reference answer, over questions that have a short one. Truncated text: "
        "the first tokens that fit the bytes of the memory at that ratio. "
        f"{POOLED if name in pooled else ''}{_source(result, task.COUNTED)}.{pruned} {BARS}"
    )
    return Chart(title, definition, ratio_figure(curves, levels, {}, task.LABEL))


def _gain(results: Results, pooled: Results) -> Chart | None:
    result, baselines = results.get("perplexity"), results.get("perplexity-baselines")
    if not result:
        return None
    task = TASKS["perplexity"]
    curves = [curve("memory", result, task.METRIC, reader="memory", **task.MAIN)]
    curves += [curve("memory-16", result, task.METRIC, reader="memory", k=16)]
    curves.append(curve("mean_pool", pooled.get("perplexity"), task.METRIC, reader="mean_pool", **task.MAIN))
    pruned = [curve(reader, baselines, task.METRIC, reader=reader, **task.MAIN) for reader in PRUNED]
    far = [one for one in pruned if one.points and min(p.value for p in one.points) < WORST_GAIN]
    left_out = "".join(
        f" Left out for being far below: {STYLE[one.style][0]} ({', '.join(f'{p.value:.2f}' for p in one.points)})."
        for one in far
    )
    levels = [Level("full context", 1.0), Level("no context", 0.0, below=True)]
    definition = (
        "Gain kept: (nats without context minus nats with memory) ÷ (nats without minus nats with full context), on "
        "the segment after 4 segments of context, or after 16. "
        f"{POOLED if 'perplexity' in pooled else ''}"
        f"{_source(result, task.COUNTED, 'teacher-forced', **task.MAIN)}.{left_out} {BARS}"
    )
    shown = [one for one in [*curves, *pruned] if one not in far]
    return Chart("Gain of the context kept, against ratio", definition, ratio_figure(shown, levels, {}, task.LABEL))


def _needle(results: Results) -> Chart | None:
    result = results.get("needle")
    if not result:
        return None
    left_out = ("truncated", "yardstick_full")
    rows = [row for row in rows_of(result, depth="all") if row["length"] != "all" and row["reader"] not in left_out]
    lengths = sorted({row["length"] for row in rows})
    names = list(dict.fromkeys(_reader(row) for row in sorted(rows, key=_by_memory)))
    hits = {(_reader(row), row["length"]): row["metrics"]["hit"] for row in rows}
    shares = [[hits.get((name, length)) for length in lengths] for name in names]
    figure = heat_map([f"{length:,}" for length in lengths], names, shares, "tokens of the document")
    definition = (
        "Share of answers that hold the five digits hidden in one sentence of a document of that length, over all "
        f"depths. {_source(result, 'needles a cell', depth='all')}."
    )
    return Chart("Needle found, by length and ratio", definition, figure)


def _evidence(results: Results) -> Chart | None:
    result = results.get("evidence")
    if not result:
        return None
    task = TASKS["evidence"]
    levels = level("BM25", result, task.METRIC, reader="bm25", **task.MAIN)
    levels += level("chance", result, task.METRIC, reader="chance", **task.MAIN)
    shown = [curve("memory", result, task.METRIC, reader="memory", **task.MAIN)]
    definition = (
        "Share of questions whose segment with the answer is among the three that the answer's attention weighs most, "
        f"on joined documents; BM25 ranks the segments by the question's words. {_source(result, task.COUNTED)}. {BARS}"
    )
    figure = ratio_figure(shown, levels, {}, "gold segment in the top 3")
    figure.update_yaxes(range=[0, 1.08])
    return Chart("Evidence in the top three, against ratio", definition, figure)


def _alike(one: Result, other: Result | None) -> bool:
    """Tell whether two results can share a figure: the same task on the same base, data and half."""
    return other is not None and all(one.get(key) == other.get(key) for key in ("task", "base", "data", "half"))


def _source(result: Result, what: str, decoding: str = "", **where: Any) -> str:
    """Say what was measured: data, half, count, decoding and dtype."""
    row = rows_of(result, **where)[0]
    count = row["n"] - row.get("unanswerable", 0)
    how = f"{decoding or result['decoding']}, {result['dtype']}"
    return f"{result['data']['name']}, half {result['half']}, {count} {what}, {how}"


def _reader(row: Result) -> str:
    names = {"memory": f"memory {row['ratio']}x", "full": "full context", "none": "no document"}
    return names.get(row["reader"]) or str(row["reader"])


def _by_memory(row: Result) -> tuple[bool, int]:
    return row["reader"] != "full", row["ratio"] or (0 if row["reader"] == "full" else 1000)
