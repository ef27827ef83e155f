"""HTML of the library: the queue, the shelf, what a search found. All strings go through ``render.escape``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app import render
from app.jobs import JobView, Outcome
from app.panels import RULER, STAGES, duration
from app.plots import readable_bytes
from app.views import DocumentView, IngestProgress, SearchHit

STATES = {
    "ready": "stored",
    "partial": "interrupted after",
    "compressing": "compressing",
    "text": "text only, not compressed",
    "unknown": "waiting for the model",
}
_STAGE_WORDS = dict(zip(STAGES, ("received", "reading", "cutting", "compressing", "stored"), strict=True))


def button(act: str, label: str, of: object = "", name: str = "", tone: str = "") -> str:
    """A button that raises ``act``; ``name`` says to screen readers what it works on."""
    said = f' aria-label="{render.escape(f"{label} {name}")}"' if name else ""
    return f'<button type="button" class="wb-link {tone}" data-act="{act}" data-of="{of}"{said}>{label}</button>'


def queue(jobs: Sequence[JobView], documents: Mapping[str, DocumentView]) -> str:
    """What waits, runs, failed, or has just been stored; ``documents`` by their SHA-256."""
    if not jobs:
        return ""
    waiting = 0
    rows = []
    for job in jobs:
        if job.state == "queued":
            rows.append(_queued(job, waiting))
        elif job.state == "running":
            rows.append(_running(job, documents.get(job.document or "")))
        elif job.state == "failed":
            rows.append(_failed(job))
        elif job.outcome:
            rows.append(_stored(job.outcome))
        waiting += job.state in ("queued", "running")
    clear = button("tidy", "Clear what is stored") if any(job.state == "stored" for job in jobs) else ""
    return f'<section class="queue" aria-label="Files on their way">{"".join(rows)}{clear}</section>'


def _queued(job: JobView, ahead: int) -> str:
    place = f"queued, {ahead} before it" if ahead else "queued"
    return (
        f'<div class="job"><h3 dir="auto">{render.escape(job.name)}</h3><p class="doc-facts">{place} '
        f"{button('dismiss', 'Remove', job.id, job.name)}</p></div>"
    )


def _running(job: JobView, document: DocumentView | None) -> str:
    step = job.step or IngestProgress("received")
    reached = STAGES.index(step.stage)
    stages = "".join(
        f'<li class="{"done" if i < reached else "now" if i == reached else ""}">{stage}</li>'
        for i, stage in enumerate(STAGES)
    )
    facts = [_STAGE_WORDS[step.stage]]
    if step.stage == "memory" and document and document.segments:
        facts = [f"compressing {round(document.segments * step.done / max(step.total, 1))} of {document.segments}"]
    if step.seconds_left is not None:
        facts.append(f"about {duration(step.seconds_left)} left")
    if step.message:
        facts.append(step.message)
    percent = f"{step.fraction * 100:.1f}"
    return (
        f'<div class="job"><h3 dir="auto">{render.escape(job.name)}</h3><ol class="stages">{stages}</ol>'
        f'<div class="fill" role="progressbar" aria-label="{render.escape(job.name)}" aria-valuenow="{percent}" '
        f'aria-valuemin="0" aria-valuemax="100">{RULER}<div class="ruler full" style="--part:{percent}%"></div></div>'
        f'<p class="doc-facts">{render.escape(" · ".join(facts))} {button("dismiss", "Cancel", job.id, job.name)}</p>'
        "</div>"
    )


def _failed(job: JobView) -> str:
    return (
        f'<div class="job">{render.notice("error", f"{job.name}: {job.reason}")}<p class="doc-facts">failed '
        f"{button('retry', 'Try again', job.id, job.name)} {button('dismiss', 'Dismiss', job.id, job.name)}</p></div>"
    )


def _stored(outcome: Outcome) -> str:
    facts = [
        f"{outcome.tokens:,} tokens",
        f"{outcome.segments} segments",
        f"{readable_bytes(outcome.stored_bytes)} stored",
        "seen before, nothing encoded"
        if outcome.from_cache
        else f"{duration(outcome.seconds)} at {outcome.tokens_per_s:,.0f} tokens/s",
    ]
    notes = "".join(render.notice("warning", note) for note in outcome.notes)
    done = render.notice("success", outcome.title + ": " + " · ".join(facts))
    return f'<div class="job">{done}{notes}</div>'


def shelf(
    views: Sequence[DocumentView],
    picked: Collection[str],
    collections: Mapping[str, Sequence[str]],
    queued: Collection[str] = (),
) -> str:
    """Documents with a box each; ``picked`` are ticked, ``queued`` wait for the model."""
    if not views:
        return '<p class="wb-note">No documents here yet: drop files above, or paste text.</p>'
    count = f"{len(views)} document{'s' * (len(views) != 1)}"
    ticked = sum(view.sha256 in picked for view in views)
    acts = button("tickall", "Tick all")
    if ticked:
        acts += button("untick", "Untick") + button("manage", "Manage ticked")
    rows = "".join(_row(view, view.sha256 in picked, collections, view.sha256 in queued) for view in views)
    return (
        f'<div class="docs-head"><span>{count}{f", {ticked} ticked" if ticked else ""}</span>{acts}</div>'
        f'<ul class="docs" aria-label="Documents to ask about">{rows}</ul>'
    )


def _row(view: DocumentView, ticked: bool, collections: Mapping[str, Sequence[str]], queued: bool) -> str:
    tone = {"ready": "ready", "compressing": "busy", "partial": "failed", "text": "failed"}.get(view.state, "")
    facts = [readable_bytes(view.source_bytes or view.text_bytes)]
    if view.tokens:
        facts.append(f"{view.tokens:,} tokens")
    if view.segments:
        facts.append(f"{view.segments} segment{'s' * (view.segments != 1)}")
    if view.stored_bytes:
        facts.append(f"{readable_bytes(view.stored_bytes)} of memory")
    state = "queued" if queued and view.state in ("text", "partial") else STATES[view.state]
    if view.state in ("compressing", "partial") and view.segments and not queued:
        state += f" {view.compressed_segments} of {view.segments}"
    tags = "".join(
        f'<span class="doc-tag" dir="auto">{render.escape(name)}</span>'
        for name, documents in collections.items()
        if view.sha256 in documents
    )
    acts = button("read", "Read", view.sha256, view.title) + button("manage", "Manage", view.sha256, view.title)
    if view.state in ("text", "partial") and not queued:
        acts = button("compress", "Compress", view.sha256, view.title) + acts
    return (
        f'<li class="doc"><label class="doc-pick"><input type="checkbox" data-act="tick" data-of="{view.sha256}"'
        f'{" checked" if ticked else ""}><span class="doc-title" dir="auto">{render.escape(view.title)}</span></label>'
        f'<p class="doc-facts">{render.escape(" · ".join(facts))} · <span class="state-{tone}">{state}</span></p>'
        f'<div class="doc-acts">{tags}{acts}</div></li>'
    )


def hits(found: Sequence[SearchHit], query: str) -> str:
    """What a search found, each opening the text at the place."""
    if not query.strip():
        return ""
    if not found:
        return '<p class="wb-note" role="status">Nothing holds all of these words.</p>'
    rows = []
    for hit in found:
        start, end = hit.marks[0] if hit.marks else (0, 0)
        page = f" · page {hit.page}" if hit.page else ""
        rows.append(
            f'<li><button type="button" class="hit" data-act="place" data-of="{hit.document.sha256}" '
            f'data-start="{hit.start + start}" data-end="{hit.start + end}">'
            f'<span class="doc-title" dir="auto">{render.escape(hit.document.title)}{page}</span>'
            f'<span class="hit-text" dir="auto">{marked(hit.snippet, hit.marks)}</span></button></li>'
        )
    return (
        f'<p class="wb-note" role="status">Found in {len(found)} document{"s" * (len(found) != 1)}</p>'
        f'<ul class="hits">{"".join(rows)}</ul>'
    )


def marked(text: str, marks: Sequence[tuple[int, int]]) -> str:
    """Escaped text with these (start, end) ranges, in order, marked."""
    parts, at = [], 0
    for start, end in marks:
        parts += [render.escape(text[at:start]), f"<mark>{render.escape(text[start:end])}</mark>"]
        at = end
    return "".join([*parts, render.escape(text[at:])])
