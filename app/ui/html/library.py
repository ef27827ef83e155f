"""Make the HTML of the library: the queue, the shelf, what a search found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app.documents.queue import JobResult, JobView
from app.types import DocumentView, IngestProgress, SearchHit
from app.ui.format import counted, duration, readable_bytes
from app.ui.html.elements import RULER, button, file_beside, note, notes, notice
from app.ui.html.escape import escape

STATES = {
    "ready": "stored",
    "partial": "interrupted after",
    "compressing": "compressing",
    "text": "text only, not compressed",
    "unknown": "waiting for the model",
}
#: Stages of an ingest, and what goes on in each.
STAGES = {"received": "received", "text": "reading", "segments": "cutting", "memory": "compressing", "stored": "stored"}


def queue(jobs: Sequence[JobView], documents: Mapping[str, DocumentView]) -> str:
    """List what waits, runs, failed, or has just been stored; ``documents`` by their SHA-256."""
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
        f'<div class="job"><h3 dir="auto">{escape(job.name)}</h3><p class="doc-facts">{place} '
        f"{button('dismiss', 'Remove', job.id, job.name)}</p></div>"
    )


def _running(job: JobView, document: DocumentView | None) -> str:
    step = job.step or IngestProgress("received")
    reached = [*STAGES].index(step.stage)
    stages = "".join(
        f'<li class="{"done" if i < reached else "now" if i == reached else ""}">{stage}</li>'
        for i, stage in enumerate(STAGES)
    )
    facts = [STAGES[step.stage]]
    if step.stage == "memory" and document and document.segments:
        facts = [f"compressing {round(document.segments * step.done / max(step.total, 1))} of {document.segments}"]
    if step.seconds_left is not None:
        facts.append(f"about {duration(step.seconds_left)} left")
    if step.message:
        facts.append(step.message)
    percent = f"{step.fraction * 100:.1f}"
    return (
        f'<div class="job"><h3 dir="auto">{escape(job.name)}</h3><ol class="stages">{stages}</ol>'
        f'<div class="fill" role="progressbar" aria-label="{escape(job.name)}" aria-valuenow="{percent}" '
        f'aria-valuemin="0" aria-valuemax="100">{RULER}<div class="ruler full" style="--part:{percent}%"></div></div>'
        f'<p class="doc-facts">{escape(" · ".join(facts))} {button("dismiss", "Cancel", job.id, job.name)}</p>'
        "</div>"
    )


def _failed(job: JobView) -> str:
    state = f"failed {button('retry', 'Try again', job.id, job.name)}" if job.repeatable else "refused"
    return (
        f'<div class="job">{notice("error", f"{job.name}: {job.reason}")}<p class="doc-facts">{state} '
        f"{button('dismiss', 'Dismiss', job.id, job.name)}</p></div>"
    )


def _stored(outcome: JobResult) -> str:
    facts = [
        f"{outcome.tokens:,} tokens",
        counted(outcome.segments, "segment"),
        f"{readable_bytes(outcome.stored_bytes)} stored",
        "seen before, nothing encoded"
        if outcome.from_cache
        else f"{duration(outcome.seconds)} at {outcome.tokens_per_s:,.0f} tokens/s",
    ]
    done = notice("success", outcome.title + ": " + " · ".join(facts))
    return f'<div class="job">{done}{notes(outcome.notes, "warning")}</div>'


def shelf(
    views: Sequence[DocumentView],
    picked: Collection[str],
    collections: Mapping[str, Sequence[str]],
    queued: Collection[str] = (),
) -> str:
    """List documents with a box each; ``picked`` are ticked, ``queued`` wait for the model."""
    if not views:
        return note("No documents here yet: drop files above, or paste text.")
    ticked = sum(view.sha256 in picked for view in views)
    count, acts = counted(len(views), "document"), button("tickall", "Tick all")
    if ticked:
        count += f", {ticked} ticked"
        acts += button("untick", "Untick") + button("manage", "Manage ticked")
    rows = "".join(_row(view, view.sha256 in picked, collections, view.sha256 in queued) for view in views)
    return (
        f'<div class="docs-head"><span>{count}</span>{acts}</div>'
        f'<ul class="docs" aria-label="Documents to ask about">{rows}</ul>'
    )


def _row(view: DocumentView, ticked: bool, collections: Mapping[str, Sequence[str]], queued: bool) -> str:
    tone = {"ready": "ready", "compressing": "busy", "partial": "failed", "text": "failed"}.get(view.state, "")
    facts = [readable_bytes(view.source_bytes or view.text_bytes)]
    if view.tokens:
        facts.append(f"{view.tokens:,} tokens")
    if view.segments:
        facts.append(counted(view.segments, "segment"))
    if view.stored_bytes:
        facts.append(f"{readable_bytes(view.stored_bytes)} of memory")
    state = "queued" if queued and view.state in ("text", "partial") else STATES[view.state]
    if view.state in ("compressing", "partial") and view.segments and not queued:
        state += f" {view.compressed_segments} of {view.segments}"
    tags = "".join(
        f'<span class="doc-tag" dir="auto">{escape(name)}</span>'
        for name, documents in collections.items()
        if view.sha256 in documents
    )
    acts = button("read", "Read", view.sha256, view.title) + button("manage", "Manage", view.sha256, view.title)
    if view.state in ("text", "partial") and not queued:
        acts = button("compress", "Compress", view.sha256, view.title) + acts
    return (
        f'<li class="doc"><label class="doc-pick"><input type="checkbox" data-act="tick" data-of="{view.sha256}"'
        f'{" checked" if ticked else ""}><span class="doc-title" dir="auto">{escape(view.title)}</span></label>'
        f"{file_beside(view.title, view.filename, 'doc-file')}"
        f'<p class="doc-facts">{escape(" · ".join(facts))} · <span class="state-{tone}">{state}</span></p>'
        f'<div class="doc-acts">{tags}{acts}</div></li>'
    )


def hits(found: Sequence[SearchHit], query: str) -> str:
    """List what a search found; each hit opens the text at its place."""
    if not query.strip():
        return ""
    if not found:
        return note("Nothing holds all of these words.", status=True)
    rows = []
    for hit in found:
        start, end = hit.marks[0] if hit.marks else (0, 0)
        page = f" · page {hit.page}" if hit.page else ""
        rows.append(
            f'<li><button type="button" class="hit" data-act="place" data-of="{hit.document.sha256}" '
            f'data-start="{hit.start + start}" data-end="{hit.start + end}">'
            f'<span class="doc-title" dir="auto">{escape(hit.document.title)}{page}</span>'
            f"{file_beside(hit.document.title, hit.document.filename, 'doc-file')}"
            f'<span class="hit-text" dir="auto">{marked(hit.snippet, hit.marks)}</span></button></li>'
        )
    return note(f"Found in {counted(len(found), 'document')}", status=True) + f'<ul class="hits">{"".join(rows)}</ul>'


def marked(text: str, marks: Sequence[tuple[int, int]]) -> str:
    """Escape a text and mark these (start, end) ranges of it, which are in order."""
    parts, at = [], 0
    for start, end in marks:
        parts += [escape(text[at:start]), f"<mark>{escape(text[start:end])}</mark>"]
        at = end
    return "".join([*parts, escape(text[at:])])
