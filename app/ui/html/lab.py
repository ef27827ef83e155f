"""Make the HTML of the Lab: headings with definitions, progress, runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from app.analysis.results import Measured
from app.analysis.savings import Timed
from app.ui.figures.lab import Chart
from app.ui.figures.rate_curves import STYLE, rows_of
from app.ui.format import counted, minute
from app.ui.html import elements
from app.ui.html.elements import note, notice
from app.ui.html.escape import escape
from ccf_core.evaluation.tasks import TASKS
from store import Run

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
    """Say which adapter the curves are of, or plainly that there are none."""
    if not model:
        return note("The curves appear when the model is loaded.")
    if not found:
        return notice(
            "info",
            f"No results are shipped for the adapter in use ({model[:12]}): its curves have not been measured. "
            "A document of your own can be measured below.",
        )
    return note(
        f"Measured beforehand with the adapter in use ({model[:12]}), read from the {found} results files that carry "
        "its fingerprint. Half B: the half of the documents on which nothing was tuned. Whatever else is on this page "
        "is measured here, when you ask for it."
    )


def heading(chart: Chart) -> str:
    """Make a figure's heading, with its definition on hover."""
    return f'<h3 class="lab-title" title="{escape(chart.definition)}">{escape(chart.title)}</h3>'


def definition(chart: Chart) -> str:
    """Make the definition under a figure."""
    return note(chart.definition)


def progress(title: str, measured: Measured) -> str:
    """Say how far the measurement of the document of that title is, and its means until now."""
    scores = [(ratio, fmean(score for _, score in found)) for ratio, found in measured.scores.items() if found]
    means = "".join(f"<div><dt>ROUGE-L at {ratio}x</dt><dd>{mean:.3f}</dd></div>" for ratio, mean in scores)
    going = measured.done < measured.total
    said = f"{'Measuring' if going else 'Measured'} “{title}”: {measured.done} of {measured.total} reconstructions"
    line = elements.progress(said, "Measuring", measured.done / measured.total) if going else note(said, status=True)
    return line + (
        f'<dl class="wb-cost" title="mean ROUGE-L of the segments measured so far">{means}</dl>' if means else ""
    )


def runs(own: Sequence[tuple[Run, str]], shipped: Mapping[str, Mapping[str, Any]]) -> str:
    """List what was measured here, with the document's title, and what was shipped."""
    rows = [
        (minute(run.created_at), *_evaluated(run.kind, run.config | run.results))
        if "task" in run.config
        else (
            minute(run.created_at),
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
        return note("Nothing was measured yet.")
    head = "".join(f'<th scope="col" title="{means}">{name}</th>' for name, means in HEADS)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="wb-scroll" tabindex="0" role="region" aria-label="Runs"><table class="wb-table lab-runs">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _evaluated(name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    """Make the cells of a result of ``python -m ccf_core evaluate``."""
    task = TASKS.get(result["task"])
    return (
        f"{name}\n{result['data']['name']}, half {result['half']}",
        f"{result['n']:,} {task.COUNTED if task else 'rows'}",
        f"{result['device']}\n{result['dtype']}",
        str(result["adapter"])[:8],
        " · ".join([*filter(None, [main_scores(result)]), f"{result['seconds']:.0f} s"]),
    )


def main_scores(result: Mapping[str, Any]) -> str:
    """Say a result's main score at every ratio: of memories, or (without them) of the best reader by its mean.

    Of a result without ratios, the F1 of every reader.
    """
    task = TASKS.get(result["task"])
    name, metric, where = (task.SHORT_LABEL, task.METRIC, task.MAIN) if task else ("", "", {})
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
    """Name a reader as figures do."""
    return STYLE[reader][0] if reader in STYLE else reader.replace("_", " ")


def _count(run: Run) -> str:
    points = run.results.get("points")
    return counted(points[-1]["tokens"], "token") if points else counted(len(run.config.get("segments", [])), "segment")


def _outcome(results: Mapping[str, Any]) -> str:
    if results.get("points"):
        timed = Timed(**results["points"][-1])
        pays = f"paid for after {timed.pays_after}" if timed.pays_after else "never paid for"
        return f"first token {timed.memory_s:.2f} s, full context {timed.full_s:.2f} s · {pays}"
    scores = results.get("rouge_l")
    told = ", ".join(f"{ratio} {score:.3f}" for ratio, score in scores.items()) if isinstance(scores, dict) else ""
    seconds = f"{results['seconds']:.0f} s" if "seconds" in results else ""
    return " · ".join(part for part in (f"ROUGE-L {told}" if told else "", seconds) if part)
