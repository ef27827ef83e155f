"""Evaluations through the use cases: the command itself runs, on the tiny random model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.analysis.evaluation_runs import readers
from app.errors import CannotEvaluate
from app.ui.html.lab import runs
from app.workbench import Workbench
from ccf_core import Cancelled
from ccf_core.evaluation.tasks import TASKS


@pytest.fixture
def evaluate(workbench: Workbench) -> Callable[..., list]:
    return lambda *args, **options: list(workbench.evaluation_runs.run(*args, **options))


def test_an_evaluation_is_watched_and_recorded_with_its_command(workbench: Workbench, evaluate) -> None:
    *said, result = evaluate("reconstruct", 2, [8, 32], ["memory"])
    assert said[0] == "Starting" and all(isinstance(line, str) for line in said)
    assert {(row["ratio"], row["sample"]) for row in result["rows"]} == {
        (ratio, sample) for ratio in (8, 32) for sample in ("full", "tails")
    }
    assert (result["half"], result["data"]["name"]) == ("B", "text.jsonl.xz")
    assert result["command"].startswith("python -m ccf_core evaluate reconstruct --half B --limit 2")
    (run,) = workbench.store.runs.list("reconstruct")
    assert run.config | run.results == result
    row = runs([(run, "")], {}).split("<tr>")[-1]
    assert "ROUGE-L 8x" in row and "4 segments" in row and "half B" in row


def test_a_stopped_evaluation_leaves_nothing(workbench: Workbench) -> None:
    steps = workbench.evaluation_runs.run("reconstruct", 50, [4], ["memory"], lambda: True)
    assert next(steps) == "Starting"
    with pytest.raises(Cancelled, match="nothing was recorded"):
        list(steps)
    assert workbench.store.runs.list() == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("spelling", 2, [8], ["memory"]), "choose from reconstruct"),
        (("qa", 2, [], ["memory"]), "Choose how many rows"),
        (("qa", 0, [8], ["memory"]), "Choose how many rows"),
        (("qa", 2, [8], []), "Choose how many rows"),
        (("qa", 2, [5], ["memory"]), "no ratio 5"),
        (("qa", 2, [8], ["mean_pool"]), "no reader 'mean_pool'"),
    ],
)
def test_what_cannot_be_evaluated_is_a_sentence(evaluate, given: tuple, sentence: str) -> None:
    with pytest.raises(CannotEvaluate, match=sentence):
        evaluate(*given)


def test_readers_are_those_of_the_command_that_read_slots() -> None:
    for task, module in TASKS.items():
        assert set(readers(task)) == set(module.READERS) - {"mean_pool"}
