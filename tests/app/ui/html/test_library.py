"""HTML of the queue, the shelf and what a search found: states in words, and everything escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.documents.queue import JobResult, JobView
from app.types import DocumentView, IngestProgress, SearchHit
from app.ui.html import library

EVIL = '<img src=x onerror=alert(1)> ${x} {{y}} `z` "q"'
SHA = "f" * 64
DOCUMENT = DocumentView(SHA, "Log", "text/plain", 900, 800, 700, 0, 320, 10, 4, "compressing", 5000, "")
JOB = JobView(7, "log.txt", "queued", None, "", None, None)
OUTCOME = JobResult("Log", 320, 10, 5000, 2.0, 160.0, False, ("Page 3 holds no text.",))


def text(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page).split())


def test_a_queue_says_what_each_file_is_at() -> None:
    step = IngestProgress("memory", 128, 320, 8.0)
    jobs = [
        replace(JOB, id=1, state="stored", outcome=OUTCOME),
        replace(JOB, id=2, name="bad.pdf", state="failed", reason="It needs a password."),
        replace(JOB, id=3, state="running", document=SHA, step=step),
        replace(JOB, id=4, name="next.txt"),
        replace(JOB, id=5, name="last.txt"),
    ]
    page = library.queue(jobs, {SHA: DOCUMENT})
    said = text(page)
    assert "Log: 320 tokens · 10 segments · 4.88 KiB stored · 2 s at 160 tokens/s" in said
    assert "Page 3 holds no text." in said
    assert "bad.pdf: It needs a password. failed Try again Dismiss" in said
    assert "compressing 4 of 10 · about 8 s left Cancel" in said
    assert "next.txt queued, 1 before it Remove last.txt queued, 2 before it" in said
    assert said.endswith("Clear what is stored")
    assert 'aria-label="Try again bad.pdf"' in page
    assert library.queue([], {}) == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("ready", "· stored"),
        ("partial", "interrupted after 4 of 10"),
        ("compressing", "compressing 4 of 10"),
        ("text", "text only, not compressed"),
        ("unknown", "waiting for the model"),
    ],
)
def test_a_shelf_says_what_each_document_is_at(state: str, words: str) -> None:
    page = library.shelf([replace(DOCUMENT, state=state)], [], {})  # type: ignore[arg-type]
    assert words in text(page)
    assert ('data-act="compress"' in page) == (state in ("partial", "text"))


def test_what_waits_for_its_turn_cannot_be_queued_twice() -> None:
    page = library.shelf([replace(DOCUMENT, state="text")], [], {}, [SHA])
    assert "· queued" in text(page)
    assert 'data-act="compress"' not in page


def test_ticks_and_collections_are_shown() -> None:
    other = replace(DOCUMENT, sha256="e" * 64, title="Other")
    page = library.shelf([DOCUMENT, other], [SHA], {"Law": (SHA,), "Art": ()})
    assert page.count(" checked>") == 1
    assert "2 documents, 1 ticked" in text(page)
    assert text(page).count("Law") == 1
    assert "Art" not in text(page)
    assert "No documents here yet" in library.shelf([], [], {})


def test_hits_open_their_first_word() -> None:
    hit = SearchHit(DOCUMENT, "a heron in the reeds", 100, ((2, 7), (15, 20)), 3)
    page = library.hits([hit], "heron reeds")
    assert 'data-start="102" data-end="107"' in page
    assert "a <mark>heron</mark> in the <mark>reeds</mark>" in page
    assert "Log · page 3" in page
    assert "Nothing holds all of these words." in library.hits([], "x")
    assert library.hits([], "  ") == ""


def test_whatever_comes_from_outside_is_escaped() -> None:
    document = replace(DOCUMENT, title=EVIL, filename=EVIL + "!")
    pages = [
        library.queue([replace(JOB, name=EVIL)], {}),
        library.queue([replace(JOB, name=EVIL, state="running", step=IngestProgress("text", message=EVIL))], {}),
        library.queue([replace(JOB, name=EVIL, state="failed", reason=EVIL)], {}),
        library.queue([replace(JOB, state="stored", outcome=replace(OUTCOME, title=EVIL, notes=(EVIL,)))], {}),
        library.shelf([document], [], {EVIL: (SHA,)}),
        library.hits([SearchHit(document, EVIL, 0, ((1, 4),), None)], "x"),
    ]
    for page in pages:
        assert "<img" not in page
        assert not re.search(r"[`${}]", page)
