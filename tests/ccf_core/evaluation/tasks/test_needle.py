"""Needles: where they stand, that they are the only ones, and what counts as a hit."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import needle
from ccf_core.evaluation.tasks.needle import Haystacks, Needle, sentences

OPTIONS = Options(ratios=(8,), lengths=(200, 400), needles=2, readers=("memory", "full", "none"))


def test_sentences_are_cut_at_their_ends_and_lose_nothing() -> None:
    text = 'One ends. "Two asks?" Three\n\nis 3.5 long! Last'
    assert sentences(text) == ["One ends. ", '"Two asks?" ', "Three\n\n", "is 3.5 long! ", "Last"]
    assert sentences("") == []


@pytest.mark.parametrize("length", [200, 600])
def test_one_sentence_stands_at_its_depth_of_a_document_of_the_length(
    subject: Subject, long_rows: list[Row], length: int
) -> None:
    haystacks = Haystacks(subject, [row["text"] for row in long_rows])
    made = haystacks.needles(length, 0, seed=3)
    assert [n.depth for n in made] == list(needle.DEPTHS)
    assert len({(n.name, n.code) for n in made}) == 1
    for n in made:
        tokens = len(subject.ccf.segment(n.text).input_ids)
        assert length - 60 < tokens <= length
        sentence = f"The access code of {n.name} is {n.code}."
        assert n.text.count(n.code) == n.text.count(sentence) == 1
        before, _, after = n.text.partition(sentence)
        assert re.search(r"(^|\s)$", before) and re.search(r"^(\s|$)", after)
        share = len(before) / (len(before) + len(after))
        assert share == pytest.approx(n.depth, abs=0.5 * 250 / length)
        if before.strip():
            assert before.rstrip()[-1] == "."
    assert made[0].text.startswith("The access code") and made[-1].text.rstrip().endswith(f"{made[0].code}.")


def test_needles_are_seeded(subject: Subject, long_rows: list[Row]) -> None:
    haystacks = Haystacks(subject, [row["text"] for row in long_rows])
    first = haystacks.needles(300, 0, seed=0)
    assert first == Haystacks(subject, haystacks.texts).needles(300, 0, seed=0)
    assert len({haystacks.needles(300, number, seed)[0].code for number in (0, 1) for seed in (0, 1)}) == 4


def test_every_cell_and_the_means_are_told(subject: Subject, long_rows: list[Row]) -> None:
    n, rows = needle.evaluate(subject, long_rows, OPTIONS)
    assert n == 2 * 2 * 5
    cells = [(length, depth) for length in (200, 400) for depth in (*needle.DEPTHS, "all")] + [("all", "all")]
    settings = [("memory", 8), ("full", None), ("none", None)]
    assert [(r["reader"], r["ratio"], r["length"], r["depth"]) for r in rows] == [
        (*setting, *cell) for setting in settings for cell in cells
    ]
    assert {(r["depth"] == "all", r["length"] == "all"): r["n"] for r in rows} == {
        (False, False): 2, (True, False): 10, (True, True): 20,
    }  # fmt: skip


def test_documents_beyond_the_window_are_read_from_memory_and_never_called_full(
    subject: Subject, long_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny window is 1,024; documents one by one, as long ones are.
    monkeypatch.setattr(needle, "TOGETHER", 1)
    options = dataclasses.replace(OPTIONS, lengths=(200, 2000), needles=1, readers=("memory", "truncated", "full"))
    n, rows = needle.evaluate(subject, long_rows * 8, options)
    assert n == 2 * 5
    lengths = {reader: {r["length"] for r in rows if r["reader"] == reader} for reader in options.readers}
    assert lengths == {
        "memory": {200, 2000, "all"},
        "truncated": {200, 2000, "all"},
        "full": {200, "all"},
    }
    only = needle.evaluate(subject, long_rows * 8, dataclasses.replace(options, lengths=(2000,), readers=("full",)))
    assert only == (5, [])


@pytest.mark.parametrize(("answer", "hit"), [("It is 12345.", True), ("1234", False), ("12 345", False), ("", False)])
def test_a_hit_is_the_code_in_the_answer(answer: str, hit: bool) -> None:
    assert Needle("…", "Alma Ashby", "12345", 0.0).found_in(answer) is hit
    assert Needle("…", "Alma Ashby", "12345", 0.0).question == "What is the access code of Alma Ashby?"


def test_haystacks_that_cannot_be_made_are_refused(subject: Subject, long_rows: list[Row]) -> None:
    with pytest.raises(EvaluationError, match="too short: give 100"):
        needle.evaluate(subject, long_rows, dataclasses.replace(OPTIONS, lengths=(50,)))
    with pytest.raises(EvaluationError, match="tokens too short for a haystack"):
        needle.evaluate(subject, [{"text": "One sentence. " * 9}], OPTIONS)
