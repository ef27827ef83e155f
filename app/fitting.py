"""The finest ratio at which documents fit what may be held of them."""

from __future__ import annotations

from collections.abc import Sequence

from app.budget import KVBudget
from app.ingest import document_slots
from ccf_core import CCF
from ccf_core.baselines import position_bytes
from ccf_core.segment import Segmented


def affordable(ccf: CCF, ratio: int, texts: Sequence[Segmented], budget: KVBudget | None) -> tuple[int, str]:
    """The ratio at which the documents are read, the one asked for or the finest above it that fits, and a note.

    What has to fit is every slot: into the budget, into the window less the eighth that question and answer have,
    and into the attention span of a base that slides. The note is empty if the ratio is the one asked for and fits.
    If none fits, it is the coarsest there is.
    """
    room = ccf.decoder.window - ccf.decoder.window // 8
    limits = [(room, f"the model's window holds {room:,}")]
    if sliding := getattr(ccf.model.config, "sliding_window", None):
        limits.append((sliding - 1, f"the model attends to {sliding - 1:,} at a time"))
    if budget:
        allowed = budget.positions(position_bytes(ccf.decoder))
        limits.append((allowed, f"the KV budget is {budget}" + (f", {allowed:,} positions" if budget.in_bytes else "")))
    most, why = min(limits)

    def slots(at: int) -> int:
        return sum(document_slots(text.spans, at) for text in texts)

    choices = [one for one in ccf.config.ratios if one >= ratio]
    chosen = next((one for one in choices if slots(one) <= most), choices[-1])
    found = f"At {ratio}x the memory has {slots(ratio):,} positions; {why}"
    if slots(chosen) > most:
        return chosen, f"{found}, which is too few even for {chosen}x with {slots(chosen):,}: it was read at that."
    return chosen, "" if chosen == ratio else f"{found}, so it was read at {chosen}x, the finest ratio that fits."
