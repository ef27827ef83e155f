"""Questions are answered from stored memories, with evidence and measured costs."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.answers.notes import FOREIGN, READ_AS_TEXT
from app.documents.export import answer_from_dict, answer_to_dict, export_answer
from app.errors import NoDocument, NotAnswerable
from app.settings import Settings
from app.types import AnswerView, IngestProgress
from app.workbench import Workbench
from ccf_core import CCF, Cancelled, Focus
from ccf_core.baselines import BASELINES
from store import ChatNotFound, DocumentNotFound
from tests import papers

QUESTION = "Where were the ships?"


@pytest.fixture(scope="module")
def stored(tiny_model_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, prose) -> Path:
    """A data folder with two logs, compressed."""
    base, adapter = tiny_model_folders
    folder = tmp_path_factory.mktemp("stored") / "data"
    with Workbench(Settings(folder, adapter=adapter, base=str(base), device="cpu", dtype="float32")) as workbench:
        for seed in (1, 2):
            workbench.intake.ingest_text(prose(200 + 40 * seed, seed), f"Log {seed}")
    return folder


@pytest.fixture
def settings(settings: Settings, stored: Path) -> Settings:
    shutil.copytree(stored, settings.data_dir)
    return settings


@pytest.fixture
def documents(workbench: Workbench) -> list[str]:
    return [one.sha256 for one in sorted(workbench.library.documents(), key=lambda one: one.title)]


def final(pieces) -> AnswerView:
    *_, answer = pieces
    assert isinstance(answer, AnswerView)
    return answer


def test_pieces_then_the_answer_and_the_encoder_rests(workbench: Workbench, documents, encoded) -> None:
    *pieces, answer = workbench.asking.ask(f"  {QUESTION}\n", documents[:1], 8)
    assert all(isinstance(piece, str) for piece in pieces)
    assert "".join(pieces).strip() == answer.text
    assert answer.text
    assert (answer.question, answer.reader, answer.ratio) == (QUESTION, "memory", 8)
    assert answer.documents == (documents[0],)
    assert encoded == []


@pytest.mark.parametrize("ratio", [4, 8, 16, 32])
def test_the_answer_is_the_models_own_from_that_memory(
    workbench: Workbench, settings: Settings, documents, ratio: int
) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    memory = ccf.compress(workbench.library.text(documents[0])).quantize().at(ratio)
    expected = ccf.answer(QUESTION, memory)
    answer = final(workbench.asking.ask(QUESTION, documents[:1], ratio))
    assert answer.text == expected.text
    assert (answer.kv_bytes, answer.full_kv_bytes) == (expected.kv_bytes, expected.full_kv_bytes)
    assert [item.segment for item in answer.evidence] == [item.segment for item in expected.evidence][:8]


def test_graded_reads_as_many_positions_as_the_ratio_has_of_the_finest_memory(
    workbench: Workbench, settings: Settings, documents
) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    text = ccf.segment(workbench.library.text(documents[0]))
    memory = ccf.compress(workbench.library.text(documents[0])).quantize()
    focus = Focus(text.slots(8))
    expected = ccf.answer(QUESTION, memory, reader="graded", input_ids=text.input_ids, focus=focus)
    answer = final(workbench.asking.ask(QUESTION, documents[:1], 8, "graded"))
    assert (answer.text, answer.kv_bytes) == (expected.text, expected.kv_bytes)
    assert answer.kv_bytes <= text.slots(8) * ccf.decoder.kv_bytes


def test_costs_agree_with_savings(workbench: Workbench, documents) -> None:
    savings = workbench.savings.sizes(documents[0])
    for row in savings.ratios:
        answer = final(workbench.asking.ask(QUESTION, documents[:1], row.ratio))
        assert answer.kv_bytes == row.kv_bytes
        assert (answer.full_kv_bytes, answer.stored_bytes, answer.text_bytes) == (
            savings.full_kv_bytes,
            savings.stored_bytes,
            savings.text_bytes,
        )


def test_evidence_quotes_the_text_it_stands_for(workbench: Workbench, documents) -> None:
    answer = final(workbench.asking.ask(QUESTION, documents, 8))
    assert len(answer.evidence) == 8
    assert {item.document for item in answer.evidence} == set(documents)
    scores = [item.score for item in answer.evidence]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1.0001
    for item in answer.evidence:
        segment = workbench.library.segments(item.document)[item.segment]
        assert (item.start, item.end, item.page) == (segment.start, segment.end, segment.page)
        assert item.text == workbench.library.text(item.document)[item.start : item.end]
        assert item.title == workbench.library.document(item.document).title


def test_evidence_knows_its_page_though_one_holds_only_a_picture(workbench: Workbench, prose) -> None:
    done = workbench.intake.ingest(papers.wrapped(prose(60, 1), "", prose(60, 2)), "book.pdf")
    text = workbench.library.text(done.document.sha256)
    third = text.index("Log 2.")
    assert done.document.pages == 3
    answer = final(workbench.asking.ask(QUESTION, [done.document.sha256], 32))
    assert {item.page for item in answer.evidence} == {1, 3}
    assert all(item.page == (3 if item.start >= third else 1) for item in answer.evidence)


def test_several_documents_are_read_in_the_order_given(workbench: Workbench, documents) -> None:
    one, two = (final(workbench.asking.ask(QUESTION, [sha256], 8)) for sha256 in documents)
    both = final(workbench.asking.ask(QUESTION, [*documents, documents[0]], 8))
    assert both.documents == tuple(documents)
    assert both.kv_bytes == one.kv_bytes + two.kv_bytes
    assert both.full_kv_bytes == one.full_kv_bytes + two.full_kv_bytes
    assert both.stored_bytes == one.stored_bytes + two.stored_bytes
    assert both.text_bytes == one.text_bytes + two.text_bytes


@pytest.mark.parametrize("reader", ["full", "truncated", "none", *BASELINES])
def test_other_readers_for_comparison(workbench: Workbench, settings: Settings, documents, reader, encoded) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    segmented = ccf.segment(workbench.library.text(documents[0]))
    memory = workbench.memories.recall(documents[0], 8).memory
    expected = ccf.answer(QUESTION, memory, reader=reader, input_ids=segmented.input_ids)
    answer = final(workbench.asking.ask(QUESTION, documents[:1], 8, reader))
    assert answer.text == expected.text
    assert (answer.kv_bytes, answer.full_kv_bytes) == (expected.kv_bytes, expected.full_kv_bytes)
    assert (answer.evidence, encoded) == ((), [])


def test_focus_reads_the_bytes_of_a_ratio_where_the_question_needs_them(
    workbench: Workbench, settings: Settings, documents, encoded
) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    ids = ccf.segment(workbench.library.text(documents[0])).input_ids
    memory = workbench.memories.recall(documents[0], 4).memory
    for ratio, in_full in ((4, 0), (4, 1), (8, 0)):
        limit = Focus(memory.at(ratio).slots, in_full)
        expected = ccf.answer(QUESTION, memory, reader="focus", input_ids=ids, focus=limit)
        answer = final(workbench.asking.ask(QUESTION, documents[:1], ratio, "focus", in_full=in_full))
        assert (answer.text, answer.kv_bytes) == (expected.text, expected.kv_bytes)
        assert answer.kv_bytes <= final(workbench.asking.ask(QUESTION, documents[:1], ratio)).kv_bytes
        assert [(e.segment, e.ratio) for e in answer.evidence] == [(e.segment, e.ratio) for e in expected.evidence[:8]]
        in_text = [e for e in answer.evidence if e.ratio == 1]
        assert in_text and (not in_full or len(in_text) == in_full) and answer.notes == ()
    assert encoded == []
    assert answer_from_dict(answer_to_dict(answer)) == answer
    assert ", read as text, share " in export_answer(answer)
    both = final(workbench.asking.ask(QUESTION, documents, 8, "focus"))
    assert {e.document for e in both.evidence} <= set(documents)
    for e in both.evidence:
        assert e.text == workbench.library.text(e.document)[e.start : e.end]


def test_focus_says_when_the_bytes_are_too_few_for_text(workbench: Workbench, documents) -> None:
    answer = final(workbench.asking.ask(QUESTION, documents[:1], 32, "focus"))
    assert answer.text == final(workbench.asking.ask(QUESTION, documents[:1], 32)).text
    assert [note for note in answer.notes if "no room for text" in note]
    answer = final(workbench.asking.ask(QUESTION, documents[:1], 4, "focus", in_full=8))
    in_full = [e for e in answer.evidence if e.ratio == 1]
    assert [note for note in answer.notes if f"have room for text of {len(in_full)} segment" in note]
    with pytest.raises(NotAnswerable, match="0 or more"):
        next(workbench.asking.ask(QUESTION, documents[:1], 4, "focus", in_full=-1))


def test_the_reader_none_needs_no_document(workbench: Workbench) -> None:
    answer = final(workbench.asking.ask(QUESTION, [], reader="none"))
    assert (answer.documents, answer.kv_bytes, answer.full_kv_bytes) == ((), 0, 0)


def test_questions_that_cannot_be_asked(workbench: Workbench, documents) -> None:
    with pytest.raises(NoDocument, match="no document"):
        next(workbench.asking.ask(QUESTION, []))
    for question in ("", " \n"):
        with pytest.raises(NotAnswerable, match="no question"):
            next(workbench.asking.ask(question, documents))
    with pytest.raises(NotAnswerable, match="shorten"):
        next(workbench.asking.ask("ships and fog " * 40, documents))
    with pytest.raises(NotAnswerable, match="4, 8, 16, 32"):
        next(workbench.asking.ask(QUESTION, documents, 5))
    with pytest.raises(NotAnswerable, match="4, 8, 16, 32"):
        next(workbench.asking.ask(QUESTION, documents, 5, "full"))
    with pytest.raises(NotAnswerable, match="reader"):
        next(workbench.asking.ask(QUESTION, documents, 8, "guess"))  # type: ignore[arg-type]
    with pytest.raises(NotAnswerable, match="1 to 128"):
        next(workbench.asking.ask(QUESTION, documents, max_new_tokens=0))
    with pytest.raises(DocumentNotFound):
        next(workbench.asking.ask(QUESTION, ["0" * 64]))
    with pytest.raises(ChatNotFound):
        next(workbench.asking.ask(QUESTION, documents, chat=7))


def test_a_deleted_document_cannot_be_asked(workbench: Workbench, documents) -> None:
    final(workbench.asking.ask(QUESTION, documents))
    workbench.library.delete(documents[0])
    for reader in ("memory", "full", "truncated", "none"):
        with pytest.raises(DocumentNotFound):
            next(workbench.asking.ask(QUESTION, documents, 8, reader))
    with pytest.raises(DocumentNotFound):
        workbench.memories.recall(documents[0], 8)
    assert final(workbench.asking.ask(QUESTION, documents[1:])).documents == (documents[1],)


def test_text_longer_than_the_window_is_asked_through_memory_only(workbench: Workbench, prose) -> None:
    done = workbench.intake.ingest_text(prose(900), "Long")
    for reader in ("full", *BASELINES):
        with pytest.raises(NotAnswerable, match="896"):
            next(workbench.asking.ask(QUESTION, [done.document.sha256], 8, reader))  # type: ignore[arg-type]
    answer = final(workbench.asking.ask(QUESTION, [done.document.sha256], 8))
    assert len(answer.notes) == 1
    assert "closer together" in answer.notes[0]


def test_a_text_of_three_tokens_is_said_to_be_hardly_compressed(workbench: Workbench) -> None:
    done = workbench.intake.ingest_text("xyz")
    answer = final(workbench.asking.ask(QUESTION, [done.document.sha256], 32, as_asked=True))
    assert answer.notes == ("“xyz” has only 3 tokens: it is hardly compressed.",)
    assert answer.kv_bytes > 0


@pytest.mark.parametrize("reader", ["memory", "focus", "graded"])
def test_short_documents_are_read_as_text(workbench: Workbench, prose, reader) -> None:
    short, other, long = (workbench.intake.ingest_text(prose(n), f"{n}").document.sha256 for n in (8, 9, 30))
    answer = final(workbench.asking.ask(QUESTION, [short], 8, reader))
    assert (answer.reader, answer.notes) == ("full", (READ_AS_TEXT,))
    assert answer.text == final(workbench.asking.ask(QUESTION, [short], 8, "full")).text
    for documents in ([long], [short, other]):
        answer = final(workbench.asking.ask(QUESTION, documents, 8, reader))
        assert answer.reader == reader
        assert READ_AS_TEXT not in answer.notes


def test_a_foreign_language_is_warned_of_before_the_answer(workbench: Workbench, documents, monkeypatch) -> None:
    monkeypatch.setattr("app.answers.notes.is_foreign", lambda text, tokenizer: text == "Wo?")
    warned: list[str] = []
    pieces = workbench.asking.ask("Wo?", documents[:1], warned=warned.append)
    assert isinstance(next(pieces), str)
    assert warned == [FOREIGN.format(what="The question")]
    assert final(pieces).notes[:1] == tuple(warned)
    monkeypatch.setattr("app.answers.notes.is_foreign", lambda text, tokenizer: text != QUESTION)
    title = workbench.store.documents.get(documents[0]).title
    assert final(workbench.asking.ask(QUESTION, documents[:1])).notes[0] == FOREIGN.format(what=f"“{title}”")


def test_stopping_an_answer_keeps_what_was_written(workbench: Workbench, documents) -> None:
    whole = final(workbench.asking.ask(QUESTION, documents[:1]))
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    part = final(workbench.asking.ask(QUESTION, documents[:1], cancelled=cancelled))
    assert "The answer was stopped before its end." in part.notes
    assert len(part.text) < len(whole.text)
    assert whole.text.startswith(part.text)


def test_leaving_early_frees_the_model(workbench: Workbench, documents) -> None:
    pieces = workbench.asking.ask(QUESTION, documents[:1])
    next(pieces)
    pieces.close()
    assert final(workbench.asking.ask(QUESTION, documents[:1])).text


def test_a_question_waits_for_its_turn_and_can_be_cancelled_there(workbench: Workbench, documents) -> None:
    busy = workbench.asking.ask(QUESTION, documents[:1])
    next(busy)
    with pytest.raises(Cancelled, match="waiting"):
        next(workbench.asking.ask(QUESTION, documents[1:], cancelled=lambda: True))
    answers: list[AnswerView] = []
    waiting = threading.Thread(
        target=lambda: answers.append(final(workbench.asking.ask(QUESTION, documents[1:]))), daemon=True
    )
    waiting.start()
    final(busy)
    waiting.join()
    assert answers[0].documents == (documents[1],)


def test_a_question_is_answered_between_two_segments_of_an_ingest(workbench: Workbench, documents, prose) -> None:
    answers: list[AnswerView] = []

    def ask(step: IngestProgress) -> None:
        if step.stage == "memory" and 0 < step.done < step.total and not answers:
            answers.append(final(workbench.asking.ask(QUESTION, documents[:1])))

    workbench.intake.ingest_text(prose(300, 9), "Another", ask)
    assert answers == [replace(final(workbench.asking.ask(QUESTION, documents[:1])), timings=answers[0].timings)]


def test_chats_remember_questions_and_answers(workbench: Workbench, settings: Settings, documents) -> None:
    chat = workbench.conversations.new("Ships", documents)
    first = final(workbench.asking.ask(QUESTION, documents, chat=chat.id))
    workbench.close()
    with Workbench(settings) as later:
        assert [c.title for c in later.conversations.list()] == ["Ships"]
        asked, answered = later.conversations.messages(chat.id)
        assert (asked.role, asked.content, asked.answer) == ("user", QUESTION, None)
        assert (answered.role, answered.content, answered.answer) == ("assistant", first.text, first)
        later.conversations.rename(chat.id, "Fog")
        assert later.conversations.list()[0].title == "Fog"
        later.conversations.delete(chat.id)
        assert later.conversations.list() == []


def test_a_chat_keeps_nothing_quoted_from_a_deleted_document(workbench: Workbench, documents) -> None:
    chat = workbench.conversations.new("Ships", documents)
    final(workbench.asking.ask(QUESTION, documents, chat=chat.id))
    workbench.library.delete(documents[0])
    answer = workbench.conversations.messages(chat.id)[1].answer
    assert answer is not None
    assert {item.document for item in answer.evidence} == {documents[1]}


def test_a_document_deleted_during_the_answer_leaves_no_quotes(workbench: Workbench, documents, monkeypatch) -> None:
    chat = workbench.conversations.new("Ships", documents)
    append = workbench.store.transaction

    def delete_first():
        monkeypatch.undo()
        workbench.library.delete(documents[0])
        return append()

    # The narrowest moment: the answer is complete, but not yet in the chat.
    monkeypatch.setattr(workbench.store, "transaction", delete_first)
    handed = final(workbench.asking.ask(QUESTION, documents, chat=chat.id))
    answer = workbench.conversations.messages(chat.id)[1].answer
    assert answer == handed
    assert {item.document for item in answer.evidence} == {documents[1]}


def test_answers_export_as_json_and_markdown(workbench: Workbench, prose) -> None:
    done = workbench.intake.ingest_text(prose(40) + "\n# <script>alert(1)</script> ![x](http://host/x.png)", "*Log*")
    answer = final(workbench.asking.ask("Which *ships*?", [done.document.sha256], 32))
    data = json.loads(export_answer(answer, "json"))
    assert (data["text"], data["kv_bytes"], data["question"]) == (
        answer.text,
        answer.kv_bytes,
        "Which *ships*?",
    )
    assert [item["text"] for item in data["evidence"]] == [item.text for item in answer.evidence]
    markdown = export_answer(answer)
    assert markdown.startswith("# Which \\*ships\\*?\n")
    assert "<script>" not in markdown
    assert "](" not in markdown
    assert f"{answer.kv_bytes:,}" in markdown
