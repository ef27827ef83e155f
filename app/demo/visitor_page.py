"""Let every handler of a demo's page work on the workbench of the visitor who called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import gradio as gr
from gradio.context import LocalContext

from app.demo.visitors import Visitors
from app.errors import UnknownVisitor
from app.limits import Demo
from app.ui.format import readable_bytes
from app.workbench import Workbench
from ccf_core.assets import asset

#: Request header with a visitor's token; browsers, gradio_client and MCP clients all can send it.
HEADER = "x-ccf-visitor"
SCRIPT = asset("visitor.js")


class VisitorWorkbench:
    """A stand-in for ``Workbench``: at each use it is the workbench of the visitor whose request is being served.

    While the page is being built it is the template, which holds the examples alone. Raises ``gr.Error`` without a
    request, or for a token that nobody has.
    """

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._building = False

    def __getattr__(self, name: str) -> Any:
        if self._building:
            return getattr(self._visitors.template, name)
        request = LocalContext.request.get(None)
        token = str(request.headers.get(HEADER, "")) if request is not None else ""
        try:
            return getattr(self._visitors.workbench(token), name)
        except UnknownVisitor as error:
            raise gr.Error(str(error), title="Who are you?", print_exception=False) from error

    @contextmanager
    def building(self) -> Iterator[Workbench]:
        """Stand in for the template within the block, in which the page is built and nothing is served."""
        self._building = True
        try:
            yield cast(Workbench, self)
        finally:
            self._building = False


def head() -> str:
    """Make the script that gets a token before anything else and sends it with every request."""
    return f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>"


def render_notice(demo: Demo) -> None:
    """Say whose data these are and how long they stay; ``visitor.js`` shows what is true in this browser."""
    caps, hours = demo.caps, demo.ttl_s / 3600
    gr.HTML(
        '<p class="wb-note"><b>A public demo.</b> What you add here only you can see: up to '
        f"{caps.documents} documents, examples among them, of {readable_bytes(caps.nbytes)}. "
        f'<span class="visitor-kept">It is deleted {hours:g} hours after your last visit, or earlier if many others '
        'come.</span><span class="visitor-page">This browser keeps nothing for this page, so it is yours until you '
        'reload or close it; copy your key to reach it by program.</span><span class="visitor-full">There are as many '
        "visitors as it can take: reload the page later, or run the workbench yourself.</span> "
        '<button class="wb-link" data-visitor="copy">Copy my key</button> · '
        '<button class="wb-link" data-visitor="rotate">New key</button> · '
        '<button class="wb-link" data-visitor="forget">Delete all of mine</button> '
        '<span role="status" id="visitor-said"></span></p>',
        elem_id="visitor",
    )
