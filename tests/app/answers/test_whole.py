"""Questions about whole documents: recognised by their words, answered segment by segment."""

from __future__ import annotations

import pytest

from app.answers.notes import GONE_OVER, MOST, SOME
from app.answers.whole_question import asks_number, whole
from app.types import AnswerView
from app.workbench import Workbench
from ccf_core import CCF
from ccf_core.answering.prompt import ABSTENTION
from ccf_core.evaluation.rows import DATA, load_rows

WHOLE = {
    "summary": (
        "Summarise the document.",
        "Summarize this",
        "What is this about?",
        "What's it about?",
        "Can you give me a summary of the paper?",
        "Please summarise the report in three sentences.",
        "tl;dr",
        "Give me an overview",
        "What are the main points?",
        "What are the key takeaways from this article?",
        "What is the main idea of the text?",
        "What does this document say?",
        "Give me the gist of it.",
        "Sum up the story briefly",
        "What is the story about?",
        "What does the paper discuss?",
        "Could you summarize this meeting for me?",
        "Write a short summary.",
        "Outline the chapter.",
        "What is the document all about?",
        "What topics does it cover?",
        "Explain this paper",
        "In a nutshell, what does it say?",
        "Give a brief synopsis of the book",
        "What are the contents of this file?",
        "Describe the document",
        "What is the overall message?",
        "Tell me what this is about.",
        "Abstract of the paper?",
        "Summary please",
    ),
    "list": (
        "List all persons who are named.",
        "List every date in the document",
        "Name all the ships.",
        "Which places are mentioned?",
        "What tools are mentioned in the handbook?",
        "Who is mentioned in this text?",
        "What are all the deadlines?",
        "Enumerate all requirements.",
        "Find all amounts of money.",
        "Which countries does the report mention?",
        "Show me all the questions that are asked",
        "Give me every number in the text",
        "What people are named in the story?",
        "List the names of all people in the document.",
        "Extract all email addresses.",
        "What are all of the rules for members?",
        "Which authors are discussed?",
        "Tell me all the fees.",
        "Can you list all the characters?",
        "Make a list of all the places.",
    ),
    "count": (
        "How many people are mentioned?",
        "How many ships are named in the text?",
        "How many sections does the document have?",
        "How many times is Marta mentioned?",
        "How often is the battery named?",
        "Count all the dates.",
        "How many characters are there in the story?",
        "How many questions does it contain?",
        "How many tables are in the paper?",
        "How many different places does the text mention?",
        "Count the persons in the story",
        "How many chapters are there in this book?",
    ),
}
#: Questions that one place may answer, though they sound like the others.
ONE_PLACE = (
    "How many crates did the ship carry?",
    "How many ships were hidden by the fog?",
    "What is the main source of income?",
    "List the three causes of the fire.",
    "What is the capital of the region about?",
    "What is the summary judgment in the case?",
    "How many members does the library have?",
    "Who is named as the captain?",
    "Which member pays the fee?",
    "What was the meeting about?",
    "What are the main findings of the pilot?",
    "What does the handbook say about late tools?",
    "What is the story of the lighthouse keeper's son?",
    "How many batteries are there in the terminal?",
    "What does the captain say?",
    "What topics did Marta teach?",
    "Name the captain of the ferry.",
    "What is the title of the paper?",
    "How many pages may a member copy?",
    "When is the report due?",
    "What are the contents of the chest?",
    "Give me the date of the meeting.",
    "What is the key to the door?",
    "Explain why the ferry was late.",
    "Summarise the reasons why the pilot was stopped.",
    "How often does the ferry leave?",
    "Which tools may be lent for two weeks?",
    "What is the main point of contact?",
    "Who wrote the report?",
    "What does it cost?",
    "What is it?",
    "How many times a day does the bus run?",
)
SUMMARISE, LIST = "Summarise the document.", "List all ships that are named."


@pytest.fixture
def document(workbench: Workbench) -> str:
    text = " ".join(f"Ship number {i} carried {i * 13} crates of apples to the town on the hill." for i in range(12))
    return workbench.intake.ingest_text(text, "Ships").document.sha256


def final(pieces) -> AnswerView:
    *_, view = pieces
    assert isinstance(view, AnswerView)
    return view


@pytest.mark.parametrize(("kind", "question"), [(kind, q) for kind, asked in WHOLE.items() for q in asked])
def test_questions_about_the_whole_document_are_recognised(kind: str, question: str) -> None:
    assert whole(question) == kind


@pytest.mark.parametrize("question", ONE_PLACE)
def test_questions_that_one_place_answers_are_not(question: str) -> None:
    assert whole(question) is None


@pytest.mark.parametrize("name", ["qa", "qa_ood", "longqa"])
def test_no_question_of_the_development_data_is(name: str) -> None:
    rows = load_rows(DATA / f"{name}.jsonl.xz", ("question",))
    assert [row["question"] for row in rows if whole(row["question"])] == []


@pytest.mark.parametrize("reader", ["memory", "focus", "graded"])
def test_a_summary_is_a_sentence_of_each_segment(workbench: Workbench, document: str, reader) -> None:
    pieces = list(workbench.asking.ask(SUMMARISE, [document], 8, reader))
    view = final(pieces)
    assert "".join(pieces[:-1]).strip() == view.text
    lines = [line.removeprefix("- ") for line in view.text.splitlines()]
    text = " ".join(workbench.store.documents.text(document).split())
    assert len(lines) > 1 and all(line in text for line in lines)
    segments = len(workbench.memories.segmented(document).spans)
    chosen = {workbench.attention.sentence_of(document, index, 8) for index in range(segments)}
    assert set(lines) == {" ".join(sentence.split()) for sentence in chosen}
    assert GONE_OVER["summary"] in view.notes
    assert (view.reader, view.evidence) == ("memory", ())


def test_what_is_to_be_listed_is_asked_of_every_segment_alone(workbench: Workbench, document: str) -> None:
    view = final(workbench.asking.ask(LIST, [document], 8))
    ccf: CCF = workbench.model.load()
    told = []
    for index in range(len(workbench.memories.segmented(document).spans)):
        memory = workbench.memories.recall(document, 8, [index]).memory
        told.append(" ".join(ccf.answer(LIST, memory, 48).text.split()))  # type: ignore[union-attr]
    assert {line.removeprefix("- ") for line in view.text.splitlines()} <= {*told, ABSTENTION}
    assert view.kv_bytes > 0
    assert view.notes[0] == GONE_OVER["list"]


def test_a_long_document_is_gone_over_in_part(workbench: Workbench, prose) -> None:
    document = workbench.intake.ingest_text(prose(900), "Long").document.sha256
    segments = len(workbench.memories.segmented(document).spans)
    assert segments > MOST
    view = final(workbench.asking.ask(SUMMARISE, [document]))
    assert SOME.format(some=MOST, all=segments) in view.notes
    assert 1 <= len(view.text.splitlines()) <= MOST


def test_going_over_a_document_stops_when_it_is_asked_to(workbench: Workbench, document: str) -> None:
    lines: list[str] = []
    for piece in workbench.asking.ask(SUMMARISE, [document], cancelled=lambda: bool(lines)):
        if isinstance(piece, str):
            lines.append(piece)
        else:
            assert piece.text == lines[0].strip()
            assert piece.notes[-1] == "The answer was stopped before its end."
    assert len(lines) == 1


def test_readers_of_text_and_comparisons_are_asked_as_they_are(workbench: Workbench, document: str) -> None:
    for view in (
        final(workbench.asking.ask(SUMMARISE, [document], 8, "full")),
        final(workbench.asking.ask(SUMMARISE, [document], 8, as_asked=True)),
        *(step.answer for step in workbench.comparing.compare(SUMMARISE, [document], ["8x"]) if step.answer),
    ):
        assert GONE_OVER["summary"] not in view.notes


def test_a_number_of_rows_is_told_by_the_table_and_not_counted(workbench: Workbench) -> None:
    rows = "".join(f"{n},Person {n},{'Port' if n % 3 else 'Hill'}\n" for n in range(1, 41))
    done = workbench.intake.ingest(f"No,Name,Town\n{rows}".encode(), "members.csv")
    documents = [done.document.sha256]
    for question in ("How many rows are there?", "How many members live in Port?", "Count the towns"):
        *_, view = workbench.asking.ask(question, documents, 4, "focus")
        assert isinstance(view, AnswerView)
        assert view.text == "- 40 rows and 3 columns: No, Name, Town."
        assert GONE_OVER["rows"] in view.notes
    *_, view = workbench.asking.ask("How many rows are there?", documents, 4, "truncated")
    assert isinstance(view, AnswerView) and GONE_OVER["rows"] not in view.notes


def test_in_other_documents_how_many_is_asked_as_before() -> None:
    assert whole("How many members live in Port?") is None
    assert asks_number("How many members live in Port?")
    assert not asks_number("Who lives in Port?")
