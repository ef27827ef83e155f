"""Readers that spend a budget by the question: what they read, what they hold, and how they are compared."""

from __future__ import annotations

import dataclasses
import random
from fractions import Fraction

import pytest

from ccf_core import Focus, MemoryMismatch, metrics
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers.base import readings
from ccf_core.evaluation.rows import Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import evidence, longqa, qa
from ccf_core.focus.focus import read
from ccf_core.readers.base import Question, Reading

BY_QUESTION = ("focus", "focus_no_slots", "bm25")
OPTIONS = Options(ratios=(4,), readers=BY_QUESTION, budget=Fraction(1, 2))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    rng = random.Random(0)
    words = [f"{a}{b}" for a in ("har", "mas", "fog", "oslo", "ship") for b in ("bour", "ter", "lin", "den")]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 30))) + f" code{i}." for i in range(18)]
    return [
        {"source": "s", "context": text, "question": f"What of code{i}?", "answers": [f"code{i}"]}
        for i, text in enumerate(texts)
    ]


def asked_of(subject: Subject, row: Row) -> Question:
    return scoring.question(subject, row, subject.ccf.segment(row["context"]))


def read_by(subject: Subject, reader: str, questions: list[Question], options: Options) -> list[Reading]:
    ((_, found),) = readings(subject, reader, [None], questions, options)
    return found


@pytest.mark.parametrize("piece", [0, 16])
def test_qa_focuses_as_the_codec_answers(subject: Subject, qa_rows: list[Row], piece: int) -> None:
    """Text that follows the slots in one sequence with the question is text that was read ahead."""
    ccf = subject.ccf
    short = [row for row in qa_rows if row["answers"] and not metrics.is_long(row["answers"])]
    _, rows = qa.evaluate(subject, short, dataclasses.replace(OPTIONS, readers=("focus",), piece=piece))
    expected, held, tokens = [], 0, 0
    for row in short:
        ids = ccf.segment(row["context"]).input_ids
        memory = ccf.compress(row["context"]).quantize()
        settings = Focus(len(ids) // 2, piece=piece)
        answer = ccf.answer(row["question"], memory, 32, reader="focus", input_ids=ids, focus=settings)
        expected.append(metrics.f1(row["answers"], answer.text))
        held += answer.kv_bytes // (2 * 2 * 2 * 8 * 4)
        tokens += len(ids)
    assert rows[0]["metrics"]["f1"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert rows[0]["metrics"]["kv_share"] == pytest.approx(held / tokens, abs=1e-5)
    assert (rows[0]["reader"], rows[0]["ratio"]) == ("focus", None)


def test_the_reading_that_is_kept_is_that_of_the_codec(subject: Subject, qa_rows: list[Row]) -> None:
    ccf, options = subject.ccf, dataclasses.replace(OPTIONS, piece=16, budget=Fraction(1, 4))
    questions = [asked_of(subject, row) for row in qa_rows if len(row["context"]) > 200]
    kept = read_by(subject, "focus", questions, options)
    assert {own.slots is None for own in kept} == {True, False}
    for question, own in zip(questions, kept, strict=True):
        ids = question.document.input_ids
        memory = ccf.compress(ids).quantize()
        settings = Focus(len(ids) // 4, piece=16)
        found, _ = read(ccf.decoder, ccf.tokenizer, question.text, question.prompt, memory, ids, settings)
        assert tuple(own.text) == found.text
        ratios = [[min(blocks) for blocks in read.slots.blocks] if read.slots else [] for read in (found, own)]
        assert ratios[0] == ratios[1]


def test_bm25_reads_the_best_segments_up_to_the_budget(subject: Subject) -> None:
    filler = "seven ships in the evening fog. " * 8
    row = {"source": "s", "context": filler + "Anna saw Oslo. " + filler, "question": "Who saw Oslo?", "answers": ["x"]}
    question = asked_of(subject, row)
    texts = [question.document.segment(i) for i in range(len(question.document.spans))]
    holding = {i for i, text in enumerate(texts) if "Oslo" in str(subject.ccf.tokenizer.decode(list(text)))}
    tokens = len(question.document.input_ids)
    bm25 = subject.reader("bm25", OPTIONS)
    few = bm25.best(dataclasses.replace(question, budget=40))
    assert holding & few.keys() and len(few) == 2 and sorted(few) == list(few)
    assert sorted(len(read) for read in few.values()) == [8, 32]
    assert all(tuple(read) == texts[i][: len(read)] for i, read in few.items())
    every = bm25.best(dataclasses.replace(question, budget=tokens))
    assert [tuple(read) for read in every.values()] == texts


def test_no_reader_holds_more_than_its_budget(subject: Subject, qa_rows: list[Row], text_rows: list[Row]) -> None:
    for budget in (Fraction(1, 3), Fraction(1, 2)):
        options = dataclasses.replace(OPTIONS, budget=budget)
        questions = [asked_of(subject, row) for row in qa_rows if len(row["context"]) > 200]
        for reader in BY_QUESTION:
            for reading, question in zip(read_by(subject, reader, questions, options), questions, strict=True):
                request = reading.request(question.prompt, question.new)
                held = request.cached + len(request.prompt) - len(question.prompt)
                assert held == reading.positions <= len(question.document.input_ids) * budget
                assert request.cached == 0 or reader == "focus"
                assert list(request.prompt[-len(question.prompt) :]) == list(question.prompt)
        focus = subject.reader("focus", options)
        without = read_by(subject, "focus_no_slots", questions, options)
        for reading, question in zip(without, questions, strict=True):
            memory = subject.ccf.compress(question.document.input_ids).quantize()
            spent = int(len(question.document.input_ids) * budget)
            given = [dataclasses.replace(question, memory=memory, budget=spent)]
            ((*_, last),) = focus.plans(given, focus.scores(given))
            assert list(reading.text) == list(last.text)


def test_joined_documents_compare_the_readers_row_by_row(subject: Subject, rows: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, readers=(*BY_QUESTION, "gold", "full"), limit=6, budget=Fraction(1, 6))
    n, told = evidence.evaluate(subject, rows, options)
    by_reader = {row["reader"]: row["metrics"] for row in told}
    assert n == 6
    assert set(by_reader) == {*BY_QUESTION, "gold", "full", "chance"}
    focus = by_reader["focus"]
    for other, name in (("bm25", "bm25"), ("focus_no_slots", "no_slots")):
        assert focus[f"f1_minus_{name}"] == pytest.approx(focus["f1"] - by_reader[other]["f1"], abs=1e-4)
        low, high = next(row for row in told if row["reader"] == "focus")["ci95"][f"f1_minus_{name}"]
        assert low <= focus[f"f1_minus_{name}"] <= high
    assert {"f1", "top3", "top3_context"} <= by_reader["bm25"].keys()
    for reader in BY_QUESTION:
        assert 0 < by_reader[reader]["kv_share"] <= 1 / 6
    assert "kv_share" in by_reader["gold"] and "kv_share" not in by_reader["full"]


def test_focus_is_measured_without_rivals_too(subject: Subject, rows: list[Row]) -> None:
    _, told = evidence.evaluate(subject, rows, dataclasses.replace(OPTIONS, readers=("focus",), limit=2))
    focus = next(row for row in told if row["reader"] == "focus")["metrics"]
    assert "f1" in focus and not any("minus" in name for name in focus)


def test_questions_whose_gold_is_not_in_what_bm25_reads_are_told_apart(subject: Subject, rows: list[Row]) -> None:
    """The words of these questions stand in another passage than the gold one, and the budget is a few tokens."""
    others = [{**row, "question": f"What of code{(i + 1) % 18}?"} for i, row in enumerate(rows)]
    options = dataclasses.replace(OPTIONS, budget=Fraction(1, 50), limit=6)
    _, told = evidence.evaluate(subject, others, options)
    for reader in BY_QUESTION:
        assert "f1_missed" in next(row for row in told if row["reader"] == reader)["metrics"]
    options = dataclasses.replace(options, budget=Fraction(1))
    _, told = evidence.evaluate(subject, others, options)
    assert not any("f1_missed" in row["metrics"] for row in told)


def test_readers_by_question_run_only_if_they_are_named(subject: Subject, qa_rows: list[Row]) -> None:
    _, told = longqa.evaluate(subject, qa_rows[:2], dataclasses.replace(OPTIONS, readers=("none",)))
    assert {row["reader"] for row in told} == {"none"}
    _, told = longqa.evaluate(subject, qa_rows[:2], OPTIONS)
    assert {row["reader"] for row in told} == set(BY_QUESTION)


def test_mean_pooled_memories_cannot_focus(make_subject, qa_rows: list[Row]) -> None:
    pooled = make_subject(compressor="mean_pool")
    with pytest.raises(MemoryMismatch, match="compresses into slots"):
        qa.evaluate(pooled, qa_rows[:2], OPTIONS)
