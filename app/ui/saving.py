"""Save what a page shows as files, without leaving them on the server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.ui.widgets import QUIET, sentences

FORMATS = ("png", "svg")
#: Makes a file of a text: (name, text) -> nothing.
_TEXT_JS = """(name, text) => {
    if (!text) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/plain'}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""
#: Makes a file of a figure, on white paper in dark ink whatever theme the page is in, for that is where figures go.
#: A figure may name its file itself, in the "name" of its layout's meta: what it shows, of what, at which ratio.
_FIGURE_JS = """() => {
    const {id, name, format} = %s;
    const plot = document.getElementById(id)?.querySelector('.js-plotly-plot');
    if (!plot) return;
    const {width, height} = plot.getBoundingClientRect();
    const layout = {
        ...plot.layout, paper_bgcolor: '#FFFFFF', plot_bgcolor: '#FFFFFF', autosize: false, width, height,
        font: {...plot.layout.font, color: '#36424B'},
    };
    window.Plotly.downloadImage(
        {data: plot.data, layout},
        {format, width, height, scale: 2, filename: `ccf-${plot.layout.meta?.name || name}`});
}"""


def save_on_click(button: gr.Button, write: Callable[..., tuple[str, str]], inputs: Sequence[Any]) -> None:
    """Save a text when ``button`` is pressed.

    ``write`` gets the values of ``inputs`` and returns (file name, text); an empty text saves nothing.
    """
    name = gr.Textbox(visible=False)
    content = gr.Textbox(visible=False)

    def written(*values: Any) -> tuple[str, str]:
        with sentences():
            return write(*values)

    made = button.click(written, [*inputs], [name, content], **QUIET)
    made.then(None, [name, content], None, js=_TEXT_JS, api_visibility="private")


def make_savable(page: gr.Blocks) -> None:
    """Put a button for each format above every figure that ``page``, which is being built, has so far."""
    for plot in [block for block in page.blocks.values() if isinstance(block, gr.Plot)]:
        buttons = [gr.Button(f"Save {kind.upper()}", size="sm") for kind in FORMATS]
        for button, kind in zip(buttons, FORMATS, strict=True):
            of = {
                "id": plot.elem_id or f"component-{plot._id}",
                "name": slug(str(plot.label or "figure")),
                "format": kind,
            }
            button.click(None, js=_FIGURE_JS % json.dumps(of), api_visibility="private")
            button.unrender()
        plot.buttons = buttons


def slug(text: str) -> str:
    """Turn a text into a file name: words in lower case, joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
