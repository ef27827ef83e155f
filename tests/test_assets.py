"""The shipped adapter, its card and the results: they must speak of one and the same adapter."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from ccf_core import Adapter, CCFConfig
from ccf_core.evaluation.report import page as report
from ccf_core.training import train

ASSETS = Path(__file__).parent.parent / "assets"
ADAPTER = ASSETS / "adapter"
RESULTS = {path.stem: path for path in sorted((ASSETS / "results").glob("*.json"))}
#: Of a mean-pooling adapter, which is not shipped.
MEAN_POOL = {path.stem: path for path in sorted((ASSETS / "results" / "mean_pool").glob("*.json"))}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return Adapter.load(ADAPTER)


@pytest.fixture(scope="module")
def yardstick() -> Adapter:
    return Adapter.load(ASSETS / "yardstick")


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    return read(ADAPTER / "card.json")


@pytest.fixture(scope="module")
def page() -> str:
    return (ADAPTER / "README.md").read_text(encoding="utf-8")


def test_the_card_is_about_the_adapter_beside_it(adapter: Adapter, card: dict[str, Any], page: str) -> None:
    assert adapter.fingerprint == card["fingerprint"]
    assert adapter.config.as_dict()["mask"] == "whole"  # its only value, and still part of the fingerprint
    assert adapter.config.base == card["base"]["fingerprint"]
    assert f"`{adapter.fingerprint}`" in page


def test_the_shards_are_small() -> None:
    sizes = [shard.stat().st_size for shard in ADAPTER.glob("*.safetensors")]
    assert sizes
    assert max(sizes) <= 9_000_000
    assert sum(sizes) <= 40_000_000


@pytest.mark.parametrize("name", ["qa", *(name for name in RESULTS if name != "qa")])
def test_a_result_is_about_this_adapter(name: str, card: dict[str, Any]) -> None:
    assert read(RESULTS[name])["adapter"] == card["fingerprint"]


def rows_of(name: str, **wanted: Any) -> dict[Any, dict[str, Any]]:
    """Rows of a result by (reader, ratio)."""
    rows = read(RESULTS[name])["rows"]
    return {(row["reader"], row["ratio"]): row for row in rows if wanted.items() <= row.items()}


@pytest.mark.parametrize(
    ("label", "metric", "name", "wanted"),
    [
        ("ROUGE-L, full segments", "rouge_l", "reconstruct", {"sample": "full"}),
        ("ROUGE-L, tails", "rouge_l", "reconstruct", {"sample": "tails"}),
        ("digit recall, full segments", "digit_recall", "reconstruct", {"sample": "full"}),
        ("capital recall, full segments", "capital_recall", "reconstruct", {"sample": "full"}),
        ("teacher-forced accuracy, full segments", "teacher_forced", "reconstruct", {"sample": "full"}),
        ("gain kept, 4th segment", "gain_kept", "perplexity", {"k": 4}),
        ("gain kept, 16th segment", "gain_kept", "perplexity", {"k": 16}),
        ("F1, short passages", "f1", "qa", {"source": "all"}),
        ("F1 kept, short passages", "kept", "qa", {"source": "all"}),
        ('told "not in the document", rightly', "abstain_f1", "qa", {"source": "all"}),
        ("told so, wrongly", "false_abstain", "qa", {"source": "all"}),
        ("F1, long documents", "f1", "longqa", {"source": "all"}),
        ("F1, 10 to 15 joined passages", "f1", "evidence", {"source": "all"}),
        ("gold segment in the top 3 by attention", "top3", "evidence", {"source": "all"}),
        *(
            (f"needle in {n:,} tokens", "hit", "needle", {"length": n, "depth": "all"})
            for n in (1000, 2000, 4000, 8000)
        ),
    ],
)
def test_the_page_tells_what_was_measured(
    page: str, label: str, metric: str, name: str, wanted: dict[str, Any]
) -> None:
    def told(row: dict[str, Any]) -> str:
        low, high = row["ci95"][metric]
        return f"{100 * row['metrics'][metric]:.1f} ({100 * low:.1f} to {100 * high:.1f})"

    rows = rows_of(name, **wanted)
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {label} |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    assert cells[:4] == [told(rows["memory", ratio]) for ratio in (4, 8, 16, 32)]
    full = rows.get(("full", None))
    if full and metric in full["metrics"]:
        assert cells[4] in (told(full), "100") and (cells[4] != "100" or full["metrics"][metric] == 1)


@pytest.mark.parametrize(("page", "files"), [("results", RESULTS), ("mean-pool", MEAN_POOL)])
def test_a_results_page_is_what_report_makes_of_the_results(page: str, files: dict[str, Path]) -> None:
    results = {name: read(path) for name, path in files.items()}
    docs = ASSETS.parent / "docs"
    figures: dict[str, list[str]] = {}
    for name, result in results.items():
        for suffix, drawn in (("", report.drawing(result)), ("-map", report.heat_map(result))):
            if drawn:
                figures.setdefault(name, []).append(f"images/{page}-{name}{suffix}.svg")
                assert (docs / figures[name][-1]).read_text(encoding="utf-8") == drawn
    assert (docs / f"{page}.md").read_text(encoding="utf-8") == report.page(results, figures)


def test_the_summary_tells_the_scores(card: dict[str, Any]) -> None:
    segments, questions = card["summary"]
    full = rows_of("reconstruct", sample="full")
    assert ", ".join(f"{row['metrics']['rouge_l']:.3f} at {ratio}x" for (_, ratio), row in full.items()) in segments
    asked = rows_of("qa", source="all")
    for (reader, ratio), row in asked.items():
        assert (
            reader == "truncated"
            or f"{100 * row['metrics']['f1']:.1f} {'at ' + str(ratio) if ratio else ''}" in questions
        )
    assert str(asked["memory", 4]["n"] - asked["memory", 4]["unanswerable"]) in questions


def test_the_logs_are_of_the_runs_on_the_card(card: dict[str, Any]) -> None:
    training = card["training"]
    for run in training["runs"]:
        log = [json.loads(line) for line in (ADAPTER / run["log"]).read_text(encoding="utf-8").splitlines()]
        assert 0 <= run["steps"] - log[-1]["step"] < 20
        assert sum(row["tokens"] for row in log) == run["source_tokens"]
        assert round(sum(row["tokens"] / row["tokens_per_s"] for row in log)) == run["seconds"]
        assert {name: log[-1][name] for name in run["last"]} == run["last"]
    assert sum(run["source_tokens"] for run in training["runs"]) == training["source_tokens"]


def test_the_runs_trained_this_configuration(adapter: Adapter, card: dict[str, Any], tmp_path: Path) -> None:
    for run in card["training"]["runs"]:
        (tmp_path / "ccf.json").write_text(json.dumps(read(ADAPTER / run["config"])["ccf"]))
        assert CCFConfig.load(tmp_path / "ccf.json") == adapter.config


def test_mean_pooling_was_measured_as_slots_were() -> None:
    assert {"qa", "perplexity", "reconstruct"} == set(MEAN_POOL)
    for name, path in MEAN_POOL.items():
        slots, pooled = read(RESULTS[name]), read(path)
        same = ("data", "half", "seed", "base", "dtype", "memory_dtype")
        assert [pooled[key] for key in same] == [slots[key] for key in same]
        of = {(row["ratio"], row.get("sample"), row.get("source"), row.get("k")) for row in slots["rows"]}
        rows = [row for row in pooled["rows"] if row["reader"] == "mean_pool"]
        assert rows
        assert all((row["ratio"], row.get("sample"), row.get("source"), row.get("k")) in of for row in rows)
    training = ASSETS / "results" / "mean_pool" / "training"
    told = (ASSETS.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
    for name in ("log-1.jsonl", "log-2.jsonl"):
        lines = (training / name).read_text(encoding="utf-8").splitlines()
        assert f"{sum(json.loads(line)['tokens'] for line in lines) / 1e6:.1f} M source tokens" in told


def test_the_commands_on_the_card_make_the_settings_of_their_runs(card: dict[str, Any]) -> None:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    for run in card["training"]["runs"]:
        words = shlex.split(run["command"])
        given = vars(parser.parse_args(words[words.index("train") + 1 :]))
        settings = read(ADAPTER / run["config"])["run"]
        mix = settings.pop("mix")
        assert mix.pop("reader") is (given["reader"] is not None)
        settings |= {f"mix_{name}": value for name, value in mix.items()}
        by_option = {name: value for name, value in settings.items() if name in given}
        assert by_option == json.loads(json.dumps({name: given[name] for name in by_option}))
        assert settings.keys() - by_option.keys() == {"clip", "final_learning_rate"}


@pytest.mark.parametrize("name", RESULTS)
def test_no_decoder_that_read_all_text_was_better_than_what_is_divided_by(name: str, yardstick: Adapter) -> None:
    result = read(RESULTS[name])
    rows = [{"source": None, "k": None, **row} for row in result["rows"]]
    divided = [row for row in rows if {"kept", "gain_kept"} & row["metrics"].keys()]
    assert not divided or result["yardstick"] == yardstick.fingerprint
    for row in divided:
        beside = {r["reader"]: r["metrics"] for r in rows if (r["source"], r["k"]) == (row["source"], row["k"])}
        if "gain_kept" in row["metrics"]:
            full, none = (
                min(beside[decoder + reads]["nats"] for decoder in ("", "base_", "yardstick_"))
                for reads in ("full", "none")
            )
            assert row["metrics"]["gain_kept"] <= (none - row["metrics"]["nats"]) / (none - full) + 2e-3
        else:
            best = max(beside[reader]["f1"] for reader in ("full", "base_full", "yardstick_full") if reader in beside)
            assert "yardstick_full" in beside and row["metrics"]["kept"] <= row["metrics"]["f1"] / best + 2e-3


def test_the_yardstick_reader_is_the_one_that_its_card_and_results_name(adapter: Adapter, yardstick: Adapter) -> None:
    assert f"`{yardstick.fingerprint}`" in (ASSETS / "yardstick" / "README.md").read_text(encoding="utf-8")
    results = {path.stem: read(path)["adapter"] for path in (ASSETS / "results" / "yardstick").glob("*.json")}
    first = read(ASSETS / "results" / "first" / "qa.json")["adapter"]
    assert first in (ASSETS / "results" / "first" / "README.md").read_text(encoding="utf-8")
    # The encoder of the first adapter, which is not here, with the reader's decoder.
    assert results.pop("A-as-is") not in results.values()
    assert results == {
        "A-reader": yardstick.fingerprint,
        "B-reader": yardstick.fingerprint,
        "B-shipped": adapter.fingerprint,
        "A-first": first,
    }
