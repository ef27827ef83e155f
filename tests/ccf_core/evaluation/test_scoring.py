"""Questions about documents: qa, with and without an answer, and longqa."""

from __future__ import annotations

import dataclasses

import pytest

from ccf_core import metrics
from ccf_core.answering.prompt import question_prompt
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers.base import Scores
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import longqa, qa
from ccf_core.readers.text import fitting

OPTIONS = Options(ratios=(4, 16))


def test_qa_tells_every_reader_source_and_ratio(subject: Subject, qa_rows: list[Row]) -> None:
    n, rows = qa.evaluate(subject, qa_rows, OPTIONS)
    assert n == len(qa_rows)
    settings = [("memory", 4), ("memory", 16), ("full", None), ("truncated", 4), ("truncated", 16)]
    settings += [("none", None), ("base_full", None)]
    told = [(row["reader"], row["ratio"], row["source"]) for row in rows]
    assert told == [(*setting, source) for source in ("all", "macro", "s0", "s1") for setting in settings]
    assert {row["n"] for row in rows} == {len(qa_rows), len(qa_rows) // 2}
    for row in rows:
        assert {"f1", "em", "rouge_l", "abstain_f1"} <= row["metrics"].keys()
        assert all(0 <= row["metrics"][name] <= 1 for name in ("f1", "em", "rouge_l", "abstain_f1"))


@pytest.mark.parametrize("reader", ["memory", "full", "truncated", "none"])
def test_qa_asks_as_the_codec_answers(subject: Subject, qa_rows: list[Row], reader: str) -> None:
    ccf = subject.ccf
    short = [row for row in qa_rows if row["answers"] and not metrics.is_long(row["answers"])]
    _, rows = qa.evaluate(subject, short, dataclasses.replace(OPTIONS, ratios=(8,), readers=(reader,)))
    expected = []
    for row in short:
        memory = ccf.compress(row["context"]).quantize().at(8)
        ids = ccf.segment(row["context"]).input_ids
        text = ccf.answer(row["question"], memory, max_new_tokens=32, reader=reader, input_ids=ids).text
        expected.append(metrics.f1(row["answers"], text))
    assert rows[0]["metrics"]["f1"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_kept_divides_by_the_best_full_context() -> None:
    def one(f1: float) -> list[Scores]:
        return [{"f1": [(f1, 1.0)], "em": [(0.0, 1.0)]}]

    scores = {("memory", 4): one(0.3), ("full", None): one(0.4), ("base_full", None): one(0.6)}
    kept = [row["metrics"]["kept"] for row in scoring.table(scores, [0], "all", seed=0)]
    assert kept == pytest.approx([0.5, 2 / 3, 1.0], abs=1e-4)
    scores["yardstick_full", None] = one(0.8)
    kept = [row["metrics"]["kept"] for row in scoring.table(scores, [0], "all", seed=0)]
    assert kept == pytest.approx([3 / 8, 1 / 2, 3 / 4, 1.0], abs=1e-4)


def test_what_a_dtype_costs_is_told_row_by_row_at_the_same_ratio() -> None:
    def both(*f1: float) -> list[Scores]:
        return [{"f1": [(one, 1.0)]} for one in f1]

    scores = {
        ("memory_bfloat16", 4): both(0.3, 0.5), ("memory_bfloat16", 8): both(0.1, 0.2),
        ("memory_int4", 4): both(0.3, 0.4), ("memory_int4", 8): both(0.2, 0.2), ("memory", 8): both(0.0, 0.0),
    }  # fmt: skip
    rows = scoring.table(scores, [0, 1], "all", seed=0)
    costs = {(row["reader"], row["ratio"]): row["metrics"].get("f1_minus_bfloat16") for row in rows}
    assert {setting for setting, cost in costs.items() if cost is not None} == {("memory_int4", 4), ("memory_int4", 8)}
    assert costs["memory_int4", 4] == pytest.approx(-0.05)
    assert costs["memory_int4", 8] == pytest.approx(0.05)
    assert rows[2]["ci95"]["f1_minus_bfloat16"] == pytest.approx([-0.1, 0.0])


def test_context_longer_than_the_window_is_cut_to_what_fits(subject: Subject) -> None:
    row = {"source": "s", "context": "fog " * 3000, "question": "Where?", "answers": ["Oslo"]}
    document = subject.ccf.segment(row["context"])
    prompt = question_prompt(subject.ccf.tokenizer, row["question"])
    question = scoring.question(subject, row, document)
    reader = subject.reader("full", OPTIONS)
    (reading,) = reader.read([question], reader.prepare([question]))
    request = reading.request(prompt, scoring.ANSWER_TOKENS)
    assert len(document.input_ids) > 1024
    assert request.length == 1024
    assert list(request.prompt[-len(prompt) :]) == prompt


@pytest.fixture(scope="module")
def tales() -> list[Row]:
    """Two passages of each of three tales, a question for each, and one that is asked of every passage."""
    passages = [(f"tale-{t}-{p}", f"Tale {t} part {p} says {t}{p}{t}{p} twice.") for t in range(3) for p in range(2)]
    own = [(f"What does part {name} say?", [context.split()[5]]) for name, context in passages]
    return [
        {"source": "s", "id": name, "context": context, "question": question, "answers": answers}
        for (name, context), specific in zip(passages, own, strict=True)
        for question, answers in (specific, ("What is the plot?", ["nothing"]))
    ]


def test_unanswerable_questions_go_to_another_document_that_lacks_the_answer(tales: list[Row]) -> None:
    made = qa.unanswerable(tales, 6, seed=0)
    answers = {row["question"]: (row["context"], row["answers"]) for row in tales}
    assert len(made) == 6 and made == qa.unanswerable(tales, 6, seed=0) != qa.unanswerable(tales, 6, seed=1)
    for row in made:
        context, known = answers[row["question"]]
        assert row["answers"] == [] and row["question"] != "What is the plot?"
        assert row["context"].split()[1] != context.split()[1]
        assert not metrics.holds(row["context"], known[0])
    with pytest.raises(EvaluationError, match="Only 6 questions"):
        qa.unanswerable(tales, 7, seed=0)


def test_a_context_that_holds_the_answer_is_not_unanswerable() -> None:
    rows = [
        {"source": "s", "title": title, "context": context, "question": f"{title}?", "answers": ["Oslo"]}
        for title, context in (("one", "It is Oslo."), ("two", "They left oslo, too."), ("three", "Somewhere else."))
    ]
    assert {row["context"] for row in qa.unanswerable(rows, 2, seed=0)} == {"Somewhere else."}


def test_abstaining_is_scored_apart(subject: Subject, tales: list[Row]) -> None:
    options = dataclasses.replace(OPTIONS, ratios=(8,), readers=("memory", "none"))
    n, plain = qa.evaluate(subject, tales, options)
    more, rows = qa.evaluate(subject, tales, dataclasses.replace(options, unanswerable=4))
    assert (n, more) == (12, 16)
    for before, row in zip(plain, rows, strict=True):
        assert row["unanswerable"] == 4 and "unanswerable" not in before
        for metric in ("f1", "em", "false_abstain"):
            assert row["metrics"][metric] == before["metrics"][metric]
        assert "abstain_f1" in row["metrics"] and "abstain_f1" not in before["metrics"]


def test_false_abstentions_are_of_rows_with_an_answer() -> None:
    assert scoring.scores_of({"answers": ["Oslo"]}, "not in the document")["false_abstain"] == [(1.0, 1.0)]
    assert scoring.scores_of({"answers": ["Oslo"]}, "Oslo")["false_abstain"] == [(0.0, 1.0)]
    assert scoring.scores_of({"answers": []}, "not in the document") == {"abstain_f1": [(1.0, 1.0)]}


@pytest.mark.parametrize(
    ("row", "metric", "tokens"),
    [
        ({"answers": ["Oslo"]}, "f1", 32),
        ({"answers": ["They left Oslo."], "kind": "sentence"}, "rouge_l", 192),
        ({"answers": ["They left Oslo."], "kind": "longform"}, "rouge_l", 192),
        ({"answers": ["They left Oslo."], "kind": "extractive"}, "f1", 32),
        ({"answers": ["word " * 31], "kind": "extractive"}, "rouge_l", 192),
        ({"answers": ["word " * 31, "Oslo"]}, "f1", 32),
        ({"answers": [], "kind": "sentence"}, "abstain_f1", 32),
    ],
)
def test_answers_of_long_form_have_room_and_a_score_of_their_own(
    subject: Subject, row: Row, metric: str, tokens: int
) -> None:
    assert {"f1", "rouge_l", "abstain_f1"} & scoring.scores_of(row, "They left Oslo.").keys() == {metric}
    document = subject.ccf.segment("They left Oslo.")
    assert scoring.question(subject, {"question": "Where?", **row}, document).new == tokens


def test_a_macro_average_weighs_sources_alike() -> None:
    rows = [{"source": source, "answers": ["x"]} for source in "aaab"]
    memory: list[Scores] = [{"f1": [(one, 1.0)]} for one in (0.0, 0.3, 0.6, 0.5)]
    full: list[Scores] = [{"f1": [(one, 1.0)]} for one in (0.6, 0.6, 0.6, 1.0)]
    memory[3]["rouge_l"] = [(0.25, 1.0)]
    told = scoring.tables(rows, {("memory", 4): memory, ("full", None): full}, seed=0)
    whole, macro = ([r["metrics"] for r in told if r["source"] == source] for source in ("all", "macro"))
    assert [r["n"] for r in told if r["source"] == "macro"] == [4, 4]
    assert [row["f1"] for row in whole] == pytest.approx([1.4 / 4, 2.8 / 4])
    assert [row["f1"] for row in macro] == pytest.approx([(0.3 + 0.5) / 2, (0.6 + 1.0) / 2])
    assert macro[0]["kept"] == pytest.approx((0.3 + 0.5) / (0.6 + 1.0))
    assert macro[0]["rouge_l"] == 0.25  # of the one source that tells it
    assert not [r for r in scoring.tables(rows[:3], {("full", None): full[:3]}, seed=0) if r["source"] == "macro"]


def test_long_documents_are_read_once_and_cut_to_the_window(subject: Subject, long_rows: list[Row]) -> None:
    rows = [
        {"source": row["source"], "context": row["text"][:end], "question": f"Who hid {'of it ' * i}?", "answers": a}
        for row, end in zip(long_rows[:2], (None, 1500), strict=True)
        for i, a in enumerate((["seven ships"], ["word " * 40], ["Oslo"]))
    ]
    options = dataclasses.replace(OPTIONS, ratios=(32,))
    n, told = longqa.evaluate(subject, rows, options)
    assert n == 6
    whole = {row["reader"]: row for row in told if row["source"] == "all"}
    assert {row["documents"] for row in told if row["source"] == "all"} == {2}
    assert whole["full"]["cut"] == whole["base_full"]["cut"] == 0.5
    assert "cut" not in whole["memory"]
    assert [row["cut"] for row in told if row["reader"] == "full"] == [0.5, 0.5, 1.0, 0.0]
    # A document that is shared gives the same answers as one that is read for each question anew.
    documents = [subject.ccf.segment(row["context"]) for row in rows]
    questions = [scoring.question(subject, row, doc, None) for row, doc in zip(rows, documents, strict=True)]
    assert len({q.document.sha256 for q in questions}) == 2
    ((_, together, _),) = scoring.answers(subject, [("full", None)], questions, options)
    for question, ids in zip(questions, together, strict=True):
        group = [q for q in questions if q.document.sha256 == question.document.sha256]
        text = question.document.input_ids[: fitting(group)]
        prompt = [*text, *question.prompt]
        assert subject.ccf.decoder.generate([None], [prompt], max_new_tokens=question.new) == [ids]
