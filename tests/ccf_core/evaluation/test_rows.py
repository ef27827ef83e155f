"""Rows: what is read, refused, halved and sampled."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
from collections import Counter
from pathlib import Path

import pytest

from ccf_core.evaluation.rows import DATA, EvaluationError, choose, half_of, load_rows, located, stratified

ROWS = [{"source": f"s{i % 3}", "title": f"title {i}", "text": "some text"} for i in range(60)]


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".xz", lzma.open)])
def test_rows_are_read_plain_or_packed(tmp_path: Path, suffix: str, opener) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in ROWS))
    assert load_rows(path, ["text"]) == ROWS


def test_several_questions_of_a_context_become_rows_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    asked = [{"question": q, "answers": [q]} for q in ("one", "two")]
    path.write_text(json.dumps({"source": "s", "context": "c", "qas": asked}) + "\n")
    rows = load_rows(path, ["context", "question", "answers"])
    assert rows == [{"source": "s", "context": "c", **question} for question in asked]


def test_rows_that_come_with_the_project_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(Path("qa_ood")) == DATA / "qa_ood.jsonl.xz" and (DATA / "qa_ood.jsonl.xz").is_file()
    for other in (Path("no_such_rows"), Path("rows.jsonl"), tmp_path / "qa_ood"):
        assert located(other) == other
    (tmp_path / "qa_ood").write_text("{}")
    assert located(Path("qa_ood")) == Path("qa_ood")  # a file of one's own goes first


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("no.jsonl", None, "no file no.jsonl"),
        ("bad.jsonl", b"{not json}\n", "not readable"),
        ("list.jsonl", b"[1]\n", "not an object"),
        ("bad.jsonl.xz", b"plain", "not readable"),
        ("bad.jsonl.gz", b"plain", "not readable"),
        ("latin.jsonl", b'{"text": "\xe9"}\n', "not readable"),
        ("number.jsonl", b'{"text": 5}\n', "Row 1 of number.jsonl has no 'text'"),
        ("other.jsonl", b'{"title": "t"}\n', "Row 1 of other.jsonl has no 'text'"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EvaluationError, match=says):
        load_rows(tmp_path / name, ["text"])


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
