"""Documents in, listed, searched, ticked. What is done to stored ones is in ``manage``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import panels_library as panels
from app.tabs.acts import acts
from app.tabs.common import MENDABLE, sentences
from app.views import DocumentView
from app.workbench import Workbench

KINDS = [".pdf", ".docx", ".md", ".html", ".htm", ".txt", ".py", ".js", ".ts", ".java", ".c", ".cpp", ".rs", ".go"]
ALL = "All documents"
#: Not a secret: it only keeps what a browser remembers readable after a restart.
SECRET = "ccf-workbench"


#: Ids of jobs; what was chosen when they were added, None once one of them is chosen.
Awaited = tuple[list[int], list[str] | None]
NOTHING: Awaited = ([], None)


@dataclass(frozen=True)
class Library:
    """``picked`` holds the ids of the chosen documents, ``changed`` grows with every change; other tabs read both.
    ``awaited`` are the jobs of what this page added, to be chosen when stored, and what was chosen before the first.

    ``hits`` and ``listing`` raise ``place`` and ``read`` to have a text opened.
    """

    picked: gr.State
    awaited: gr.State
    listing: gr.HTML
    changed: gr.State
    queue: gr.HTML
    hits: gr.HTML
    collection: gr.Dropdown
    kept: gr.BrowserState

    def shown(self) -> list[Any]:
        """What ``look`` gives new values for, before those of ``picked`` and ``awaited``."""
        return [self.queue, self.listing, self.collection]


def render_library(workbench: Workbench) -> Library:
    changed = gr.State(0)
    picked = gr.State([])
    awaited = gr.State(NOTHING)
    kept = gr.BrowserState([], storage_key="ccf-picked", secret=SECRET)
    gr.HTML('<h2 class="wb-label">Documents</h2>')
    files = gr.File(
        file_count="multiple", file_types=KINDS, label="Drop files: pdf, docx, md, html, txt, code", height=120,
        elem_id="upload",
    )  # fmt: skip
    with gr.Accordion("Paste text", open=False, elem_id="paste"):
        title = gr.Textbox(label="Title", max_lines=1, elem_id="paste-title")
        text = gr.Textbox(label="Text", lines=5, max_lines=12, elem_id="paste-text")
        paste = gr.Button("Compress this text", size="sm", elem_id="paste-go")
    queue = gr.HTML(elem_id="progress", js_on_load=acts("retry", "dismiss", "tidy"))
    words = gr.Textbox(
        label="Search all texts", placeholder='words, or "a phrase"', max_lines=1, elem_id="search", type="text"
    )
    hits = gr.HTML(elem_id="hits", js_on_load=acts("place"))
    collection = gr.Dropdown([ALL], value=ALL, label="Collection", visible=False, elem_id="collection")
    listing = gr.HTML(elem_id="listing", js_on_load=acts("tick", "tickall", "untick", "manage", "compress", "read"))

    def clear(before: Awaited, chosen: list[str]) -> tuple[list[str], Awaited]:
        # What was stored since the last look is chosen first: nobody would find its job any more.
        chosen, before = with_stored(workbench, chosen, before)
        workbench.jobs.clear()
        return chosen, before

    def add_files(
        paths: list[str] | None, before: Awaited, chosen: list[str], count: int
    ) -> tuple[int, Any, Awaited, None, str]:
        now, before = clear(before, chosen)
        added = []
        for path in map(Path, paths or []):
            try:
                added.append(workbench.jobs.add_file(path).id)
            except MENDABLE as error:
                workbench.jobs.refuse(path, str(error))
        return count + 1, unless(chosen, now), joined(workbench, added, before, now), None, shown_queue(workbench)

    def add_text(
        text: str, title: str, before: Awaited, chosen: list[str], count: int
    ) -> tuple[int, Any, Awaited, str, str, str]:
        if not text.strip():
            raise gr.Error("Paste some text first.", title="Nothing to compress", print_exception=False)
        now, before = clear(before, chosen)
        job = workbench.jobs.add_text(text, title)
        awaited = joined(workbench, [job.id], before, now)
        return count + 1, unless(chosen, now), awaited, "", "", shown_queue(workbench)

    def of_job(act: str) -> Any:
        def handle(count: int, event: gr.EventData) -> tuple[int, str]:
            with sentences():
                getattr(workbench.jobs, act)(int(event._data["of"]))
            return count + 1, shown_queue(workbench)

        return handle

    def tidy(before: Awaited, chosen: list[str], count: int) -> tuple[int, Any, Awaited, str]:
        now, before = clear(before, chosen)
        return count + 1, unless(chosen, now), before, shown_queue(workbench)

    def tick(chosen: list[str], of: str, event: gr.EventData) -> tuple[list[str], str]:
        # One box, not all that are ticked on the page: those may be of a moment ago.
        one = {str(event._data["of"])}
        ticked = {*chosen} | one if event._data["on"] else {*chosen} - one
        now = [view.sha256 for view in workbench.documents() if view.sha256 in ticked]
        return now, shown_shelf(workbench, now, of)

    def tick_all(of: str) -> tuple[list[str], str]:
        now = [view.sha256 for view in shelved(workbench, of)]
        return now, shown_shelf(workbench, now, of)

    def compress(count: int, event: gr.EventData) -> tuple[int, str]:
        with sentences():
            workbench.jobs.add_document(str(event._data["of"]))
        return count + 1, shown_queue(workbench)

    def search(words: str) -> str:
        return panels.hits(workbench.search(words), words)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    files.upload(add_files, [files, awaited, picked, changed], [changed, picked, awaited, files, queue], **quiet)
    pasted = [changed, picked, awaited, text, title, queue]
    paste.click(add_text, [text, title, awaited, picked, changed], pasted, **quiet)
    queue.retry(of_job("retry"), changed, [changed, queue], **quiet)
    queue.dismiss(of_job("dismiss"), changed, [changed, queue], **quiet)
    queue.tidy(tidy, [awaited, picked, changed], [changed, picked, awaited, queue], **quiet)
    listing.tick(tick, [picked, collection], [picked, listing], **quiet)
    listing.tickall(tick_all, collection, [picked, listing], **quiet)
    listing.untick(lambda of: ([], shown_shelf(workbench, [], of)), collection, [picked, listing], **quiet)
    listing.compress(compress, changed, [changed, queue], **quiet)
    collection.input(lambda chosen, of: shown_shelf(workbench, chosen, of), [picked, collection], listing, **quiet)
    changed.change(lambda chosen, of: shown_shelf(workbench, chosen, of), [picked, collection], listing, **quiet)
    picked.change(lambda chosen: chosen, picked, kept, **quiet)
    gr.on([words.change, words.submit, changed.change], search, words, hits, trigger_mode="always_last", **quiet)
    return Library(picked, awaited, listing, changed, queue, hits, collection, kept)


def look(
    workbench: Workbench, first: bool, picked: list[str], awaited: Awaited, kept: list[str], of: str
) -> tuple[list[DocumentView], tuple[Any, ...]]:
    """The documents, and new values for ``Library.shown``, ``picked`` and ``awaited``; at the first look at documents
    the ticks of last time, or one example."""
    now, still = with_stored(workbench, kept if first and kept else picked, awaited)
    views = workbench.documents()
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
        unless(picked, now),
        unless(awaited, still),
    )


def unless(before: Any, now: Any) -> Any:
    """A new value only if it is another: the same one, sent again, would undo what is chosen at this moment."""
    return now if now != before else gr.skip()


def joined(workbench: Workbench, added: list[int], awaited: Awaited, picked: list[str]) -> Awaited:
    """What a page waits for once it adds these jobs too: they join what is on its way, or begin anew.

    What failed may be tried again and is waited for on, but it holds nothing up.
    """
    ids, before = awaited
    states = {job.id: job.state for job in workbench.jobs.list()}
    going = any(states.get(job) in ("queued", "running") for job in ids)
    return [job for job in ids if job in states] + added, before if going else picked


def with_stored(workbench: Workbench, picked: list[str], awaited: Awaited) -> tuple[list[str], Awaited]:
    """What is chosen once some of what this page added is stored, and what it still waits for.

    Who adds documents will ask them: the first takes the place of what was chosen, unless that was changed since.
    """
    ids, before = awaited
    jobs = [job for job in workbench.jobs.list() if job.id in ids] if ids else []
    stored = [job.document for job in jobs if job.state == "stored" and job.document]
    if not stored:
        return picked, awaited
    others = [] if picked == before else [sha for sha in picked if sha not in stored]
    return [*others, *stored], ([job.id for job in jobs if job.state != "stored"], None)


def shelved(workbench: Workbench, of: str, views: list[DocumentView] | None = None) -> list[DocumentView]:
    """The documents of a collection, or all; ``views`` if they were just looked up."""
    views = workbench.documents() if views is None else views
    members = workbench.library.collections().get(of)
    return views if members is None else [view for view in views if view.sha256 in members]


def shown_shelf(workbench: Workbench, picked: list[str], of: str, views: list[DocumentView] | None = None) -> str:
    queued = {job.document for job in workbench.jobs.list() if job.state == "queued" and job.document}
    return panels.shelf(shelved(workbench, of, views), picked, workbench.library.collections(), queued)


def shown_queue(workbench: Workbench, views: list[DocumentView] | None = None) -> str:
    views = workbench.documents() if views is None else views
    return panels.queue(workbench.jobs.list(), {view.sha256: view for view in views})
