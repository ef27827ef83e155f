"""HTML of Inspect's figures and of Surgery. Every string that did not grow here goes through ``render.escape``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app import render
from app.looking import AttentionView, Slice, SummaryView
from app.operating import Operation, Outcome
from app.pairing import Pair
from app.plots import readable_bytes

#: Shades of the text's attention, from none to the most.
SHADES = 7


def strip(scores: Sequence[float | None], chosen: int | None, ratio: int) -> str:
    """One button a segment, coloured and labelled by ROUGE-L; ``data-segment`` is what a click chooses."""
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
        f'<p class="wb-note" role="status">{done}{mean}</p>'
    )


def sliced(view: Slice, ratio: int) -> str:
    """What the ratio made of the segment, and how long that took."""
    if view.notes:
        return "".join(render.notice("info", note) for note in view.notes)
    return (
        f'<p class="wb-note" role="status">At {ratio}x: {len(view.slots)} slots for {view.tokens} tokens, read from '
        f"the database in {view.seconds * 1000:.0f} ms; nothing was encoded.</p>"
    )


def shaded_text(view: AttentionView, chosen: str) -> str:
    """The segment's text, each word shaded by the attention of the chosen slots: "all", "level:8" or "slot:3"."""
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
            f'<span class="ccf-h{shade}" title="{share:.2%} of the attention">{render.escape(body)}</span>'
            f"{render.escape(word[len(body) :])}"
        )
    scale = "".join(f'<span class="ccf-h{i}"></span>' for i in range(SHADES + 1))
    return (
        f'<div class="ccf-attention"><div class="ccf-text" dir="auto">{"".join(spans)}</div>'
        f'<p class="ccf-legend">no attention <span class="ccf-scale" aria-hidden="true">{scale}</span> {top:.1%}</p>'
        f'</div><p class="wb-note">The segment\'s first token draws {view.sink:.0%} of all attention whatever it says: '
        "a sink. It is shaded like the most, and sets no scale.</p>"
    )


def summary(view: SummaryView) -> str:
    """What the memory says in short beside what its slots looked at."""
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
        f'<section class="ccf-side" title="{render.escape(means)}"><h4>{name}</h4>'
        f'<div class="ccf-text" dir="auto">{render.escape(text)}</div>'
        f'<p class="wb-note">{render.escape(means[0].upper() + means[1:])}.</p></section>'
        for name, means, text in sides
    )
    frank = render.notice(
        "info",
        "Asked freely, the decoder says “Not in the document.”: it was trained on questions of fact, not on summaries. "
        "This is its answer with that one barred; expect mistakes.",
    )
    return f'<div class="ccf-diff"><div class="ccf-sides">{cells}</div></div>{frank if view.abstained else ""}'


def operation(view: Operation) -> str:
    """Intact and operated memory side by side, with what each cost and scored."""
    against = "the intact answer" if view.question else "the original"
    return (
        f'<p class="wb-note" role="status">Switched off: {render.escape(view.off)}.</p>'
        + _table("Memory", against, (("Intact", view.intact), ("Operated", view.operated)))
        + render.word_diff(view.intact.text, view.operated.text, sides=("Intact memory", "Operated memory"))
    )


def pair(step: str | Pair) -> str:
    """What is being done; then the segment under two adapters side by side, with what each cost and scored."""
    if isinstance(step, str):
        return (
            f'<p class="wb-note" role="status">{render.escape(step)} <progress aria-label="Comparing"></progress></p>'
        )
    used, other = step.adapters[0] + " (in use)", step.adapters[1]
    against = "the answer under the adapter in use" if step.question else "the original"
    off = "" if step.off == "nothing" else f" Switched off in both: {render.escape(step.off)}."
    return (
        f'<p class="wb-note" role="status">Segment {step.segment} at {step.ratio}x under two adapters.{off}</p>'
        + _table("Adapter", against, ((used, step.used), (other, step.other)))
        + render.word_diff(step.used.text, step.other.text, sides=(used, other))
    )


def _table(what: str, against: str, outcomes: Sequence[tuple[str, Outcome]]) -> str:
    columns = (
        ("Slots", "slots in the decoder's cache"),
        ("KV held", "bytes of those slots; layers and heads that are off keep theirs, holding zeros"),
        ("ROUGE-L", f"longest common subsequence of tokens ÷ tokens of {against}"),
        ("Loss", f"nats a token on {against}, teacher-forced"),
    )
    head = "".join(f'<th scope="col" title="{means}">{name}</th>' for name, means in columns)
    rows = "".join(
        f'<tr><th scope="row">{render.escape(name)}</th><td>{one.slots}</td><td>{readable_bytes(one.kv_bytes)}</td>'
        f"<td>{one.rouge_l:.3f}</td><td>{one.nats:.3f}</td></tr>"
        for name, one in outcomes
    )
    means = "; ".join(f"{name}: {meant}" for name, meant in columns)
    return (
        f'<div class="wb-scroll"><table class="wb-table ccf-numbers"><thead><tr><th scope="col">{what}</th>{head}</tr>'
        f'</thead><tbody>{rows}</tbody></table></div><p class="wb-note">{means}.</p>'
    )
