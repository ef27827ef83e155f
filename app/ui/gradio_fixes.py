"""Mend gradio's blocks for a page that many events change a little."""

from __future__ import annotations

import copy
from typing import Any

import gradio as gr

SKIPPED = gr.skip()


class Blocks(gr.Blocks):
    """Blocks whose updates reach the page whole, and for which what is skipped costs nothing."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False) -> Any:
        """Take a choice that is not offered any more as none.

        Gradio refuses it, and each event that the page sends before it knows of the new choices shows an error: where a
        document is deleted on another page, these are ten.
        """
        if state is not None and len(inputs) == len(block_fn.inputs):
            inputs = [_still_offered(state, block, value) for block, value in zip(block_fn.inputs, inputs, strict=True)]
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """Leave out what is skipped: gradio would make each such component anew, a quarter of a busy server's work."""
        outputs = block_fn.outputs
        values = [None if block.stateful else dict(SKIPPED) for block in outputs]
        if isinstance(predictions, dict) and predictions == SKIPPED:
            return values
        if not isinstance(predictions, (list, tuple)) or len(predictions) != len(outputs) or len(outputs) < 2:
            return await super().postprocess_data(block_fn, predictions, state)
        told = [i for i, value in enumerate(predictions) if not (isinstance(value, dict) and value == SKIPPED)]
        if told:
            part = copy.copy(block_fn)
            part.outputs = [outputs[i] for i in told]
            new = [predictions[i] for i in told]
            made = await super().postprocess_data(part, new if len(new) > 1 else new[0], state)
            for i, value in zip(told, made, strict=True):
                values[i] = value
        return values

    def handle_streaming_diffs(
        self, block_fn: Any, data: list[Any], session_hash: str | None, run: str | None, *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Send an update as itself, never as edits of the update before it.

        Gradio's page makes such edits in the update before, in place. When an event has said two things before the page
        knows its id, both are read at once, and the first is what the second made of it: a Stop button that was shown,
        then left alone, never appears.
        """
        new = list(data)
        edits = super().handle_streaming_diffs(block_fn, data, session_hash, run, *args, **kwargs)
        return [
            [["replace", [], value]] if isinstance(value, dict) and isinstance(edit, list) and edit else edit
            for value, edit in zip(new, edits, strict=True)
        ]

    def has_undelivered(self, session: str | None) -> bool:
        """Tell whether messages wait for a page that does not fetch them.

        Gradio ends a page's stream with the last event that was under way. A page that sends the next event before it
        has read of that end opens no new stream, and would show nothing of the event until it sends another one.
        """
        waiting = self._queue.pending_messages_per_session.get(session or "")
        return waiting is not None and not waiting.empty()


def _still_offered(state: Any, block: Any, value: Any) -> Any:
    """Return a value, or None if it is a choice of a dropdown that does not offer it in this session."""
    known = state[block._id] if block._id in state else block  # noqa: SIM401, it has no get
    if not isinstance(known, gr.Dropdown) or known.multiselect or known.allow_custom_value:
        return value
    return value if any(value == choice for _, choice in known.choices) else None
