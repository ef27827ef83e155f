"""Rows: how they are found, halved and sampled."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from ccf_core.evaluation.rows import DATA, EvaluationError, choose, half_of, located, stratified

ROWS = [{"source": f"s{i % 3}", "title": f"title {i}", "text": "some text"} for i in range(60)]


def test_rows_that_come_with_the_project_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(Path("qa_ood")) == DATA / "qa_ood.jsonl.xz" and (DATA / "qa_ood.jsonl.xz").is_file()
    for other in (Path("no_such_rows"), Path("rows.jsonl"), tmp_path / "qa_ood"):
        assert located(other) == other
    (tmp_path / "qa_ood").write_text("{}")
    assert located(Path("qa_ood")) == Path("qa_ood")  # a file of one's own goes first


def test_halves_follow_the_digest_of_the_title_or_the_context() -> None:
    for row in ({"title": "a", "text": "x"}, {"context": "b", "question": "?"}, {"text": "c"}):
        name = row.get("title") or row.get("context") or row["text"]
        even = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0
        assert half_of(row) == ("A" if even else "B")


def test_halves_share_no_row_and_lose_none() -> None:
    a, b = choose(ROWS, "A", []), choose(ROWS, "B", [])
    assert len(a) + len(b) == len(ROWS)
    assert len(a) > 15 and len(b) > 15
    assert not {row["title"] for row in a} & {row["title"] for row in b}


def test_sources_are_chosen_by_name() -> None:
    assert {row["source"] for row in choose(ROWS, None, ["s1", "s2"])} == {"s1", "s2"}
    with pytest.raises(EvaluationError, match="no source 'other': choose from s0, s1, s2"):
        choose(ROWS, None, ["other"])
    with pytest.raises(EvaluationError, match="No rows"):
        choose([], None, [])


def test_samples_are_even_over_sources_seeded_and_without_repeats() -> None:
    items = [("big", i) for i in range(50)] + [("small", i) for i in range(3)]
    chosen = stratified(items, lambda item: item[0], 20, seed=1)
    assert Counter(source for source, _ in chosen) == {"big": 17, "small": 3}
    assert len(set(chosen)) == 20
    assert chosen == stratified(items, lambda item: item[0], 20, seed=1)
    assert chosen != stratified(items, lambda item: item[0], 20, seed=2)
    assert len(stratified(items, lambda item: item[0], None, seed=1)) == 53
