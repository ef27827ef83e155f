"""The HTML of the Lab: progress, runs, and the main score of a result."""

from __future__ import annotations

from app.analysis.results import Measured
from app.ui.html import lab
from app.ui.html.lab import main_scores, runs
from store import Run
from tests.app.ui.results import QA, result, row

EVIL = "<img src=x onerror=alert(1)>"


def test_progress_says_how_far() -> None:
    html = lab.progress("Log", Measured("0" * 64, {4: ((0, 0.5), (1, 1.0)), 8: ()}, 2, 4))
    assert "2 of 4" in html and "0.750" in html and "<progress" in html
    assert "<progress" not in lab.progress("Log", Measured("0" * 64, {4: ((0, 1.0),)}, 1, 1))
    assert "<img" not in lab.progress(EVIL, Measured("0" * 64, {4: ((0, 0.5),)}, 1, 4))


def test_runs_say_what_was_measured_and_what_came_out() -> None:
    here = {"document": "0" * 64, "device": "cpu", "dtype": "float32", "adapter": "abcdef0123"}
    point = {"tokens": 1000, "compress_s": 3.0, "full_s": 2.5, "memory_s": 0.5}
    runs = [
        (Run(2, "times", here, {"points": [point]}, "2026-01-02T03:04:05"), EVIL),
        (Run(1, "reconstruct", here | {"segments": [0, 3]}, {"rouge_l": {"4x": 0.9}, "seconds": 7.0}, "2026"), "Log"),
    ]
    shipped = {"task": "qa", "data": {"name": "qa"}, "half": "B", "n": 600, "device": "cpu", "dtype": "bfloat16"}
    html = lab.runs(runs, {"qa-baselines": shipped | {"adapter": "abc", "seconds": 5.0, "rows": []}})
    for said in ("1,000 tokens", "full context 2.50 s", "paid for after 2", "2 segments", "ROUGE-L 4x 0.900", "7 s"):
        assert said in html
    assert "qa-baselines" in html and "600 questions" in html
    assert "<img" not in html


def test_every_shipped_result_tells_its_main_score(shipped: dict[str, dict]) -> None:
    told = {name: main_scores(result) for name, result in shipped.items()}
    assert all(told.values())
    rows = [r for r in shipped["qa"]["rows"] if r["reader"] == "memory" and r["source"] == "all"]
    assert told["qa"] == "F1 " + ", ".join(f"{r['ratio']}x {r['metrics']['f1']:.3f}" for r in rows)
    assert told["reconstruct"].startswith("ROUGE-L 4x 0.9")
    assert told["qa-baselines"].endswith("the best)")
    focus = {r["reader"]: r["metrics"].get("f1") for r in shipped["focus"]["rows"] if r["source"] == "all"}
    assert f"focus {focus['focus']:.3f}" in told["focus"]
    html = runs([], shipped)
    assert told["qa"] in html and f"{shipped['qa']['seconds']:.0f} s" in html


def test_a_main_score_is_of_memories_or_of_the_best_reader() -> None:
    assert main_scores(QA) == "F1 4x 0.400, 8x 0.300"
    pruned = [row(score, reader=reader, ratio=4, source="all") for reader, score in (("random", 0.1), ("new", 0.2))]
    assert main_scores(result("qa", *pruned)) == "F1 4x 0.200 (new, the best)"
    assert main_scores(result("qa", *pruned[:1])) == "F1 4x 0.100 (pruned: random, the best)"
    assert main_scores(result("qa")) == main_scores(result("another", *pruned)) == ""
