"""Serve a page: its look, its files, its login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app.parsers import Limits
from app.settings import Settings
from app.ui.mcp_limit import MCPLimit
from app.ui.theme import theme
from ccf_core.assets import asset

#: Bytes of an uploaded file.
MAX_UPLOAD = Limits().size


def serve(
    page: gr.Blocks, settings: Settings, max_waiting: int = 64, middleware: Sequence[Middleware] = (), **options: Any
) -> Any:
    """Serve ``page`` to whoever has the login, if there is one, and return what gradio's ``launch`` returns.

    max_waiting : requests that wait in gradio's queue; more are refused.
    middleware : stands before the page.  options : go to gradio's ``launch``.
    """
    return page.queue(max_size=max_waiting).launch(
        theme=theme(),
        css_paths=[asset("app.css"), asset("ccf.css"), asset("desk.css")],
        max_file_size=MAX_UPLOAD,
        footer_links=[],
        show_error=False,
        mcp_server=True,
        auth=[*settings.login] or None,
        app_kwargs={"middleware": [*middleware, Middleware(MCPLimit)]},
        **options,
    )
