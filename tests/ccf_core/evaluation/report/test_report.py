"""Results as Markdown, and a page of them with figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ccf_core.__main__ import main
from ccf_core.evaluation.report import page as report
from ccf_core.evaluation.report.page import drawing, heat_map, markdown, page, table
from ccf_core.evaluation.tasks import TASKS

SHIPPED = Path(__file__).parents[4] / "assets" / "results"


def result(task: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "task": task, "data": {"name": "rows.jsonl", "sha256": "0" * 64}, "half": "B", "n": 7, "seed": 3,
        "adapter": "a" * 64, "base": {"id": "tiny", "fingerprint": "b" * 64}, "dtype": "float32", "device": "cpu",
        "memory_dtype": "int8", "decoding": "greedy", "seconds": 1.5, "command": f"python -m ccf_core evaluate {task}",
        "rows": rows,
    }  # fmt: skip


def row(reader: str, ratio: int | None, metrics: dict[str, float], **keys: Any) -> dict[str, Any]:
    around = {name: [value - 0.1, value + 0.1] for name, value in metrics.items()}
    return {"reader": reader, "ratio": ratio, **keys, "n": 7, "metrics": metrics, "ci95": around}


QA = result(
    "qa",
    [
        row("memory", 4, {"f1": 0.4}, source="all"),
        row("memory", 8, {"f1": 0.3}, source="all"),
        row("memory", 8, {"f1": 0.9}, source="s"),
        row("full", None, {"f1": 0.5, "em": 0.2}, source="all"),
    ],
)


def test_a_table_tells_n_and_intervals() -> None:
    lines = table(QA["rows"]).splitlines()
    assert lines[0] == "| reader | ratio | source | n | f1 | em |"
    assert lines[2] == "| memory | 4x | all | 7 | 40.0 [30.0, 50.0] |  |"
    assert lines[5] == "| full |  | all | 7 | 50.0 [40.0, 60.0] | 20.0 [10.0, 30.0] |"
    assert len({line.count("|") for line in lines}) == 1


def test_nats_and_bytes_are_no_shares() -> None:
    assert "| 7020 [7020, 7020] |" in table([row("memory_int4", 8, {"bytes": 7020.0})])
    assert "| 2.613 [2.513, 2.713] |" in table([row("none", None, {"nats": 2.6129}, k=4)])


def test_markdown_says_what_was_measured_and_how() -> None:
    text = markdown(QA)
    assert text.startswith(TASKS["qa"].ABOUT)
    for part in (
        "`rows.jsonl`, half B",
        "n = 7, seed 3",
        "`aaaaaaaaaaaa` on tiny",
        "float32",
        "int8",
        "cpu",
        QA["command"],
    ):
        assert part in text


def test_readers_that_hold_memories_each_in_a_dtype_of_its_own_have_none_together() -> None:
    assert "held as" not in markdown(result("qa", [row("memory_int4", 4, {"f1": 0.4}, source="all")]))


def test_depths_become_columns() -> None:
    cells = [row("memory", 4, {"hit": d}, length=length, depth=depth) for length, depth, d in
             ((1000, 0.0, 0.1), (1000, 0.25, 0.2), (1000, "all", 0.3), ("all", "all", 0.4))]  # fmt: skip
    lines = table(report._pivoted(cells)).splitlines()
    assert lines[0] == "| reader | ratio | length | n | depth 0 | depth 0.25 | all depths |"
    assert lines[2:] == [
        "| memory | 4x | 1000 | 7 | 10.0 | 20.0 | 30.0 [20.0, 40.0] |",
        "| memory | 4x | all | 7 |  |  | 40.0 [30.0, 50.0] |",
    ]


def names(svg: str) -> set[str]:
    groups = [e for e in ElementTree.fromstring(svg).iter() if e.get("class") == "name"]
    return {text for group in groups if (text := group.findtext("{http://www.w3.org/2000/svg}text"))}


def test_figures_draw_readers_over_ratios() -> None:
    assert names(drawing(QA)) == {"memory", "full"}
    segments = [
        row("memory", ratio, {"rouge_l": 0.9}, sample=sample) for ratio in (4, 8) for sample in ("full", "tails")
    ]
    assert names(drawing(result("reconstruct", segments))) == {"memory, full segments", "memory, tails"}
    assert drawing(result("qa", QA["rows"][:1])) == ""


def test_needles_are_mapped_over_length_and_depth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [(1000, 0.0, 1.0), (1000, 1.0, 0.5), (128_000, 0.0, 0.25), ("all", "all", 0.6), (1000, "all", 0.75)]
    rows = [
        row("memory", ratio, {"hit": hit}, length=length, depth=depth)
        for ratio in (4, 8)
        for length, depth, hit in cells
    ]
    needles = result("needle", rows)
    drawn = ElementTree.fromstring(heat_map(needles))
    panels = [group for group in drawn.iter() if group.get("class") == "panel"]
    assert [panel[0].text for panel in panels] == ["memory at 4x", "memory at 8x"]
    told = [text.text for text in panels[0].iter() if text.tag.endswith("text")]
    assert told == ["memory at 4x", "tokens of the document", "depth", "1k", "128k", "0%", "100", "25", "100%", "50"]
    boxes = [box[0].text for box in panels[0].iter() if box.tag.endswith("rect")]
    assert boxes[-1] == "memory at 4x, 128k, 100%: not run"
    assert heat_map(QA) == ""
    (tmp_path / "needle.json").write_text(json.dumps(needles))
    assert main(["report", str(tmp_path / "needle.json"), "--out", str(tmp_path / "page.md")]) == 0
    written = ["page.md", "images/page-needle.svg", "images/page-needle-map.svg"]
    assert json.loads(capsys.readouterr().out) == {"written": written}
    assert (tmp_path / written[2]).read_text(encoding="utf-8") == heat_map(needles)


def test_a_page_and_its_figures_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loss = result("perplexity", [row("none", None, {"nats": 2.5}, k=4)])
    for name, content in (("best", QA), ("perplexity", loss)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    out = tmp_path / "docs" / "results.md"
    out.parent.mkdir()
    files = [str(tmp_path / f"{name}.json") for name in ("best", "perplexity")]
    assert main(["report", *files, "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == {"written": ["results.md", "images/results-best.svg"]}
    written = out.read_text(encoding="utf-8")
    assert written == page({"best": QA, "perplexity": loss}, {"best": ["images/results-best.svg"]})
    assert written.index("## perplexity") < written.index("## qa: best")
    assert (out.parent / "images" / "results-best.svg").read_text(encoding="utf-8") == drawing(QA)


def test_results_of_readers_that_are_gone_are_still_shown() -> None:
    for file in (SHIPPED / "residual").glob("*.json"):
        shown = json.loads(file.read_text(encoding="utf-8"))
        assert "| residual | 4x |" in markdown(shown)
        assert any("residual" in name for name in names(drawing(shown)))


@pytest.mark.parametrize("content", ["{", "[]", '{"task": "paint", "rows": []}', '{"task": "qa"}'])
def test_files_that_are_no_results_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "x.json").write_text(content)
    assert main(["report", str(tmp_path / "x.json"), "--out", str(tmp_path / "results.md")]) == 2
    printed = capsys.readouterr()
    assert "give files that evaluate wrote" in printed.err and printed.out == ""
    assert not (tmp_path / "results.md").exists()


def test_two_results_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "qa.json").write_text(json.dumps(QA))
    files = [str(tmp_path / folder / "qa.json") for folder in ("a", "b")]
    assert main(["report", *files, "--out", str(tmp_path / "results.md")]) == 2
    assert "one name" in capsys.readouterr().err
