"""What a memory costs and saves, in bytes."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app import panels
from app.plots import Amount, bytes_chart
from app.tabs.common import one_document, sentences
from app.tabs.library import Library
from app.views import Savings
from app.workbench import Workbench


def amounts(view: Savings) -> list[Amount]:
    """The bars of one document, from its text to what the database holds."""
    return [
        Amount("Text", view.text_bytes, "text"),
        Amount("Full context", view.full_kv_bytes, "full"),
        *(Amount(f"Memory {r.ratio}x", r.kv_bytes, "memory") for r in view.ratios),
        Amount("Database", view.stored_bytes, "stored"),
    ]


def render_savings(workbench: Workbench, library: Library) -> None:
    document = gr.Dropdown(label="Document", choices=[], elem_id="savings-document")
    gr.HTML('<h3 class="wb-label">Bytes, on a logarithmic axis</h3>')
    plot = gr.Plot(label="Bytes, on a logarithmic axis", show_label=False, elem_id="savings-plot")
    table = gr.HTML(elem_id="savings-table")

    def show(sha: str | None) -> tuple[Any, str]:
        if not sha:
            return None, '<p class="wb-note">Choose a document.</p>'
        with sentences():
            view = workbench.savings(sha)
        return bytes_chart(amounts(view)), panels.savings(view, workbench.info()["dtype"])

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on(
        [library.picked.change, library.changed.change],
        partial(one_document, workbench),
        [library.picked, document],
        document,
        **quiet,
    )
    gr.on([document.change, library.changed.change], show, document, [plot, table], **quiet)
