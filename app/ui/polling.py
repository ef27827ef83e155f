"""Keep an open page up to date: it polls every second, and only what changed is sent to it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.ui.gradio_fixes import Blocks
from app.ui.html import page as html
from app.ui.stamps import SEND_STAMPS, is_of, stamped
from app.ui.tabs.library import Library, latest, skip_if_equal
from app.ui.widgets import QUIET
from app.workbench import Workbench

POLL_S = 1.0


def poll(workbench: Workbench, page: Blocks, library: Library, head: gr.HTML, foot: gr.HTML, every_s: float) -> None:
    """Update head, foot and library when the page is loaded, and every ``every_s`` seconds after that."""
    clock = gr.Timer(every_s)
    before = gr.State(None)  # the shelf and the collections of the last update
    # Hidden, not left out: only what is part of the page is promised to tell of its changes.
    calls = gr.Number(0, visible="hidden", elem_id="calls")

    def update(seen: Any, picked: list[str], awaited: Any, kept: list[str], of: str, count: int, *shown: Any) -> Any:
        """Return what changed since the last update, and of the parts those that the page does not show already."""
        first = seen is None or not seen[0]
        views, (queue, listing, collections, *ticks) = latest(workbench, first, picked, awaited, kept, of)
        now = ([(view.sha256, view.title, view.state) for view in views], collections.constructor_args["choices"])
        fresh = (stamped(html.head(workbench.model.state)), stamped(html.foot(workbench.model.info())), queue, listing)
        return (
            *(gr.skip() if is_of(old, part) else part for old, part in zip(shown, fresh, strict=True)),
            skip_if_equal(seen, now),
            gr.skip() if seen and seen[1] == now[1] else collections,
            *ticks,
            count + 1 if seen is None or seen[0] != now[0] else gr.skip(),
        )

    def poll_without_queue(request: gr.Request, called: int, *seen: Any) -> tuple[Any, ...]:
        """Update the parts without entering the queue; only trigger the queued ``update`` if a state would change, or
        if the page has to be made to fetch what waits for it."""
        new = update(*seen)
        waits = page.has_undelivered(getattr(request, "session_hash", None))
        if waits or any(value != gr.skip() for value in new[len(parts) :]):
            return (*[gr.skip()] * len(parts), called + 1)
        return (*new[: len(parts)], gr.skip())

    parts = [head, foot, library.queue, library.listing]
    seen = [before, library.picked, library.awaited, library.kept, library.collection, library.changed, *parts]
    updated = [*parts, before, library.collection, library.picked, library.awaited, library.changed]
    # The queue takes a second request and a stream, but only what comes from there tells who listens to a state.
    clock.tick(poll_without_queue, [calls, *seen], [*parts, calls], queue=False, js=SEND_STAMPS, **QUIET)
    page.load(update, seen, updated, concurrency_limit=None, js=SEND_STAMPS, **QUIET)
    # One update at a time: the next poll calls again while there is need.
    calls.change(update, seen, updated, concurrency_limit=None, trigger_mode="once", js=SEND_STAMPS, **QUIET)
