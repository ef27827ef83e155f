"""Documents in, listed, renamed, deleted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import panels, render
from app.tabs.common import MENDABLE, Stops, choices, sentences
from app.views import Cancelled, Ingested, IngestProgress, Progress
from app.workbench import Workbench

KINDS = [".pdf", ".docx", ".md", ".html", ".htm", ".txt", ".py", ".js", ".ts", ".java", ".c", ".cpp", ".rs", ".go"]
Work = Callable[[Progress, Cancelled], Ingested]


@dataclass(frozen=True)
class Library:
    """``picked`` holds the ids of the chosen documents; the other tabs read it."""

    picked: gr.CheckboxGroup
    listing: gr.HTML
    changed: gr.State


def follow(name: str, work: Work, stop: threading.Event) -> Iterator[str]:
    """Run one ingest beside the page and yield what to show of it; the last piece is its outcome."""

    def steps() -> Iterator[IngestProgress | Ingested]:
        waiting: queue.SimpleQueue[IngestProgress | None] = queue.SimpleQueue()
        outcome: list[Ingested | BaseException] = []

        def run() -> None:
            try:
                outcome.append(work(waiting.put, stop.is_set))
            except BaseException as error:  # raised again below
                outcome.append(error)
            waiting.put(None)

        threading.Thread(target=run, daemon=True).start()
        while (step := waiting.get()) is not None:
            yield step
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        yield outcome[0]

    yield panels.ingest_progress(name, IngestProgress("received"))
    try:
        for step in steps():
            yield panels.ingested(step) if isinstance(step, Ingested) else panels.ingest_progress(name, step)
    except MENDABLE as error:
        yield render.notice("error", f"{name}: {error}")


def render_library(workbench: Workbench) -> Library:
    stops = Stops()
    changed = gr.State(0)
    gr.HTML('<h2 class="wb-label">Documents</h2>')
    files = gr.File(
        file_count="multiple", file_types=KINDS, label="Drop files: pdf, docx, md, html, txt, code", height=120,
        elem_id="upload",
    )  # fmt: skip
    with gr.Accordion("Paste text", open=False):
        title = gr.Textbox(label="Title", max_lines=1, elem_id="paste-title")
        text = gr.Textbox(label="Text", lines=5, max_lines=12, elem_id="paste-text")
        paste = gr.Button("Compress this text", size="sm")
    progress = gr.HTML(elem_id="progress")
    cancel = gr.Button("Cancel", size="sm", visible=False, elem_id="cancel")
    picked = gr.CheckboxGroup(label="Ask about", choices=[], elem_id="picked")
    listing = gr.HTML(elem_id="listing")
    with gr.Accordion("Rename or delete", open=False):
        gr.HTML('<p class="wb-note">Works on the documents ticked above.</p>')
        new_title = gr.Textbox(label="New title", max_lines=1, elem_id="new-title")
        with gr.Row():
            rename = gr.Button("Rename", size="sm")
            delete = gr.Button("Delete…", size="sm", elem_id="delete")
            confirm = gr.Button("Delete for good", size="sm", variant="stop", visible=False, elem_id="confirm-delete")

    def ingest_all(works: list[tuple[str, Work]], count: int, request: gr.Request) -> Iterator[Any]:
        stop = stops.begin(request)
        done: list[str] = []
        for name, work in works:
            shown = ""
            for shown in follow(name, work, stop):
                yield "".join([*done, shown]), gr.skip(), gr.Button(visible=True)
            done.append(shown)
            yield "".join(done), count + len(done), gr.Button(visible=True)
        yield "".join(done), count + len(done), gr.Button(visible=False)

    def ingest_files(paths: list[str] | None, count: int, request: gr.Request) -> Iterator[Any]:
        def one(path: Path) -> Work:
            return lambda progress, cancelled: workbench.ingest_file(path, progress, cancelled)

        yield from ingest_all([(Path(p).name, one(Path(p))) for p in paths or []], count, request)

    def ingest_text(text: str, title: str, count: int, request: gr.Request) -> Iterator[Any]:
        def work(progress: Progress, cancelled: Cancelled) -> Ingested:
            return workbench.ingest_text(text, title, progress, cancelled)

        yield from ingest_all([(title or "Pasted text", work)], count, request)

    def listed(chosen: list[str]) -> tuple[Any, str]:
        available = choices(workbench)
        known = {sha for _, sha in available}
        kept = [sha for sha in chosen or [] if sha in known]
        same = kept == (chosen or [])
        shelf = gr.CheckboxGroup(choices=available) if same else gr.CheckboxGroup(choices=available, value=kept)
        return shelf, panels.documents(workbench.documents())

    def rename_one(chosen: list[str], name: str, count: int) -> tuple[int, str]:
        if len(chosen) != 1 or not name.strip():
            raise gr.Error("Tick one document and write its new title.", title="Nothing renamed", print_exception=False)
        with sentences():
            workbench.rename(chosen[0], name)
        return count + 1, ""

    def ask_to_delete(chosen: list[str]) -> Any:
        if not chosen:
            raise gr.Error("Tick the documents to delete.", title="Nothing deleted", print_exception=False)
        return gr.Button(f"Delete {len(chosen)} for good", visible=True)

    def delete_picked(chosen: list[str], count: int) -> tuple[int, Any, Any]:
        with sentences():
            for sha in chosen:
                workbench.delete(sha)
        # Unticked in this same answer: gradio refuses whatever the page sends next with a choice that is gone.
        return count + 1, gr.Button(visible=False), gr.CheckboxGroup(value=[])

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown = [progress, changed, cancel]
    files.upload(ingest_files, [files, changed], shown, concurrency_limit=8, **quiet).then(
        lambda: None, None, files, **quiet
    )
    paste.click(ingest_text, [text, title, changed], shown, concurrency_limit=8, **quiet)
    cancel.click(stops.press, queue=False, **quiet)
    changed.change(listed, picked, [picked, listing], **quiet)
    rename.click(rename_one, [picked, new_title, changed], [changed, new_title], **quiet)
    delete.click(ask_to_delete, picked, confirm, **quiet)
    confirm.click(delete_picked, [picked, changed], [changed, confirm, picked], **quiet)
    return Library(picked, listing, changed)
