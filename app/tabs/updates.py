"""Blocks whose updates reach the page whole, in whatever order the page hears of them."""

from __future__ import annotations

from typing import Any

import gradio as gr


class Blocks(gr.Blocks):
    """Blocks that send an update of a component as itself, never as edits of the update before it.

    Gradio's page makes such edits in the update before, in place. When an event has said two things before the page
    knows its id, both are read at once, and the first is what the second made of it: a Stop button that was shown,
    then left alone, never appears.
    """

    def handle_streaming_diffs(
        self, block_fn: Any, data: list[Any], session_hash: str | None, run: str | None, *args: Any, **kwargs: Any
    ) -> list[Any]:
        new = list(data)
        edits = super().handle_streaming_diffs(block_fn, data, session_hash, run, *args, **kwargs)
        return [
            [["replace", [], value]] if isinstance(value, dict) and isinstance(edit, list) and edit else edit
            for value, edit in zip(new, edits, strict=True)
        ]
