"""What the shipped results say of the adapter in use, as sentences for the foot of the page."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "assets" / "results"


def sentences_for(adapter: str, folder: Path = RESULTS) -> list[str]:
    """A sentence for each task that was measured with the adapter of this fingerprint.

    Only the file named after its task is told: those beside it repeat the task for baselines.
    """
    said = []
    for task, write in _WRITERS.items():
        path = folder / f"{task}.json"
        result = _read(path, path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else {}
        if result.get("adapter") == adapter:
            said.append(f"Measured on {result['data']['name']}, half {result['half']}, greedy: {write(result)}.")
    return said


@functools.lru_cache(8)
def _read(path: Path, _modified: int, _size: int) -> dict[str, Any]:
    """The file, parsed once as long as it stays the same: every page asks for it at every look."""
    return json.loads(path.read_text(encoding="utf-8"))


def _reconstruct(result: dict[str, Any]) -> str:
    full = [row for row in result["rows"] if row["sample"] == "full"]
    scores = ", ".join(f"{row['metrics']['rouge_l']:.3f} at {row['ratio']}x" for row in full)
    return f"reconstruction ROUGE-L {scores} ({full[0]['n']} segments)"


def _qa(result: dict[str, Any]) -> str:
    rows = [row for row in result["rows"] if row["source"] == "all" and row["reader"] in ("memory", "full", "none")]
    names = {"memory": "memory", "full": "full context", "none": "no document"}
    told = [(row["metrics"]["f1"], names[row["reader"]], f" {row['ratio']}x" if row["ratio"] else "") for row in rows]
    scores = ", ".join(f"{f1:.3f} {name}{ratio}" for f1, name, ratio in told)
    first, unanswerable = rows[0], rows[0].get("unanswerable", 0)
    said = f"answers' F1 {scores} ({first['n'] - unanswerable} questions that have an answer)"
    if unanswerable:
        wrong = 1 - first["metrics"]["abstain_f1"]
        said += f"; of {unanswerable} that have none, {wrong:.0%} got one all the same at {first['ratio']}x"
    return said


_WRITERS = {"reconstruct": _reconstruct, "qa": _qa}
