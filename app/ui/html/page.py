"""Make the HTML of the page's head and foot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.analysis.results import sentences_for
from app.types import ModelState
from app.ui.html.elements import RULER
from app.ui.html.escape import escape


def head(state: ModelState) -> str:
    """Make the head: name, purpose, state of the model."""
    waiting = state.status == "ready" and state.ahead is not None
    lamp = "busy" if waiting else {"ready": "ready", "failed": "failed"}.get(state.status, "busy")
    message = state.message if state.status == "failed" else f"{state.message} {state.fraction:.0%}"
    ready = f"Busy, {state.ahead} ahead of you" if waiting else "Model ready"
    says = ready if state.status == "ready" else message
    loading = state.status == "loading"
    bar = f' <progress max="1" value="{state.fraction:.3f}" aria-label="Loading"></progress>' if loading else ""
    return (
        '<header class="wb-head"><div><h1>CCF Workbench</h1>'
        "<p>A document becomes a short key-value memory. Ask it, look at what it kept, see what it saves.</p></div>"
        f'<p class="wb-model" role="status"><span class="lamp {lamp}"></span>{escape(says)}{bar}</p>'
        f"</header>{RULER}"
    )


def foot(info: dict[str, Any]) -> str:
    """Make the foot: which model answers, what it scores, what to expect of it."""
    if not info["base"]:
        return '<footer class="wb-foot"><p>The model is being loaded.</p></footer>'
    scores = "".join(f"<p>{escape(line)}</p>" for line in sentences_for(info["adapter"]))
    origin = f" ({escape(info['origin'])})" if info["origin"] else ""
    adapter = f"adapter {info['adapter'][:12]}{origin}"
    if info["ranking"]:
        adapter = f"no adapter: parts of its own cache, by {escape(info['ranking'].replace('_', ' '))}"
    return (
        f'<footer class="wb-foot"><p>Base {escape(Path(info["base"]).name)} · {adapter} · '
        f"{escape(info['device'])} · {escape(info['dtype'])} · memories in {info['memory_dtype']}"
        f"</p>{scores}"
        "<p>This is a small model: it misreads, misremembers and invents. What it gets wrong here, it gets "
        "wrong for real; no answer is prepared beforehand.</p></footer>"
    )
