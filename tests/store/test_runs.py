import math

import pytest

from store import RunNotFound


def test_runs_are_kept_newest_first_and_by_kind(store):
    first = store.runs.add("evaluate", {"seed": 1}, {"rouge_l": 0.9})
    bench = store.runs.add("bench", {"tokens": 8192}, {"floors": {"compute": 0.1}})
    last = store.runs.add("evaluate", {"seed": 2}, {"rows": [1, 2]})
    assert store.runs.list() == [last, bench, first]
    assert store.runs.list("evaluate") == [last, first]
    assert store.runs.list("nothing") == []
    assert store.runs.get(bench.id) == bench


def test_numbers_that_are_not_finite_survive(store):
    run = store.runs.add("evaluate", {}, {"loss": math.nan, "gain": math.inf})
    results = store.runs.get(run.id).results
    assert math.isnan(results["loss"])
    assert results["gain"] == math.inf


def test_delete_and_unknown_runs(store):
    run = store.runs.add("bench", {}, {})
    store.runs.delete(run.id)
    assert store.runs.list() == []
    for use in (store.runs.get, store.runs.delete):
        with pytest.raises(RunNotFound, match="choose one from the list"):
            use(run.id)
