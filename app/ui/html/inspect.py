"""Make the HTML of Inspect: reconstruction, fidelity, attention, summary, ablation, two adapters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.analysis.ablation import AblationResult, AblationView
from app.analysis.adapter_pair import PairView
from app.analysis.attention import AttentionView, Slice
from app.analysis.summary import SummaryView
from app.types import Reconstruction
from app.ui.format import readable_bytes
from app.ui.html.diff import word_diff
from app.ui.html.elements import facts, note, notes, notice, progress, table
from app.ui.html.escape import escape

#: Shades of the text's attention, from none to the most.
SHADES = 7


def reconstruction(view: Reconstruction) -> str:
    """Show a segment beside its reconstruction, with its scores."""
    rows = [
        ("ROUGE-L", f"{view.rouge_l:.3f}", "longest common subsequence of tokens ÷ tokens of the segment"),
        ("same position", f"{view.exact_token:.1%}", "share of positions with the same token"),
        ("tokens", f"{view.tokens}", "tokens of the original"),
        ("slots", f"{view.slots}", "slots that the reconstruction was decoded from"),
        ("KV held", readable_bytes(view.kv_bytes), "bytes of those slots as the decoder holds them"),
    ]
    diff = word_diff(view.original, view.text, [(word.text, word.probability) for word in view.words])
    return facts(rows) + notes(view.notes) + diff


def strip(scores: Sequence[float | None], chosen: int | None, ratio: int) -> str:
    """Show a button for each segment, coloured and labelled by ROUGE-L; ``data-segment`` is what a click chooses."""
    cells = []
    for index, score in enumerate(scores):
        band = "none" if score is None else str(min(int(score * 10), 9))
        label = "·" if score is None else f"{score:.2f}".removeprefix("0")
        says = f"segment {index}: " + ("not reconstructed yet" if score is None else f"ROUGE-L {score:.3f}")
        current = ' aria-current="true"' if index == chosen else ""
        cells.append(
            f'<button type="button" class="ccf-cell ccf-v{band}" data-segment="{index}" title="{says}" '
            f'aria-label="{says}"{current}>{label}</button>'
        )
    known = [score for score in scores if score is not None]
    mean = f" Mean {sum(known) / len(known):.3f}." if known else ""
    done = f"{len(known)} of {len(scores)} segments reconstructed at {ratio}x."
    scale = "".join(f'<span class="ccf-v{i}"></span>' for i in range(10))
    return (
        f'<div class="ccf-strip" role="group" aria-label="Fidelity of every segment">{"".join(cells)}</div>'
        f'<p class="ccf-legend">ROUGE-L 0 <span class="ccf-scale" aria-hidden="true">{scale}</span> 1</p>'
        + note(done + mean, status=True)
    )


def sliced(view: Slice, ratio: int) -> str:
    """Say how many slots of the segment the ratio reads, and how long reading them took."""
    if view.notes:
        return notes(view.notes)
    return note(
        f"At {ratio}x: {len(view.slots)} slots for {view.tokens} tokens, read from the database in "
        f"{view.seconds * 1000:.0f} ms; nothing was encoded.",
        status=True,
    )


def shaded_text(view: AttentionView, chosen: str) -> str:
    """Show the segment's text, each word shaded by the attention of the chosen slots: "all", "level:8" or "slot:3"."""
    kind, _, number = chosen.partition(":")
    rows = [
        row
        for slot, row in zip(view.slots, view.weights, strict=True)
        if kind == "all" or int(number) == (slot.level if kind == "level" else slot.number)
    ]
    if not rows:
        return '<p class="ccf-empty">No such slot at this ratio.</p>'
    shares = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    top = max(shares[1:], default=0.0) or 1.0
    spans = []
    for word, share in zip(view.words, shares, strict=True):
        shade = min(SHADES, math.ceil(SHADES * share / top)) if share / top > 0.02 else 0
        body = word.rstrip()
        spans.append(
            f'<span class="ccf-h{shade}" title="{share:.2%} of the attention">{escape(body)}</span>'
            f"{escape(word[len(body) :])}"
        )
    scale = "".join(f'<span class="ccf-h{i}"></span>' for i in range(SHADES + 1))
    return (
        f'<div class="ccf-attention"><div class="ccf-text" dir="auto">{"".join(spans)}</div>'
        f'<p class="ccf-legend">no attention <span class="ccf-scale" aria-hidden="true">{scale}</span> {top:.1%}</p>'
        "</div>"
        + note(
            f"The segment's first token draws {view.sink:.0%} of all attention whatever it says: a sink. It is shaded "
            "like the most, and sets no scale."
        )
    )


def summary(view: SummaryView) -> str:
    """Show what the memory says in short beside the sentence that its slots look at most."""
    sides = (
        (
            "From the memory alone",
            f"the decoder's greedy answer to “{view.question}” with nothing but {view.slots} slots",
            view.summary or "(nothing)",
        ),
        (
            "Key sentence of the text",
            "the sentence with the most attention of the slots a token; the segment's first token, a sink, left out",
            view.key_sentence,
        ),
    )
    cells = "".join(
        f'<section class="ccf-side" title="{escape(means)}"><h4>{name}</h4>'
        f'<div class="ccf-text" dir="auto">{escape(text)}</div>'
        f"{note(means[0].upper() + means[1:] + '.')}</section>"
        for name, means, text in sides
    )
    frank = notice(
        "info",
        "Asked freely, the decoder says “Not in the document.”: it was trained on questions of fact, not on summaries. "
        "This is its answer with that one barred; expect mistakes.",
    )
    return f'<div class="ccf-diff"><div class="ccf-sides">{cells}</div></div>{frank if view.abstained else ""}'


def ablation(view: AblationView) -> str:
    """Show the intact memory beside the cut one, with what each cost and scored."""
    against = "the intact answer" if view.question else "the original"
    return (
        note(f"Switched off: {view.off}.", status=True)
        + _outcomes("Memory", against, (("Intact", view.intact), ("Operated", view.operated)))
        + word_diff(view.intact.text, view.operated.text, sides=("Intact memory", "Operated memory"))
    )


def adapter_pair(step: str | PairView) -> str:
    """Say what is being done; in the end show the segment under two adapters, with what each cost and scored."""
    if isinstance(step, str):
        return progress(step, "Comparing")
    used, other = step.adapters[0] + " (in use)", step.adapters[1]
    against = "the answer under the adapter in use" if step.question else "the original"
    off = "" if step.off == "nothing" else f" Switched off in both: {step.off}."
    return (
        note(f"Segment {step.segment} at {step.ratio}x under two adapters.{off}", status=True)
        + _outcomes("Adapter", against, ((used, step.used), (other, step.other)))
        + word_diff(step.used.text, step.other.text, sides=(used, other))
    )


def _outcomes(what: str, against: str, outcomes: Sequence[tuple[str, AblationResult]]) -> str:
    columns = (
        ("Slots", "slots in the decoder's cache"),
        ("KV held", "bytes of those slots; layers and heads that are off keep theirs, holding zeros"),
        ("ROUGE-L", f"longest common subsequence of tokens ÷ tokens of {against}"),
        ("Loss", f"nats a token on {against}, teacher-forced"),
    )
    rows = [
        (name, f"{one.slots}", readable_bytes(one.kv_bytes), f"{one.rouge_l:.3f}", f"{one.nats:.3f}")
        for name, one in outcomes
    ]
    means = "; ".join(f"{name}: {meant}" for name, meant in columns)
    return table("ccf-numbers", [(what, ""), *columns], rows) + note(f"{means}.")
