"""The shipped adapter, its card and the results: they must speak of one and the same adapter."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ccf_core import Adapter
from ccf_core.training.loop import TrainingConfig

ASSETS = Path(__file__).parent.parent / "assets"
ADAPTER = ASSETS / "adapter"
RESULTS = {path.stem: path for path in sorted((ASSETS / "results").glob("*.json"))}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return Adapter.load(ADAPTER)


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    return read(ADAPTER / "card.json")


@pytest.fixture(scope="module")
def page() -> str:
    return (ADAPTER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def log() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ADAPTER / "training-log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_card_is_about_the_adapter_beside_it(adapter: Adapter, card: dict[str, Any], page: str) -> None:
    assert adapter.fingerprint == card["fingerprint"]
    assert adapter.config.base == card["base"]["fingerprint"]
    assert f"`{adapter.fingerprint}`" in page


def test_the_shards_are_small() -> None:
    sizes = [shard.stat().st_size for shard in ADAPTER.glob("*.safetensors")]
    assert sizes
    assert max(sizes) <= 9_000_000
    assert sum(sizes) <= 25_000_000


@pytest.mark.parametrize("name", ["qa", *(name for name in RESULTS if name != "qa")])
def test_a_result_is_about_this_adapter(name: str, card: dict[str, Any]) -> None:
    assert read(RESULTS[name])["adapter"] == card["fingerprint"]


def test_scores_on_the_card_are_rows_of_the_results(card: dict[str, Any]) -> None:
    assert card["scores"]["qa"]
    for name, rows in card["scores"].items():
        measured = read(RESULTS[name])["rows"]
        assert [row for row in rows if row not in measured] == []


def test_the_page_tells_every_question_score(page: str) -> None:
    def percent(row: dict[str, Any], metric: str) -> str:
        low, high = row["ci95"][metric]
        return f"{row['metrics'][metric]:.1%} ({low:.1%} to {high:.1%})".replace("%", "")

    def reader(row: dict[str, Any]) -> str:
        return f"{row['reader']} {row['ratio']}x" if row["ratio"] else row["reader"]

    rows = read(RESULTS["qa"])["rows"]
    lines = [
        f"| {row['source']} | {row['n']} | {reader(row)} | "
        f"{percent(row, 'f1')} | {percent(row, 'em')} | {percent(row, 'kept')} |"
        for row in rows
    ]
    assert lines
    assert [line for line in lines if line not in page.splitlines()] == []


def test_the_summary_tells_the_scores_over_all_sources(card: dict[str, Any]) -> None:
    qa = read(RESULTS["qa"])
    told = card["summary"][0]
    scores = [f"{row['metrics']['f1']:.1%}".rstrip("%") for row in qa["rows"] if row["source"] == "all"]
    at = [told.find(score) for score in scores]
    assert str(qa["n"]) in told
    assert -1 not in at and at == sorted(at)


def test_the_log_is_of_the_run_on_the_card(card: dict[str, Any], log: list[dict[str, Any]]) -> None:
    training = card["training"]
    assert log[-1]["step"] == training["steps"]
    assert sum(row["tokens"] for row in log) == training["source_tokens"]
    assert round(sum(row["tokens"] / row["tokens_per_s"] for row in log)) == training["seconds"]
    assert {name: log[-1][name] for name in training["last"]} == training["last"]


def test_the_run_trained_this_configuration(adapter: Adapter, card: dict[str, Any]) -> None:
    run = read(ADAPTER / "run.json")
    assert run["ccf"] == json.loads(json.dumps(adapter.config.as_dict()))
    assert run["run"]["steps"] == card["training"]["steps"]


def test_the_mix_of_the_run_is_still_the_default() -> None:
    default = json.loads(json.dumps(dataclasses.asdict(TrainingConfig())))
    assert read(ADAPTER / "run.json")["run"]["mix"] == default["mix"]
