"""HTML of the page's own parts. Every string that did not grow here goes through ``render.escape``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app import render
from app.asking import abstained
from app.plots import readable_bytes
from app.scores import sentences_for
from app.views import AnswerView, DocumentView, Ingested, IngestProgress, ModelState, Reconstruction, Savings

STAGES = ("received", "text", "segments", "memory", "stored")
_STATES = {
    "ready": "stored",
    "partial": "interrupted",
    "compressing": "compressing",
    "text": "text only",
    "unknown": "waiting for the model",
}
_RULER = '<div class="ruler" aria-hidden="true"></div>'


def head(state: ModelState) -> str:
    """Name, what this is, and how the model is."""
    lamp = {"ready": "ready", "failed": "failed"}.get(state.status, "busy")
    message = state.message if state.status == "failed" else f"{state.message} {state.fraction:.0%}"
    says = "Model ready" if state.status == "ready" else message
    loading = state.status == "loading"
    bar = f' <progress max="1" value="{state.fraction:.3f}" aria-label="Loading"></progress>' if loading else ""
    return (
        '<header class="wb-head"><div><h1>CCF Workbench</h1>'
        "<p>A document becomes a short key-value memory. Ask it, look at what it kept, see what it saves.</p></div>"
        f'<p class="wb-model" role="status"><span class="lamp {lamp}"></span>{render.escape(says)}{bar}</p>'
        f"</header>{_RULER}"
    )


def foot(info: dict[str, Any]) -> str:
    """Which model answers, what it scores, and what to expect of it."""
    if not info["base"]:
        return '<footer class="wb-foot"><p>The model is being loaded.</p></footer>'
    scores = "".join(f"<p>{render.escape(line)}</p>" for line in sentences_for(info["adapter"]))
    return (
        f'<footer class="wb-foot"><p>Base {render.escape(Path(info["base"]).name)} · adapter {info["adapter"][:12]} · '
        f"{render.escape(info['device'])} · {render.escape(info['dtype'])}</p>{scores}"
        "<p>This is a small model: it misreads, misremembers and invents. What it gets wrong here, it gets "
        "wrong for real; no answer is prepared beforehand.</p></footer>"
    )


def duration(seconds: float) -> str:
    """``8 s``, ``1 min 20 s``."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def ingest_progress(name: str, step: IngestProgress) -> str:
    """The stages of one ingest, and a bar in the shape of the slots."""
    reached = STAGES.index(step.stage)
    items = "".join(
        f'<li class="{"done" if i < reached else "now" if i == reached else ""}">{stage}</li>'
        for i, stage in enumerate(STAGES)
    )
    facts = [f"{step.fraction:.0%}"]
    if step.total:
        facts.append(f"{step.done:,} of {step.total:,} tokens")
    if step.seconds_left is not None:
        facts.append(f"about {duration(step.seconds_left)} left")
    if step.message:
        facts.append(step.message)
    percent = f"{step.fraction * 100:.1f}"
    return (
        f'<div class="ingest"><h3 dir="auto">{render.escape(name)}</h3><ol class="stages">{items}</ol>'
        f'<div class="fill" role="progressbar" aria-label="Compressing" aria-valuenow="{percent}" aria-valuemin="0" '
        f'aria-valuemax="100">{_RULER}<div class="ruler full" style="--part:{percent}%"></div></div>'
        f'<p class="doc-facts">{render.escape(" · ".join(facts))}</p></div>'
    )


def ingested(result: Ingested) -> str:
    """What one ingest came to."""
    facts = [
        f"{result.tokens:,} tokens",
        f"{result.segments} segments",
        f"{readable_bytes(result.stored_bytes)} stored",
    ]
    if result.from_cache:
        facts.append("seen before, nothing encoded")
    else:
        facts.append(f"{duration(result.seconds)} at {result.tokens_per_s:,.0f} tokens/s")
    notes = "".join(render.notice("warning", note) for note in result.notes)
    return render.notice("success", f"{result.document.title}: {' · '.join(facts)}") + notes


def documents(views: Sequence[DocumentView]) -> str:
    """The library's facts, one line a document."""
    if not views:
        return '<p class="wb-note">No documents yet: drop a file above, or paste text.</p>'
    rows = []
    for view in views:
        tone = {"ready": "ready", "compressing": "busy", "partial": "failed"}.get(view.state, "")
        facts = [readable_bytes(view.source_bytes or view.text_bytes)]
        if view.tokens:
            facts.append(f"{view.tokens:,} tokens")
        if view.segments:
            facts.append(f"{view.segments} segments")
        if view.stored_bytes:
            facts.append(f"{readable_bytes(view.stored_bytes)} of memory")
        state = _STATES[view.state]
        if view.state in ("compressing", "partial") and view.segments:
            state += f" {view.compressed_segments} of {view.segments}"
        rows.append(
            f'<li class="doc"><span class="doc-title" dir="auto">{render.escape(view.title)}</span>'
            f'<p class="doc-facts" style="margin-left:0 !important">{render.escape(" · ".join(facts))} · '
            f'<span class="state-{tone}">{state}</span></p></li>'
        )
    return f'<ul class="docs">{"".join(rows)}</ul>'


def said(answer: AnswerView) -> str:
    """The answer for the conversation, as Markdown; one that says there is none is muted."""
    text = render.escape_markdown(answer.text or "(no answer)")
    return f'<span class="wb-abstained">{text}</span>' if abstained(answer.text) else text


def cost(answer: AnswerView) -> str:
    """What the answer cost, against full context, and what it rests on."""
    held = readable_bytes(answer.kv_bytes)
    full = readable_bytes(answer.full_kv_bytes)
    reader = f"memory at {answer.ratio}x" if answer.reader == "memory" else answer.reader
    lines = [
        ("read", reader),
        ("in place after", f"{answer.timings.load_s:.2f} s"),
        ("first token", f"{answer.timings.first_token_s:.2f} s later"),
        ("then", f"{answer.timings.tokens_per_s:.1f} tokens/s"),
        ("KV held", f"{held} (full context, bf16: {full})"),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{render.escape(value)}</dd></div>" for name, value in lines)
    notes = "".join(render.notice("info", note) for note in answer.notes)
    shown = [(f"{e.title} · segment {e.segment}", e.score, e.text, e.page) for e in answer.evidence]
    evidence = (
        '<h3 class="wb-label" title="Attention of the answer\'s tokens to the memory\'s slots, mean over heads and the '
        'upper half of the layers, summed for each segment">Where the answer looked</h3>' + render.evidence(shown)
        if shown
        else ""
    )
    return f'<dl class="wb-cost">{cells}</dl>{notes}{evidence}'


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


def savings(view: Savings, dtype: str | None) -> str:
    """The figure's numbers, each with its definition; ``dtype`` is the one that the decoder computes in."""
    rows = [
        ("Text", "UTF-8 bytes of the document's text", view.text_bytes, ""),
        ("Full context", "plain key-value cache of all tokens in bf16", view.full_kv_bytes, "1.0"),
    ]
    for r in view.ratios:
        rows.append(
            (f"Memory {r.ratio}x", f"{r.slots:,} slots as the decoder holds them", r.kv_bytes, f"{r.factor:.1f}")
        )
        rows.append((f"Stored for {r.ratio}x", "int8 blobs read from the database", r.stored_bytes, ""))
    rows.append(("Database", "all levels of this document as stored", view.stored_bytes, ""))
    body = "".join(
        f'<tr title="{render.escape(means)}"><th scope="row">{render.escape(name)}</th><td>{readable_bytes(size)}</td>'
        f"<td>{factor}</td><td>{render.escape(means)}</td></tr>"
        for name, means, size, factor in rows
    )
    return (
        '<div class="wb-scroll"><table class="wb-table"><thead><tr><th scope="col">What</th><th scope="col">Bytes</th>'
        '<th scope="col">Full ÷ this</th><th scope="col">Definition</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        '<p class="wb-note">A memory is larger than the text it was made from. What it saves is the cache that a '
        "decoder holds while it answers, and the time to read the text before every question."
        + (
            " The decoder computes in float32 on this machine, so what it holds is twice as large as in bf16, "
            "in which full context is counted."
            if dtype == "float32"
            else ""
        )
        + "</p>"
    )
