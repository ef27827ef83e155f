"""Choose what fits the model: the finest ratio of documents, a text read in full, earlier turns of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.errors import NotAnswerable
from app.limits import KVBudget
from ccf_core.answering.prompt import question_prompt
from ccf_core.memory.layout import usable
from ccf_core.memory.segments import Segmented

if TYPE_CHECKING:
    from ccf_core import CCF

#: Segments that short documents have at most: 307 tokens, with segments of 256.
SHORT = 1.2


def affordable(ccf: CCF, ratio: int, texts: Sequence[Segmented], budget: KVBudget | None) -> tuple[int, str]:
    """Choose the ratio at which the documents are read, the one asked for or the finest above it that fits, and a note.

    What has to fit is every slot: into the budget, into the window less the eighth that question and answer have,
    and so into the attention span of a base that slides. The note is empty if the ratio is the one asked for and fits.
    If none fits, it is the coarsest there is.
    """
    most = usable(ccf.decoder.window)
    limits = [(most, f"the model's window holds {most:,}")]
    if sliding := ccf.decoder.sliding:
        limits.append((usable(sliding), f"the model attends to {sliding:,} at a time"))
    if budget:
        allowed = budget.positions(ccf.decoder.kv_bytes)
        limits.append((allowed, f"the KV budget is {budget}" + (f", {allowed:,} positions" if budget.in_bytes else "")))
    most, why = min(limits)

    def slots(at: int) -> int:
        return sum(text.slots(at) for text in texts)

    choices = [one for one in ccf.config.ratios if one >= ratio]
    chosen = next((one for one in choices if slots(one) <= most), choices[-1])
    found = f"At {ratio}x the memory has {slots(ratio):,} positions; {why}"
    if slots(chosen) > most:
        return chosen, f"{found}, which is too few even for {chosen}x with {slots(chosen):,}: it was read at that."
    return chosen, "" if chosen == ratio else f"{found}, so it was read at {chosen}x, the finest ratio that fits."


def are_short(ccf: CCF, texts: Sequence[Segmented]) -> bool:
    """Tell whether the documents have hardly more tokens together than one segment."""
    return sum(len(text.input_ids) for text in texts) <= SHORT * ccf.config.segment_length


def fitting_turns(
    ccf: CCF, question: str, history: tuple[tuple[str, str], ...], max_new_tokens: int, tokens: int
) -> tuple[tuple[str, str], ...]:
    """Keep as many of the latest turns as fit the window beside the question and its answer.

    ``tokens`` are read as plain text. Raises NotAnswerable if they, the question, or the answer do not fit the base
    model's window.
    """
    most = usable(ccf.decoder.window)
    reserve = ccf.decoder.window - most
    if not 1 <= max_new_tokens <= reserve:
        raise NotAnswerable(f"An answer can have 1 to {reserve:,} tokens, not {max_new_tokens:,}.")
    length = len(question_prompt(ccf.tokenizer, question))
    if length > reserve:
        raise NotAnswerable(f"The question has {length:,} tokens and the limit is {reserve:,}; shorten it.")
    if tokens > most:
        raise NotAnswerable(
            f"The base model reads at most {most:,} tokens of plain text and these are {tokens:,}; "
            "ask the memory instead, or fewer documents."
        )
    while history and len(question_prompt(ccf.tokenizer, question, history)) > reserve - max_new_tokens:
        history = history[1:]
    return history
