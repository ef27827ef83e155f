"""What the page says of an adapter's scores comes from the results that were measured with it, and no others."""

import json
from pathlib import Path

from app.scores import RESULTS, sentences_for


def result(task: str, adapter: str, rows: list[dict]) -> str:
    data = {"name": "rows.jsonl", "sha256": "0"}
    return json.dumps({"task": task, "adapter": adapter, "half": "B", "data": data, "rows": rows})


def test_only_results_of_the_adapter_in_use_are_told(tmp_path: Path):
    row = {"sample": "full", "ratio": 8, "n": 7, "metrics": {"rouge_l": 0.91234}}
    (tmp_path / "a.json").write_text(result("reconstruct", "mine", [row, row | {"sample": "tails"}]))
    (tmp_path / "b.json").write_text(result("reconstruct", "another", [row]))
    assert sentences_for("mine", tmp_path) == [
        "Measured on rows.jsonl, half B, greedy: reconstruction ROUGE-L 0.912 at 8x (7 segments)."
    ]
    assert sentences_for("unknown", tmp_path) == []


def test_every_shipped_result_can_be_told():
    files = sorted(RESULTS.glob("*.json"))
    assert files
    adapters = {json.loads(f.read_text())["adapter"] for f in files}
    assert sum(len(sentences_for(a)) for a in adapters) == len(files)
