"""What the shipped results say of the adapter in use, as sentences for the foot of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "assets" / "results"


def sentences_for(adapter: str, folder: Path = RESULTS) -> list[str]:
    """One sentence for each results file that measured the adapter of this fingerprint."""
    said = []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("adapter") == adapter and (write := _WRITERS.get(result["task"])):
            said.append(f"Measured on {result['data']['name']}, half {result['half']}, greedy: {write(result)}.")
    return said


def _reconstruct(result: dict[str, Any]) -> str:
    full = [row for row in result["rows"] if row["sample"] == "full"]
    scores = ", ".join(f"{row['metrics']['rouge_l']:.3f} at {row['ratio']}x" for row in full)
    return f"reconstruction ROUGE-L {scores} ({full[0]['n']} segments)"


def _qa(result: dict[str, Any]) -> str:
    rows = [row for row in result["rows"] if row["source"] == "all" and row["reader"] in ("memory", "full", "none")]
    names = {"memory": "memory", "full": "full context", "none": "no document"}
    told = [(row["metrics"]["f1"], names[row["reader"]], f" {row['ratio']}x" if row["ratio"] else "") for row in rows]
    scores = ", ".join(f"{f1:.3f} {name}{ratio}" for f1, name, ratio in told)
    return f"answers' F1 {scores} ({rows[0]['n']} questions)"


_WRITERS = {"reconstruct": _reconstruct, "qa": _qa}
