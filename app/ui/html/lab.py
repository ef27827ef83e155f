"""HTML of the Lab: headings with definitions, numbers, runs. Everything goes through ``render.escape``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from app import render
from app.charts import Chart
from app.curves import STYLE, rows_of
from app.measuring import Measured
from app.timing import Timed
from store import Run

#: What a row of each evaluation is.
COUNTED = {"qa": "questions", "longqa": "questions", "evidence": "questions", "peers": "questions",
           "needle": "needles", "perplexity": "texts", "reconstruct": "segments"}  # fmt: skip
#: Task -> the name of its main score, its key, and which rows tell it.
MAIN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "reconstruct": ("ROUGE-L", "rouge_l", {"sample": "full"}),
    "qa": ("F1", "f1", {"source": "all"}),
    "longqa": ("F1", "f1", {"source": "all"}),
    "perplexity": ("gain kept", "gain_kept", {"k": 4}),
    "needle": ("found", "hit", {"length": "all", "depth": "all"}),
    "evidence": ("top 3", "top3", {"source": "all"}),
    "peers": ("F1", "f1", {"source": "all"}),
}
HEADS = (
    ("When (UTC)", "when it was measured here, or that it came with the adapter"),
    ("What", "name of the evaluation (times are those of Savings), and of what: the document, or the file of the "
             "development set and which half of its documents"),
    ("Size", "what was measured"),
    ("On", "device and dtype of the computation"),
    ("Adapter", "first characters of the fingerprint of the adapter"),
    ("Outcome", "the main score by ratio, or times; and seconds that it took"),
)  # fmt: skip


def introduction(model: str, found: int) -> str:
    """Which adapter the curves are of, or plainly that there are none."""
    if not model:
        return '<p class="wb-note">The curves appear when the model is loaded.</p>'
    name = render.escape(model[:12])
    if not found:
        return render.notice(
            "info",
            f"No results are shipped for the adapter in use ({model[:12]}): its curves have not been measured. "
            "A document of your own can be measured below.",
        )
    return (
        f'<p class="wb-note">Measured beforehand with the adapter in use ({name}), read from the {found} results files '
        "that carry its fingerprint. Half B: the half of the documents on which nothing was tuned. Whatever else is on "
        "this page is measured here, when you ask for it.</p>"
    )


def heading(chart: Chart) -> str:
    return f'<h3 class="lab-title" title="{render.escape(chart.definition)}">{render.escape(chart.title)}</h3>'


def definition(chart: Chart) -> str:
    return f'<p class="wb-note">{render.escape(chart.definition)}</p>'


def progress(title: str, measured: Measured) -> str:
    """How far the measurement of the document of that title is, and its means until now."""
    scores = [(ratio, fmean(score for _, score in found)) for ratio, found in measured.scores.items() if found]
    means = "".join(f"<div><dt>ROUGE-L at {ratio}x</dt><dd>{mean:.3f}</dd></div>" for ratio, mean in scores)
    bar = f' <progress max="1" value="{measured.done / measured.total:.3f}" aria-label="Measuring"></progress>'
    going = measured.done < measured.total
    said = f"{'Measuring' if going else 'Measured'} “{title}”: {measured.done} of {measured.total} reconstructions"
    return f'<p class="wb-note" role="status">{render.escape(said)}{bar if going else ""}</p>' + (
        f'<dl class="wb-cost" title="mean ROUGE-L of the segments measured so far">{means}</dl>' if means else ""
    )


def runs(own: Sequence[tuple[Run, str]], shipped: Mapping[str, Mapping[str, Any]]) -> str:
    """What was measured here, with the document's title, and what was shipped."""
    rows = [
        (run.created_at[:16].replace("T", " "), *_evaluated(run.kind, run.config | run.results))
        if "task" in run.config
        else (
            run.created_at[:16].replace("T", " "),
            f"{run.kind}\n{title}",
            _count(run),
            f"{run.config.get('device') or ''}\n{run.config.get('dtype') or ''}".strip(),
            str(run.config.get("adapter") or "")[:8],
            _outcome(run.results),
        )
        for run, title in own
    ]
    rows += [("shipped", *_evaluated(name, result)) for name, result in shipped.items()]
    if not rows:
        return '<p class="wb-note">Nothing was measured yet.</p>'
    head = "".join(f'<th scope="col" title="{means}">{name}</th>' for name, means in HEADS)
    body = "".join("<tr>" + "".join(f"<td>{render.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wb-scroll" tabindex="0" role="region" aria-label="Runs"><table class="wb-table lab-runs">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _evaluated(name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    """Cells of a result of ``python -m ccf_core evaluate``."""
    return (
        f"{name}\n{result['data']['name']}, half {result['half']}",
        f"{result['n']:,} {COUNTED.get(result['task'], 'rows')}",
        f"{result['device']}\n{result['dtype']}",
        str(result["adapter"])[:8],
        " · ".join([*filter(None, [main_scores(result)]), f"{result['seconds']:.0f} s"]),
    )


def main_scores(result: Mapping[str, Any]) -> str:
    """A result's main score at every ratio: of memories, or (without them) of the best reader by its mean.

    Of a result without ratios, the F1 of every reader.
    """
    name, metric, where = MAIN.get(result["task"], ("", "", {}))
    found: dict[str, dict[int, float]] = {}
    for row in rows_of(result, **where):
        if row["ratio"] and metric in row["metrics"]:
            found.setdefault(row["reader"], {})[row["ratio"]] = row["metrics"][metric]
    if not found:
        each = {row["reader"]: row["metrics"] for row in rows_of(result, ratio=None, source="all")}
        told = ", ".join(f"{called(r)} {metrics['f1']:.3f}" for r, metrics in each.items() if "f1" in metrics)
        return told and f"F1 {told}"
    reader = "memory" if "memory" in found else max(found, key=lambda reader: fmean(found[reader].values()))
    told = ", ".join(f"{ratio}x {score:.3f}" for ratio, score in sorted(found[reader].items()))
    best = "" if reader == "memory" else f" ({called(reader)}, the best)"
    return f"{name} {told}{best}"


def called(reader: str) -> str:
    """A reader's name in figures."""
    return STYLE[reader][0] if reader in STYLE else reader.replace("_", " ")


def _count(run: Run) -> str:
    points = run.results.get("points")
    return f"{points[-1]['tokens']:,} tokens" if points else f"{len(run.config.get('segments', []))} segments"


def _outcome(results: Mapping[str, Any]) -> str:
    if results.get("points"):
        timed = Timed(**results["points"][-1])
        pays = f"paid for after {timed.pays_after}" if timed.pays_after else "never paid for"
        return f"first token {timed.memory_s:.2f} s, full context {timed.full_s:.2f} s · {pays}"
    scores = results.get("rouge_l")
    told = ", ".join(f"{ratio} {score:.3f}" for ratio, score in scores.items()) if isinstance(scores, dict) else ""
    seconds = f"{results['seconds']:.0f} s" if "seconds" in results else ""
    return " · ".join(part for part in (f"ROUGE-L {told}" if told else "", seconds) if part)
