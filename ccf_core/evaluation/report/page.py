"""``python -m ccf_core report``: write results of ``evaluate`` as one page of Markdown with figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.report import figure, heatmap
from ccf_core.evaluation.rows import EvaluationError
from ccf_core.evaluation.tasks import TASKS

Result = dict[str, Any]

#: Metrics that are no shares: (what they are multiplied with, digits that are shown).
UNITS = {"nats": (1, 3), "perplexity": (1, 2), "bytes": (1, 0)}
#: Columns that say what a row is about, in this order.
KEYS = ("reader", "ratio", "sample", "source", "k", "length", "depth", "n", "documents", "cut", "unanswerable")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", help="JSON that evaluate wrote")
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write; figures go to images/ beside it")


def main(args: argparse.Namespace) -> dict:
    """Write the page and its figures; return the names of the files. EvaluationError for a file that is no result."""
    results = {file.stem: read_result(file) for file in args.files}
    if len(results) < len(args.files):
        raise EvaluationError("Two of the files have one name: rename one of them.")
    folder: Path = args.out.parent
    figures: dict[str, list[str]] = {}
    for name, result in results.items():
        for suffix, drawn in (("", drawing(result)), ("-map", heat_map(result))):
            if drawn:
                path = f"images/{args.out.stem}-{name}{suffix}.svg"
                (folder / "images").mkdir(exist_ok=True)
                (folder / path).write_text(drawn, encoding="utf-8")
                figures.setdefault(name, []).append(path)
    args.out.write_text(page(results, figures), encoding="utf-8")
    return {"written": [args.out.name, *(path for paths in figures.values() for path in paths)]}


def read_result(file: Path) -> Result:
    """Read JSON that evaluate wrote. Raises EvaluationError for a file that holds no result."""
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file.name} is not readable as JSON: give files that evaluate wrote.") from error
    if not isinstance(result, dict) or result.get("task") not in TASKS or not isinstance(result.get("rows"), list):
        raise EvaluationError(f"{file.name} holds no result: give files that evaluate wrote.")
    return result


def page(results: dict[str, Result], figures: dict[str, list[str]]) -> str:
    """Write a page of every result, in the order of the tasks; ``figures`` are paths by the results' names."""
    order = list(TASKS)
    parts = [
        "# Results",
        "Written by `python -m ccf_core report` from the JSON that `python -m ccf_core evaluate` printed. "
        "Shares are in %, losses in nats, times in seconds; the brackets hold a 95% interval, a bootstrap over rows.",
    ]
    for name, result in sorted(results.items(), key=lambda item: (order.index(item[1]["task"]), item[0])):
        title = result["task"] if name == result["task"] else f"{result['task']}: {name}"
        images = [f"![{title}]({path})" for path in figures.get(name, [])]
        parts += [f"## {title}", *images, markdown(result).rstrip()]
    return "\n\n".join(parts) + "\n"


def markdown(result: Result) -> str:
    """Write what was measured, on what and how, and a table of the result's rows."""
    half = f", half {result['half']}" if result.get("half") else ""
    dtype_note = f", memories held as {result['memory_dtype']}" if _one_dtype(result) else ""
    about = (
        f"Data: `{result['data']['name']}`{half}; n = {result['n']}, seed {result['seed']}. "
        f"Adapter `{result['adapter'][:12]}` on {result['base']['id']}, {result['dtype']}{dtype_note}, greedy; "
        f"{result['device']}, {result['seconds']} s."
    )
    return (
        "\n\n".join(
            [TASKS[result["task"]].ABOUT, about, f"```bash\n{result['command']}\n```", table(_pivoted(result["rows"]))]
        )
        + "\n"
    )


def _one_dtype(result: Result) -> bool:
    """Tell whether one dtype holds for all memories: not if every reader has a dtype of its own."""
    names = {row.get("reader") for row in result["rows"]}
    return bool(result.get("memory_dtype")) and not all(n in READERS and READERS[n].memory_dtype for n in names)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write result rows as Markdown; a column for each key and metric that any row has."""
    keys = [key for key in KEYS if any(row.get(key) is not None for row in rows)]
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    words = ("reader", "sample", "source")
    lines = [[*keys, *names], ["---" if column in words else "---:" for column in (*keys, *names)]]
    for row in rows:
        cells = [_cell(key, row.get(key)) for key in keys]
        lines.append(cells + [_score(name, row["metrics"].get(name), row["ci95"].get(name)) for name in names])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    return {"ratio": f"{value}x", "cut": f"{value:.0%}" if key == "cut" else ""}.get(key, str(value))


def _score(name: str, value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return ""
    if name.endswith("_bytes"):
        return f"{value:,.0f}"
    scale, digits = UNITS.get(name, (1, 4) if name.endswith("_s") else (100, 1))
    shown = f"{scale * value:.{digits}f}"
    if interval:
        shown += f" [{scale * interval[0]:.{digits}f}, {scale * interval[1]:.{digits}f}]"
    return shown


def _pivoted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge rows of one reader, ratio and length at several depths into one with a column for each depth."""
    result: dict[tuple, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        if "depth" not in row:
            result[number,] = row
            continue
        whole = {key: row[key] for key in ("reader", "ratio", "length")}
        merged = result.setdefault(tuple(whole.values()), {**whole, "n": 0, "metrics": {}, "ci95": {}})
        label = "all depths" if row["depth"] == "all" else f"depth {row['depth']:g}"
        merged["n"] = max(merged["n"], row["n"])
        merged["metrics"][label] = row["metrics"]["hit"]
        if row["depth"] == "all":
            merged["ci95"][label] = row["ci95"]["hit"]
    return list(result.values())


def drawing(result: Result) -> str:
    """Draw the main metric against the ratio as SVG; "" if it is no share or of a single ratio."""
    task = TASKS[result["task"]]
    if task.METRIC in UNITS:
        return ""
    metric, label, wanted, split = task.METRIC, task.LABEL, task.DRAWN, getattr(task, "LINES", "")
    rows = [
        row
        for row in result["rows"]
        if metric in row["metrics"] and all(row.get(key) == value for key, value in wanted.items())
    ]
    lines: dict[str, list[figure.Point]] = {}
    for row in rows:
        if row["ratio"]:
            name = f"{row['reader']}, {_part(split, row[split])}" if split else row["reader"]
            point = figure.Point(row["ratio"], row["metrics"][metric], *row["ci95"][metric])
            lines.setdefault(name, []).append(point)
    # What full context keeps of itself is no news.
    levels = [] if split else [figure.Level(row["reader"], row["metrics"][metric]) for row in rows if not row["ratio"]]
    if not lines or max(map(len, lines.values())) < 2:
        return ""
    title = f"{label} against ratio: {result['task']}, {result['data']['name']}"
    return figure.svg(title, label, [figure.Line(name, points) for name, points in lines.items()], levels)


def _part(key: str, value: Any) -> str:
    return f"segment {value}" if key == "k" else {"full": "full segments"}.get(value, str(value))


def heat_map(result: Result) -> str:
    """Draw shares over length and depth as SVG, a panel for each reader and ratio; "" if the rows have no depths."""
    panels: dict[str, dict[tuple[str, str], float]] = {}
    lengths, depths = set(), set()
    for row in result["rows"]:
        length, depth = row.get("length", "all"), row.get("depth", "all")
        if "all" not in (length, depth):
            name = f"{row['reader']} at {row['ratio']}x" if row["ratio"] else row["reader"]
            panels.setdefault(name, {})[_thousands(length), f"{depth:.0%}"] = row["metrics"]["hit"]
            lengths.add(length)
            depths.add(depth)
    if not panels:
        return ""
    return heatmap.svg(
        f"Needles found, %: {result['data']['name']}",
        "tokens of the document",
        "depth",
        [_thousands(length) for length in sorted(lengths)],
        [f"{depth:.0%}" for depth in sorted(depths)],
        [heatmap.Panel(name, cells) for name, cells in panels.items()],
    )


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:g}k" if tokens >= 1000 else str(tokens)
