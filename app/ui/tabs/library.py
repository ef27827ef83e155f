"""Add, list, search and tick documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.parsers.kinds import WORDS
from app.types import DocumentView
from app.ui.html import library as html
from app.ui.stamps import stamped
from app.ui.tabs.uploads import list_refused, watching
from app.ui.widgets import MENDABLE, QUIET, QUIET_EACH, acts, refusal, sentences
from app.workbench import Workbench

ALL = "All documents"
#: Not a secret: it only keeps what a browser remembers readable after a restart.
SECRET = "ccf-workbench"

#: Ids of jobs; the ticks at the time when they were added, None once one of them is ticked.
Awaited = tuple[list[int], list[str] | None]
NOTHING: Awaited = ([], None)


@dataclass(frozen=True)
class Library:
    """What other parts of the page read and write.

    picked : state, SHA-256 of the ticked documents.  changed : state that grows with every change of the library.
    awaited : state, what this page added and will tick when it is stored.  kept : the ticks, in the browser.
    hits, listing : raise ``place`` and ``read`` to have a text opened.
    """

    picked: gr.State
    awaited: gr.State
    listing: gr.HTML
    changed: gr.State
    queue: gr.HTML
    hits: gr.HTML
    collection: gr.Dropdown
    kept: gr.BrowserState


def render_library(workbench: Workbench) -> Library:
    changed = gr.State(0)
    picked = gr.State([])
    awaited = gr.State(NOTHING)
    kept = gr.BrowserState([], storage_key="ccf-picked", secret=SECRET)
    gr.HTML('<h2 class="wb-label">Documents</h2>')
    files = gr.File(
        # Of any kind: what cannot be read is listed with the reason, which Gradio would say in a toast that fades.
        file_count="multiple", label="Drop files", height=120, elem_id="upload",
    )  # fmt: skip
    gr.HTML(f'<p class="wb-note">{WORDS}.</p>', elem_id="kinds")
    with gr.Accordion("Paste text", open=False, elem_id="paste"):
        title = gr.Textbox(label="Title", max_lines=1, elem_id="paste-title")
        text = gr.Textbox(label="Text", lines=5, max_lines=12, elem_id="paste-text")
        paste = gr.Button("Compress this text", size="sm", elem_id="paste-go")
    queue = gr.HTML(elem_id="progress", js_on_load=acts("retry", "dismiss", "tidy") + watching(workbench.settings))
    words = gr.Textbox(
        label="Search all texts", placeholder='words, or "a phrase"', max_lines=1, elem_id="search", type="text"
    )
    hits = gr.HTML(elem_id="hits", js_on_load=acts("place"))
    collection = gr.Dropdown([ALL], value=ALL, label="Collection", visible=False, elem_id="collection")
    listing = gr.HTML(elem_id="listing", js_on_load=acts("tick", "tickall", "untick", "manage", "compress", "read"))

    def clear(before: Awaited, chosen: list[str]) -> tuple[list[str], Awaited]:
        # What was stored since the last update is ticked first: nobody would find its job any more.
        chosen, before = with_stored(workbench, chosen, before)
        workbench.queue.clear()
        return chosen, before

    def add_files(
        paths: list[str] | None, before: Awaited, chosen: list[str], count: int
    ) -> tuple[int, Any, Awaited, None, str]:
        now, before = clear(before, chosen)
        added = []
        for path in map(Path, paths or []):
            try:
                added.append(workbench.queue.add_file(path).id)
            except MENDABLE as error:
                workbench.queue.refuse(path, str(error))
            except OSError as error:
                workbench.queue.refuse(path, f"The file did not arrive whole ({error.strerror}); add it again.")
        awaited = joined(workbench, added, before, now)
        return count + 1, skip_if_equal(chosen, now), awaited, None, shown_queue(workbench)

    def add_text(
        text: str, title: str, before: Awaited, chosen: list[str], count: int
    ) -> tuple[int, Any, Awaited, str, str, str]:
        if not text.strip():
            raise refusal("Paste some text first.", "Nothing to compress")
        now, before = clear(before, chosen)
        with sentences():
            job = workbench.queue.add_text(text, title)
        awaited = joined(workbench, [job.id], before, now)
        return count + 1, skip_if_equal(chosen, now), awaited, "", "", shown_queue(workbench)

    def of_job(act: str) -> Any:
        def handle(count: int, event: gr.EventData) -> tuple[int, str]:
            with sentences():
                getattr(workbench.queue, act)(int(event._data["of"]))
            return count + 1, shown_queue(workbench)

        return handle

    def refuse(count: int, event: gr.EventData) -> tuple[int, str]:
        list_refused(workbench, event._data)
        return count + 1, shown_queue(workbench)

    def tidy(before: Awaited, chosen: list[str], count: int) -> tuple[int, Any, Awaited, str]:
        now, before = clear(before, chosen)
        return count + 1, skip_if_equal(chosen, now), before, shown_queue(workbench)

    def tick(chosen: list[str], of: str, event: gr.EventData) -> tuple[list[str], str]:
        # One box, not all that are ticked on the page: those may be of a moment ago.
        one = {str(event._data["of"])}
        ticked = {*chosen} | one if event._data["on"] else {*chosen} - one
        now = [view.sha256 for view in workbench.library.documents() if view.sha256 in ticked]
        return now, shown_shelf(workbench, now, of)

    def tick_all(of: str) -> tuple[list[str], str]:
        now = [view.sha256 for view in shelved(workbench, of)]
        return now, shown_shelf(workbench, now, of)

    def compress(count: int, event: gr.EventData) -> tuple[int, str]:
        with sentences():
            workbench.queue.add_document(str(event._data["of"]))
        return count + 1, shown_queue(workbench)

    def search(words: str) -> str:
        return html.hits(workbench.library.search(words), words)

    files.upload(add_files, [files, awaited, picked, changed], [changed, picked, awaited, files, queue], **QUIET)
    pasted = [changed, picked, awaited, text, title, queue]
    paste.click(add_text, [text, title, awaited, picked, changed], pasted, **QUIET)
    queue.retry(of_job("retry"), changed, [changed, queue], **QUIET_EACH)
    queue.dismiss(of_job("dismiss"), changed, [changed, queue], **QUIET_EACH)
    queue.refused(refuse, changed, [changed, queue], **QUIET_EACH)
    queue.tidy(tidy, [awaited, picked, changed], [changed, picked, awaited, queue], **QUIET)
    listing.tick(tick, [picked, collection], [picked, listing], **QUIET_EACH)
    listing.tickall(tick_all, collection, [picked, listing], **QUIET)
    listing.untick(lambda of: ([], shown_shelf(workbench, [], of)), collection, [picked, listing], **QUIET)
    listing.compress(compress, changed, [changed, queue], **QUIET_EACH)
    collection.input(lambda chosen, of: shown_shelf(workbench, chosen, of), [picked, collection], listing, **QUIET)
    changed.change(lambda chosen, of: shown_shelf(workbench, chosen, of), [picked, collection], listing, **QUIET)
    picked.change(lambda chosen: chosen, picked, kept, **QUIET)
    gr.on([words.change, words.submit, changed.change], search, words, hits, trigger_mode="always_last", **QUIET)
    return Library(picked, awaited, listing, changed, queue, hits, collection, kept)


def latest(
    workbench: Workbench, first: bool, picked: list[str], awaited: Awaited, kept: list[str], of: str
) -> tuple[list[DocumentView], tuple[Any, ...]]:
    """Return the documents, and new values for queue, listing, collection, ``picked`` and ``awaited``.

    At the ``first`` time that there are documents, the ticks of last time are put back, or one example is ticked.
    """
    now, still = with_stored(workbench, kept if first and kept else picked, awaited)
    views = workbench.library.documents()
    known = {view.sha256 for view in views}
    now = [sha for sha in now if sha in known]
    if first and not now and views:
        now = [views[-1].sha256]
    names = [ALL, *workbench.library.collections()]
    of = of if of in names else ALL
    return views, (
        shown_queue(workbench, views),
        shown_shelf(workbench, now, of, views),
        gr.Dropdown(names, value=of, visible=len(names) > 1),
        skip_if_equal(picked, now),
        skip_if_equal(awaited, still),
    )


def skip_if_equal(before: Any, now: Any) -> Any:
    """Return a new value, or skip it: the same value, sent again, would undo what the user ticks at this moment."""
    return now if now != before else gr.skip()


def joined(workbench: Workbench, added: list[int], awaited: Awaited, picked: list[str]) -> Awaited:
    """Add jobs to those that a page waits for: they join what is on its way, or begin anew.

    A job that failed may be tried again and is still waited for, but new jobs do not join it.
    """
    ids, before = awaited
    states = {job.id: job.state for job in workbench.queue.list()}
    going = any(states.get(job) in ("queued", "running") for job in ids)
    return [job for job in ids if job in states] + added, before if going else picked


def with_stored(workbench: Workbench, picked: list[str], awaited: Awaited) -> tuple[list[str], Awaited]:
    """Tick what this page added and what is stored by now; return the ticks, and what the page still waits for.

    Who adds documents will ask them: the first replaces the ticks, unless the user changed them since.
    """
    ids, before = awaited
    jobs = [job for job in workbench.queue.list() if job.id in ids] if ids else []
    stored = [job.document for job in jobs if job.state == "stored" and job.document]
    if not stored:
        return picked, awaited
    others = [] if picked == before else [sha for sha in picked if sha not in stored]
    return [*others, *stored], ([job.id for job in jobs if job.state != "stored"], None)


def shelved(workbench: Workbench, of: str, views: list[DocumentView] | None = None) -> list[DocumentView]:
    """List the documents of a collection, or all; ``views`` are all, if they were just listed."""
    views = workbench.library.documents() if views is None else views
    members = workbench.library.collections().get(of)
    return views if members is None else [view for view in views if view.sha256 in members]


def shown_shelf(workbench: Workbench, picked: list[str], of: str, views: list[DocumentView] | None = None) -> str:
    queued = {job.document for job in workbench.queue.list() if job.state == "queued" and job.document}
    return stamped(html.shelf(shelved(workbench, of, views), picked, workbench.library.collections(), queued))


def shown_queue(workbench: Workbench, views: list[DocumentView] | None = None) -> str:
    views = workbench.library.documents() if views is None else views
    return stamped(html.queue(workbench.queue.list(), {view.sha256: view for view in views}))
