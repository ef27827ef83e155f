"""What the page says of an adapter's scores comes from the results that were measured with it, and no others."""

import json
from pathlib import Path

from app.scores import RESULTS, sentences_for

SEGMENTS = {"sample": "full", "ratio": 8, "n": 7, "metrics": {"rouge_l": 0.91234}}
ANSWERS = {"reader": "memory", "source": "all", "ratio": 4, "n": 30, "metrics": {"f1": 0.38815}}


def result(task: str, adapter: str, rows: list[dict]) -> str:
    data = {"name": "rows.jsonl", "sha256": "0"}
    return json.dumps({"task": task, "adapter": adapter, "half": "B", "data": data, "rows": rows})


def test_only_results_of_the_adapter_in_use_are_told(tmp_path: Path):
    (tmp_path / "reconstruct.json").write_text(
        result("reconstruct", "mine", [SEGMENTS, SEGMENTS | {"sample": "tails"}])
    )
    (tmp_path / "qa.json").write_text(result("qa", "another", [ANSWERS]))
    assert sentences_for("mine", tmp_path) == [
        "Measured on rows.jsonl, half B, greedy: reconstruction ROUGE-L 0.912 at 8x (7 segments)."
    ]
    assert sentences_for("unknown", tmp_path) == []


def test_baselines_of_the_same_task_are_not_told(tmp_path: Path):
    (tmp_path / "reconstruct-baselines.json").write_text(result("reconstruct", "mine", [SEGMENTS]))
    (tmp_path / "qa-baselines.json").write_text(result("qa", "mine", [ANSWERS | {"reader": "key_norm"}]))
    assert sentences_for("mine", tmp_path) == []


def test_questions_with_and_without_an_answer_are_counted_apart(tmp_path: Path):
    memory = ANSWERS | {"unanswerable": 10, "metrics": {"f1": 0.38815, "abstain_f1": 0.7}}
    full = memory | {"reader": "full", "ratio": None, "metrics": {"f1": 0.42}}
    one_source = memory | {"source": "stories"}
    truncated = full | {"reader": "truncated", "ratio": 4}
    (tmp_path / "qa.json").write_text(result("qa", "mine", [memory, full, one_source, truncated]))
    assert sentences_for("mine", tmp_path) == [
        "Measured on rows.jsonl, half B, greedy: answers' F1 0.388 memory 4x, 0.420 full context "
        "(20 questions that have an answer); of 10 that have none, 30% got one all the same at 4x."
    ]
    (tmp_path / "qa.json").write_text(result("qa", "mine", [ANSWERS]))
    assert sentences_for("mine", tmp_path)[0].endswith("0.388 memory 4x (30 questions that have an answer).")


def test_both_shipped_results_can_be_told():
    for adapter in {json.loads((RESULTS / f"{task}.json").read_text())["adapter"] for task in ("reconstruct", "qa")}:
        assert len(sentences_for(adapter)) == 2
