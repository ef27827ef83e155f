"""The page: head, library on the left, tabs on the right, foot."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from app import panels
from app.caps import Demo
from app.examples import take_in
from app.settings import Settings
from app.tabs.api import add_api
from app.tabs.ask import render_ask
from app.tabs.compare import render_compare
from app.tabs.door import Door
from app.tabs.figures import savable
from app.tabs.inspect import render_inspect
from app.tabs.lab import render_lab
from app.tabs.library import look as look_at_library
from app.tabs.library import render_library
from app.tabs.manage import render_manage
from app.tabs.original import render_original
from app.tabs.savings import render_savings
from app.tabs.updates import Blocks
from app.tabs.visiting import Visiting, head, render_visitor
from app.theme import theme
from app.turns import MOST
from app.visitors import UPLOADED_S, Visitors
from app.workbench import Workbench

ASSETS = Path(__file__).parents[2] / "assets"
MAX_UPLOAD = 50_000_000
#: How long Gradio keeps files that went through it; in a demo as long as the uploads themselves are kept.
UPLOADS_S = 86_400
#: Between two looks of a page; in a demo many pages look.
LOOK_S, DEMO_LOOK_S = 1.0, 2.0
#: Sessions of each visitor, pages and programs, that Gradio keeps in a demo; one takes half a megabyte.
SESSIONS = 4
#: Of events that do not wait for the model, in a demo.
THREADS = 40


def build(workbench: Workbench, demo: Demo | None = None) -> gr.Blocks:
    """The page of a workbench, or of a demo. Nothing of a visitor is kept in it but ids."""
    kept_s = int(min(demo.ttl_s, UPLOADED_S) if demo else UPLOADS_S)
    with Blocks(title="CCF Workbench", analytics_enabled=False, delete_cache=(min(kept_s, 600), kept_s)) as page:
        add_api(workbench)  # first: its names are the ones that programs rely on
        head = gr.HTML(panels.head(workbench.model_state()), elem_id="head")
        if demo:
            render_visitor(demo)
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
        savable(page)
        foot = gr.HTML(panels.foot(workbench.info()), elem_id="foot")
        render_original(workbench, chat.place, library.hits.place, library.listing.read)
        clock = gr.Timer(DEMO_LOOK_S if demo else LOOK_S)
        before = gr.State(None)
        # Hidden, not left out: only what is part of the page is promised to tell of its changes.
        calls = gr.Number(0, visible="hidden", elem_id="calls")

        def look(seen: Any, picked: list[str], awaited: Any, kept: list[str], of: str, count: int) -> tuple[Any, ...]:
            """What changed since the last look, part by part: sending costs more than looking."""
            first = seen is None or not seen[0]
            views, shown = look_at_library(workbench, first, picked, awaited, kept, of)
            shelf = [(view.sha256, view.title, view.state) for view in views]
            parts = [panels.head(workbench.model_state()), panels.foot(workbench.info()), *shown[:3]]
            told = [part.constructor_args if isinstance(part, gr.Dropdown) else part for part in parts]
            now = (shelf, count, told)
            if now == seen:
                return (gr.skip(),) * (len(news) + len(states))
            # With the count: what another handler has shown since may differ from what was seen here.
            known = seen[2] if seen and seen[1] == count else [None] * len(told)
            rearranged = seen is None or seen[0] != shelf
            return (
                *(gr.skip() if one == before else part for part, one, before in zip(parts, told, known, strict=True)),
                now,
                *shown[3:],
                count + 1 if rearranged else gr.skip(),
            )

        def glance(called: int, *seen: Any) -> tuple[Any, ...]:
            """What ``look`` shows; if it would change a state, none of it, but a call to look."""
            new = look(*seen)
            if any(value != gr.skip() for value in new[len(news) :]):
                return (*[gr.skip()] * len(news), called + 1)
            return (*new[: len(news)], gr.skip())

        news = [head, foot, *library.shown(), before]
        states = [library.picked, library.awaited, library.changed]
        seen = [before, library.picked, library.awaited, library.kept, library.collection, library.changed]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        # The queue takes a second request and a stream, but only what comes from there tells who listens to a state.
        clock.tick(glance, [calls, *seen], [*news, calls], queue=False, **quiet)
        page.load(look, seen, [*news, *states], concurrency_limit=None, **quiet)
        # One look at a time: a glance calls again while there is need.
        calls.change(look, seen, [*news, *states], concurrency_limit=None, trigger_mode="once", **quiet)
    return page


def launch(workbench: Workbench, **options: Any) -> Any:
    """Serve the page and get the model and the examples ready meanwhile; ``options`` go to gradio's ``launch``."""
    threading.Thread(target=take_in, args=(workbench,), daemon=True).start()
    workbench.jobs.start()
    with ExitStack() as stack:
        if workbench.settings.demo:
            uploads = Path(get_upload_folder()) / "visitors"
            visitors = stack.enter_context(Visitors(workbench, workbench.settings.demo, uploads))
            visitors.start()
            return serve_demo(visitors, **options)
        return serve(build(workbench), workbench.settings, **options)


def serve_demo(visitors: Visitors, **options: Any) -> Any:
    """Serve the page, on data of their own for each visitor."""
    visiting = Visiting(visitors)
    with visiting.building() as workbench:
        page = build(workbench, visitors.demo)
    door = Middleware(Door, visitors=visitors, max_upload=MAX_UPLOAD)
    # Gradio's queues know no visitors: whoever needs the model waits in a thread for a turn of it, and there are
    # always threads for those who do not.
    for event in page.fns.values():
        event.concurrency_limit = None
    threads = MOST + visitors.demo.visitors + THREADS
    # Rendered on the server, a page would be fetched by it and not by the visitor.
    own = {"head": head(), "ssr_mode": False, "app_kwargs": {"middleware": [door]}, "max_threads": threads}
    own["state_session_capacity"] = SESSIONS * visitors.demo.visitors
    return serve(page, visitors.template.settings, 4 * threads, **own | options)


def serve(page: gr.Blocks, settings: Settings, most_waiting: int = 64, **options: Any) -> Any:
    return page.queue(max_size=most_waiting).launch(
        theme=theme(),
        css_paths=[ASSETS / "app.css", ASSETS / "ccf.css", ASSETS / "desk.css"],
        max_file_size=MAX_UPLOAD,
        footer_links=[],
        show_error=False,
        mcp_server=True,
        auth=[*settings.login] or None,
        **options,
    )
