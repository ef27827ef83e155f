"""Serve a public demo: one page, on which every visitor works on data of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.middleware import Middleware

from app.demo.gate import Gate
from app.demo.visitor_page import VisitorWorkbench, head, render_notice
from app.demo.visitors import UPLOADED_S, Visitors
from app.runtime.locks import BUSY_AT
from app.ui.page import build
from app.ui.server import MAX_UPLOAD, serve

#: Between two polls of a page: many pages poll.
POLL_S = 2.0
#: Gradio keeps this many sessions of each visitor, pages and programs; one takes half a megabyte.
SESSIONS = 4
#: Threads for events that do not wait for the model.
THREADS = 40


def serve_demo(visitors: Visitors, **options: Any) -> Any:
    """Serve the page of a demo; ``options`` go to gradio's ``launch``, whose result is returned."""
    demo = visitors.demo
    stand_in = VisitorWorkbench(visitors)
    with stand_in.building() as workbench:
        kept_s = int(min(demo.ttl_s, UPLOADED_S))
        page = build(workbench, poll_s=POLL_S, uploads_s=kept_s, render_notice=partial(render_notice, demo))
    # Gradio's queues know no visitors: whoever needs the model waits in a thread for a turn of it, and there are
    # always threads for those who do not.
    for event in page.fns.values():
        event.concurrency_limit = None
    threads = BUSY_AT + demo.visitors + THREADS
    gate = Middleware(Gate, visitors=visitors, max_upload=MAX_UPLOAD)
    settings: dict[str, Any] = {
        "head": head(),
        "ssr_mode": False,  # rendered on the server, a page would be fetched by it and not by the visitor
        "middleware": [gate],
        "max_threads": threads,
        "state_session_capacity": SESSIONS * demo.visitors,
    }
    return serve(page, visitors.template.settings, 4 * threads, **settings | options)
