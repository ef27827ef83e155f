"""Build the page: head, library on the left, tabs on the right, foot."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from app.ui.api import add_api
from app.ui.gradio_fixes import Blocks
from app.ui.html import page as html
from app.ui.polling import POLL_S, poll
from app.ui.saving import make_savable
from app.ui.tabs.ask import render_ask
from app.ui.tabs.compare import render_compare
from app.ui.tabs.inspect import render_inspect
from app.ui.tabs.lab import render_lab
from app.ui.tabs.library import render_library
from app.ui.tabs.library_manage import render_manage
from app.ui.tabs.savings import render_savings
from app.ui.tabs.source_dialog import render_original
from app.workbench import Workbench

#: How long gradio keeps files that went through it.
UPLOADS_S = 86_400


def build(
    workbench: Workbench,
    poll_s: float = POLL_S,
    uploads_s: int = UPLOADS_S,
    render_notice: Callable[[], object] = lambda: None,
) -> gr.Blocks:
    """Build the page of a workbench. No data of a visitor are kept in it but ids.

    poll_s : seconds between two polls.  uploads_s : seconds for which gradio keeps uploaded files.
    render_notice : adds what is to stand under the head.
    """
    with Blocks(title="CCF Workbench", analytics_enabled=False, delete_cache=(min(uploads_s, 600), uploads_s)) as page:
        add_api(workbench)  # first: its names are the ones that programs rely on
        head = gr.HTML(html.head(workbench.model.state), elem_id="head")
        render_notice()
        with gr.Row(elem_id="bench"):
            with gr.Column(elem_id="library"):
                library = render_library(workbench)
                render_manage(workbench, library)
            with gr.Column(elem_id="work"), gr.Tabs(overflow_behavior="wrap"):
                with gr.Tab("Ask", id="ask"):
                    chat = render_ask(workbench, library, page)
                with gr.Tab("Inspect", id="inspect"):
                    render_inspect(workbench, library)
                with gr.Tab("Savings", id="savings"):
                    render_savings(workbench, library)
                with gr.Tab("Compare", id="compare"):
                    render_compare(workbench, library)
                with gr.Tab("Lab", id="lab") as lab:
                    render_lab(workbench, library, lab)
        make_savable(page)
        foot = gr.HTML(html.foot(workbench.model.info()), elem_id="foot")
        render_original(workbench, chat.place, library.hits.place, library.listing.read)
        poll(workbench, page, library, head, foot, poll_s)
    return page
