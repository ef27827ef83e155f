import math


def test_runs_are_kept_newest_first_and_by_kind(store):
    first = store.runs.add("evaluate", {"seed": 1}, {"rouge_l": 0.9})
    bench = store.runs.add("bench", {"tokens": 8192}, {"floors": {"compute": 0.1}})
    last = store.runs.add("evaluate", {"seed": 2}, {"rows": [1, 2]})
    assert store.runs.list() == [last, bench, first]
    assert store.runs.list("evaluate") == [last, first]
    assert store.runs.list("nothing") == []


def test_numbers_that_are_not_finite_survive(store):
    store.runs.add("evaluate", {}, {"loss": math.nan, "gain": math.inf})
    results = store.runs.list()[0].results
    assert math.isnan(results["loss"])
    assert results["gain"] == math.inf
