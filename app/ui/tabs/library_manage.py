"""Rename stored documents, put them into collections, compress them again, delete them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app.ui.html.escape import escape
from app.ui.tabs.library import Library, shown_queue
from app.ui.widgets import QUIET, refusal, sentences
from app.workbench import Workbench


def render_manage(workbench: Workbench, library: Library) -> None:
    of = gr.State([])
    with gr.Column(visible=False, elem_id="manage") as panel:
        heading = gr.HTML()
        title = gr.Textbox(label="Title", max_lines=1, elem_id="manage-title")
        collections = gr.Dropdown(
            [], multiselect=True, allow_custom_value=True, label="Collections", elem_id="manage-collections",
            info="choose, or type a new name and press Enter",
        )  # fmt: skip
        with gr.Row(elem_id="manage-acts"):
            save = gr.Button("Save", size="sm", variant="primary", elem_id="manage-save", min_width=70)
            again = gr.Button("Compress again", size="sm", elem_id="manage-again", min_width=110)
            delete = gr.Button("Delete…", size="sm", elem_id="delete", min_width=80)
            confirm = gr.Button(
                "Delete for good", size="sm", variant="stop", visible=False, elem_id="confirm-delete", min_width=110
            )
            close = gr.Button("Close", size="sm", elem_id="manage-close", min_width=70)
    adapter = gr.Dropdown(
        [], label="Adapter", visible=False, elem_id="adapter", info="documents keep a memory for each"
    )

    def show(chosen: list[str]) -> tuple[Any, ...]:
        names = workbench.library.collections()
        with sentences():
            views = [workbench.library.document(sha) for sha in chosen]
        one = views[0] if len(views) == 1 else None
        what = one.title if one else f"{len(views)} documents"
        # Several documents share what all of them are in.
        shared = [name for name, members in names.items() if all(sha in members for sha in chosen)]
        return (
            chosen,
            gr.Column(visible=bool(views)),
            f'<h3 class="wb-label" dir="auto">Manage: {escape(what)}</h3>',
            gr.Textbox(value=one.title if one else "", visible=one is not None),
            gr.Dropdown(list(names), value=shared),
            gr.Button(f"Delete {len(views)} for good" if not one else "Delete for good", visible=False),
        )

    def open_one(picked: list[str], event: gr.EventData) -> tuple[Any, ...]:
        named = str(event._data["of"])
        return show([named] if named else picked)

    def store(chosen: list[str], name: str, into: list[str], count: int) -> tuple[Any, int]:
        with sentences():
            before = {n for n, members in workbench.library.collections().items() if set(chosen) <= set(members)}
            for sha in chosen:
                if len(chosen) == 1:
                    workbench.library.rename(sha, name)
                own = {n for n, members in workbench.library.collections().items() if sha in members}
                workbench.library.collect(sha, sorted((own - before) | set(into or [])))
        return gr.Column(visible=False), count + 1

    def compress(chosen: list[str], count: int) -> tuple[Any, int, str]:
        with sentences():
            for sha in chosen:
                workbench.queue.add_document(sha, anew=True)
        return gr.Column(visible=False), count + 1, shown_queue(workbench)

    def remove(chosen: list[str], picked: list[str], count: int) -> tuple[Any, list[str], int]:
        with sentences():
            for sha in chosen:
                workbench.library.delete(sha)
        return gr.Column(visible=False), [sha for sha in picked if sha not in chosen], count + 1

    def adapters() -> Any:
        folders = [(folder.name, str(folder)) for folder in workbench.model.adapters()]
        return gr.Dropdown(folders, value=str(workbench.model.adapter), visible=len(folders) > 1)

    def use(folder: str, count: int) -> int:
        if folder not in {str(known) for known in workbench.model.adapters()}:
            raise refusal("Choose one of the adapters listed.", "Nothing changed")
        with sentences():
            workbench.model.use(Path(folder))
        return count + 1

    shown = [of, panel, heading, title, collections, confirm]
    focus = "() => setTimeout(() => document.querySelector('#manage input, #manage textarea')?.focus(), 50)"
    library.listing.manage(open_one, library.picked, shown, **QUIET).then(None, js=focus, api_visibility="private")
    save.click(store, [of, title, collections, library.changed], [panel, library.changed], **QUIET)
    again.click(compress, [of, library.changed], [panel, library.changed, library.queue], **QUIET)
    delete.click(lambda: gr.Button(visible=True), None, confirm, **QUIET)
    confirm.click(remove, [of, library.picked, library.changed], [panel, library.picked, library.changed], **QUIET)
    close.click(lambda: gr.Column(visible=False), None, panel, **QUIET)
    gr.on([library.changed.change], adapters, None, adapter, **QUIET)
    adapter.input(use, [adapter, library.changed], library.changed, show_progress="full", api_visibility="private")
