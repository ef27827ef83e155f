"""Every figure of the page can be saved."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.analysis.attention import MapView, SlotView
from app.settings import Settings
from app.ui.figures.inspect import pyramid, slot_scatter
from app.ui.page import build
from app.ui.saving import FORMATS, slug
from app.workbench import Workbench


def test_every_figure_has_a_button_for_every_format(tmp_path: Path) -> None:
    with Workbench(Settings(tmp_path)) as workbench:
        page = build(workbench)
    plots = [block for block in page.blocks.values() if isinstance(block, gr.Plot)]
    assert {"heat", "pyramid", "slot-map", "savings-plot", "lab-gain"} <= {plot.elem_id for plot in plots}
    scripts = {target: fn.js for fn in page.fns.values() for target, _ in fn.targets}
    for plot in plots:
        assert [button.value for button in plot.buttons] == [f"Save {kind.upper()}" for kind in FORMATS]
        for button, kind in zip(plot.buttons, FORMATS, strict=True):
            assert f'"id": "{plot.elem_id}"' in scripts[button._id]
            assert f'"name": "{slug(plot.label)}", "format": "{kind}"' in scripts[button._id]


def test_files_are_named_by_what_they_show() -> None:
    assert slug("Bytes, on a logarithmic axis") == "bytes-on-a-logarithmic-axis"
    assert pyramid([SlotView(0, 8, 8)], 8, 8).layout.meta["name"] == "levels-8x"
    view = MapView("sha", 16, (0.0,), (1.0,), (0,), (16,), (0.5, 0.2), 1)
    assert slot_scatter(view, "segment").layout.meta["name"] == "slot-map-16x-by-segment"
