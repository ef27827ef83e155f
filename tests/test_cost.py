"""What compressing, asking and slicing cost; `pytest tests/test_cost.py -m bench -s` prints it.

Another ratio of a stored document of 10,000 tokens should be there in under 200 ms; docs/speed.md has the rest.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

import pytest

from app.settings import Settings
from app.workbench import Workbench
from ccf_core.__main__ import main
from ccf_core.evaluation.rows import DATA, load_rows
from ccf_core.model.encoder import Encoder


@pytest.mark.bench
@pytest.mark.model
@pytest.mark.timeout(3600)
def test_cost_of_compressing_and_of_the_first_token(tmp_path: Path):
    out = tmp_path / "bench.json"
    assert main(["bench", "--tokens", "2000", "8192", "--ratio", "8", "--runs", "2", "--out", str(out)]) == 0
    measured = json.loads(out.read_text())
    print(json.dumps(measured, indent=2))
    assert {figure["tokens"] for figure in measured["figures"]} >= {2000, 8192}
    assert all(figure["measured"] > 0 for figure in measured["figures"])


@pytest.mark.bench
@pytest.mark.model
@pytest.mark.timeout(3600)
def test_time_to_another_ratio_of_a_stored_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Workbench(Settings(tmp_path, dtype="float32")) as workbench:
        workbench.model.load()
        text = ""
        for row in load_rows(DATA / "text.jsonl.xz", ("text",)):
            text += row["text"] + "\n\n"
            if len(text) > 50_000:
                break
        done = workbench.intake.ingest_text(text, "Long")
        monkeypatch.setattr(Encoder, "begin", None)
        took: dict[int, list[float]] = {}
        for ratio in [*workbench.model.ratios] * 9:
            started = time.perf_counter()
            memory = workbench.memories.recall(done.document.sha256, ratio).memory
            took.setdefault(ratio, []).append((time.perf_counter() - started) * 1e3)
            assert memory.slots == done.slots[ratio]
    told = ", ".join(f"{ratio}x {median(of):.0f} ms" for ratio, of in took.items())
    print(f"{done.tokens:,} tokens, memory from the database, median of 9: {told}")
    assert done.tokens >= 10_000
