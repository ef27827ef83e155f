"""Every figure can be saved, by mouse, touch and keyboard: as a picture (PNG) and as a drawing (SVG).

What is saved stands on white paper in dark ink, whatever theme the page is in, for that is where figures go.
"""

from __future__ import annotations

import json
import re

import gradio as gr

FORMATS = ("png", "svg")
#: A figure may name its file itself, in the "name" of its layout's meta: what it shows, of what, at which ratio.
_SAVE_JS = """() => {
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


def savable(page: gr.Blocks) -> None:
    """Put a button for each format above every figure that ``page``, which is being built, has so far."""
    for plot in [block for block in page.blocks.values() if isinstance(block, gr.Plot)]:
        buttons = [gr.Button(f"Save {kind.upper()}", size="sm") for kind in FORMATS]
        for button, kind in zip(buttons, FORMATS, strict=True):
            of = {"id": plot.elem_id or f"component-{plot._id}", "name": slug(plot.label or "figure"), "format": kind}
            button.click(None, js=_SAVE_JS % json.dumps(of), api_visibility="private")
            button.unrender()
        plot.buttons = buttons


def slug(text: str) -> str:
    """Words in lower case, joined by hyphens: a name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
