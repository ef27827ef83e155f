"""The shelf: states, names, search, deletion."""

from __future__ import annotations

import threading

import pytest

from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from store import DocumentNotFound
from tests import papers


def test_states_from_unknown_to_ready(workbench: Workbench, settings: Settings, prose) -> None:
    seen: list[str] = []

    def look(step: IngestProgress) -> None:
        seen.extend(document.state for document in workbench.library.documents())

    done = workbench.intake.ingest_text(prose(), "Log", look)
    assert list(dict.fromkeys(seen)) == ["unknown", "compressing", "ready"]
    with Workbench(settings) as later:
        assert later.library.document(done.document.sha256).state == "unknown"
        later.model.load()
        assert later.library.document(done.document.sha256).state == "ready"


def test_the_newest_document_comes_first(workbench: Workbench, prose) -> None:
    for seed in range(3):
        workbench.intake.ingest_text(prose(20, seed), f"Log {seed}")
    assert [d.title for d in workbench.library.documents()] == ["Log 2", "Log 1", "Log 0"]


def test_renaming_keeps_titles_to_one_visible_line(workbench: Workbench, prose) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    assert workbench.library.rename(sha256, " Ship's\n log\u202e \x07 2 ").title == "Ship's log 2"
    assert workbench.library.rename(sha256, " \t ").title == "Ship's log 2"
    assert len(workbench.library.rename(sha256, "x" * 500).title) == 120
    with pytest.raises(DocumentNotFound):
        workbench.library.rename("0" * 64, "x")


def test_search_finds_words_and_their_page(workbench: Workbench, prose) -> None:
    workbench.intake.ingest(
        papers.wrapped(prose(60, 1), "", "The lighthouse keeper slept. " + prose(60, 2)), "book.pdf"
    )
    workbench.intake.ingest_text(prose(60, 3), "Log")
    (hit,) = workbench.library.search("lighthouses")
    assert hit.page == 3
    ((start, end),) = hit.marks
    assert hit.snippet[start:end] == "lighthouse"
    assert workbench.library.text(hit.document.sha256)[hit.start :].startswith(hit.snippet)
    assert workbench.library.search("") == workbench.library.search('"') == []


def test_deletion_leaves_nothing_behind(workbench: Workbench, prose, sql) -> None:
    done = workbench.intake.ingest_text(prose(), "Log")
    workbench.library.delete(done.document.sha256)
    assert (workbench.library.documents(), workbench.library.search("fog")) == ([], [])
    assert (workbench.library.stats().blobs, workbench.library.stats().memory_bytes) == (0, 0)
    with pytest.raises(DocumentNotFound):
        workbench.library.text(done.document.sha256)
    with pytest.raises(DocumentNotFound):
        workbench.library.delete(done.document.sha256)
    workbench.store.vacuum()
    workbench.close()
    assert b"harbour" not in workbench.store.path.read_bytes()


def test_a_document_may_come_back_after_deletion(workbench: Workbench, prose, encoded) -> None:
    first = workbench.intake.ingest_text(prose(), "Log")
    workbench.library.delete(first.document.sha256)
    encoded.clear()
    again = workbench.intake.ingest_text(prose(), "Log")
    assert len(encoded) == again.segments
    assert (again.document.tokens, again.document.state) == (first.tokens, "ready")


def test_reading_the_shelf_does_not_wait_for_a_busy_model(workbench: Workbench, prose) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    pieces = workbench.asking.ask("Where?", [sha256])
    next(pieces)
    states: list[str] = []
    reader = threading.Thread(target=lambda: states.append(workbench.library.documents()[0].state), daemon=True)
    reader.start()
    reader.join(timeout=60)
    pieces.close()
    assert states == ["ready"]


def test_deletion_wipes_the_file_at_once(workbench: Workbench, prose) -> None:
    workbench.intake.ingest_text(prose(50, 3), "Kept")
    workbench.library.delete(
        workbench.intake.ingest_text(prose() + " Zanzibar and pepper.", "Zanzibar").document.sha256
    )
    for file in workbench.store.path.parent.iterdir():
        assert b"anzibar" not in file.read_bytes()


def test_a_passage_is_the_text_around_a_place(workbench: Workbench, prose) -> None:
    done = workbench.intake.ingest(
        papers.wrapped(prose(60, 1), "", "The lighthouse keeper slept. " + prose(60, 2)), "book.pdf"
    )
    text = workbench.library.text(done.document.sha256)
    start = text.index("lighthouse")
    view = workbench.library.passage(done.document.sha256, start, start + 10)
    assert (view.before + view.marked + view.after, view.marked, view.page) == (text, "lighthouse", 3)
    assert [number for number, _ in view.pages] == [1, 3]
    near = workbench.library.passage(done.document.sha256, start, start + 10, around=5)
    assert near.before + near.marked + near.after == text[start - 5 : start + 15]
    assert (near.start, near.skipped_before, near.skipped_after) == (start - 5, start - 5, len(text) - start - 15)
    beyond = workbench.library.passage(done.document.sha256, 10**9, -5)
    assert (beyond.marked, beyond.skipped_after) == ("", 0)
    with pytest.raises(DocumentNotFound):
        workbench.library.passage("0" * 64, 0, 1)


def test_collections_are_kept_under_clean_names(workbench: Workbench, settings: Settings, prose) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    workbench.library.collect(sha256, [" Sea\nstories ", "", "Law"])
    with Workbench(settings) as later:
        assert later.library.collections() == {"Law": (sha256,), "Sea stories": (sha256,)}
        later.library.delete(sha256)
        assert later.library.collections() == {}


def test_segments_cover_the_text_without_gaps(workbench: Workbench, prose) -> None:
    sha256 = workbench.intake.ingest_text(prose() + " Zoë's 東京 🙂", "Log").document.sha256
    segments = workbench.library.segments(sha256)
    text = workbench.library.text(sha256)
    assert [s.index for s in segments] == list(range(len(segments)))
    assert "".join(text[s.start : s.end] for s in segments) == text
    assert [s.token_end for s in segments[:-1]] == [s.token_start for s in segments[1:]]
    assert segments[-1].token_end == workbench.library.document(sha256).tokens
    assert all(s.preview and "\n" not in s.preview and len(s.preview) <= 160 for s in segments)
