"""A button that hands a text over as a file, made when it is pressed and kept nowhere on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.tabs.acts import SAVE_JS
from app.tabs.common import sentences


def save_on_click(button: gr.Button, write: Callable[..., tuple[str, str]], inputs: Sequence[Any]) -> None:
    """``write`` gets the values of ``inputs`` and returns (file name, text); an empty text saves nothing."""
    name = gr.Textbox(visible=False)
    content = gr.Textbox(visible=False)

    def made(*values: Any) -> tuple[str, str]:
        with sentences():
            return write(*values)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    written = button.click(made, [*inputs], [name, content], **quiet)
    written.then(None, [name, content], None, js=SAVE_JS, api_visibility="private")
