"""HTML of the page's own parts. Every string that did not grow here goes through ``render.escape``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app import render
from app.plots import readable_bytes
from app.scores import sentences_for
from app.views import ModelState, Reconstruction

STAGES = ("received", "text", "segments", "memory", "stored")
RULER = '<div class="ruler" aria-hidden="true"></div>'


def head(state: ModelState) -> str:
    """Name, what this is, and how the model is."""
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
        f'<p class="wb-model" role="status"><span class="lamp {lamp}"></span>{render.escape(says)}{bar}</p>'
        f"</header>{RULER}"
    )


def foot(info: dict[str, Any]) -> str:
    """Which model answers, what it scores, and what to expect of it."""
    if not info["base"]:
        return '<footer class="wb-foot"><p>The model is being loaded.</p></footer>'
    scores = "".join(f"<p>{render.escape(line)}</p>" for line in sentences_for(info["adapter"]))
    return (
        f'<footer class="wb-foot"><p>Base {render.escape(Path(info["base"]).name)} · adapter {info["adapter"][:12]} · '
        f"{render.escape(info['device'])} · {render.escape(info['dtype'])} · memories in {info['memory_dtype']}"
        f"</p>{scores}"
        "<p>This is a small model: it misreads, misremembers and invents. What it gets wrong here, it gets "
        "wrong for real; no answer is prepared beforehand.</p></footer>"
    )


def duration(seconds: float) -> str:
    """``8 s``, ``1 min 20 s``."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def reconstruction(view: Reconstruction) -> str:
    """A segment beside its reconstruction, with its scores."""
    facts = [
        ("ROUGE-L", f"{view.rouge_l:.3f}", "longest common subsequence of tokens ÷ tokens of the segment"),
        ("same position", f"{view.exact_token:.1%}", "share of positions with the same token"),
        ("tokens", f"{view.tokens}", "tokens of the original"),
        ("slots", f"{view.slots}", "slots that the reconstruction was decoded from"),
        ("KV held", readable_bytes(view.kv_bytes), "bytes of those slots as the decoder holds them"),
    ]
    cells = "".join(
        f'<div title="{render.escape(hint)}"><dt>{name}</dt><dd>{render.escape(value)}</dd></div>'
        for name, value, hint in facts
    )
    notes = "".join(render.notice("info", note) for note in view.notes)
    diff = render.word_diff(view.original, view.text, [(word.text, word.probability) for word in view.words])
    return f'<dl class="wb-cost">{cells}</dl>{notes}{diff}'
