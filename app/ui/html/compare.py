"""Make the HTML of a comparison: a card for each setting, and all costs in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.answers.compare import FOCUS, FULL, NONE, SAME_BYTES, TRUNCATED
from app.types import AnswerView
from app.ui.format import readable_bytes
from app.ui.html.diff import inline_diff
from app.ui.html.elements import facts, note, notes, notice, table
from app.ui.html.escape import escape

FIRST_TOKEN = "seconds from the question to the first token, reading included: stored memory from disk, text by prefill"
HELD = "bytes of keys and values that the decoder held for the documents while it answered, in its own dtype"
SHARE = "KV held ÷ plain cache of all tokens of the same documents in the same dtype"
RATE = "tokens a second after the first"


@dataclass
class Card:
    """What is known of one setting: its text so far, the finished answer, or why there is none."""

    setting: str
    text: str = ""
    answer: AnswerView | None = None
    error: str = ""


def label(setting: str) -> str:
    """Name a setting in words."""
    same = f"bytes of {SAME_BYTES}x"
    names = {FULL: "full context", FOCUS: f"focus, {same}", TRUNCATED: f"truncated, {same}", NONE: "no document"}
    return names.get(setting, f"memory {setting}")


def cards(found: Sequence[Card], ended: bool, dtype: str | None) -> str:
    """Show a card for each setting, with its answer's difference from full context's; ``ended``: nothing more comes.

    ``dtype`` is the one that the decoder computes in.
    """
    full = next((card.answer for card in found if card.setting == FULL and card.answer), None)
    current = next((card.setting for card in found if not card.answer and not card.error), None)
    done = sum(1 for card in found if card.answer or card.error)
    status = (
        f"{done} of {len(found)} settings asked"
        if ended
        else f"Asking {label(current or '')}, {done} of {len(found)} done"
    )
    body = "".join(
        _card(card, full, dtype, writing=card.setting == current and not ended, ended=ended) for card in found
    )
    return note(status, status=True) + (
        f'<div class="cmp-cards">{body}</div>{_LEGEND if full and len(found) > 1 else ""}'
    )


_LEGEND = (
    '<div class="ccf-diff"><p class="ccf-legend">Against full context\'s answer: <del class="ccf-del">only there</del> '
    '<ins class="ccf-ins">only here</ins></p></div>'
)


def _card(card: Card, full: AnswerView | None, dtype: str | None, writing: bool, ended: bool) -> str:
    head = f"<header><h4>{escape(label(card.setting))}</h4>{_against(card, full)}</header>"
    if card.error:
        body = notice("error", card.error)
    elif card.text.strip() or card.answer:
        body = f'<div class="ccf-text" dir="auto">{escape(card.text.strip()) or "(no answer)"}</div>'
    else:
        body = f'<p class="ccf-empty">{"reading" if writing else "left out: stopped" if ended else "waiting"}</p>'
    if card.answer and full and _differs(card.answer, full):
        body += inline_diff(full.text, card.answer.text)
    return (
        f'<article class="ccf-card cmp-card{" cmp-now" if writing else ""}">{head}{body}{_facts(card, dtype)}</article>'
    )


def _against(card: Card, full: AnswerView | None) -> str:
    if not card.answer or not full or card.setting == FULL:
        return ""
    return f'<span class="ccf-state">{"differs from" if _differs(card.answer, full) else "same as"} full context</span>'


def _differs(answer: AnswerView, full: AnswerView) -> bool:
    return answer.text.split() != full.text.split()


def _facts(card: Card, dtype: str | None) -> str:
    if not card.answer:
        return ""
    rows = [
        ("first token", _first_token(card.answer), FIRST_TOKEN),
        ("then", f"{card.answer.timings.tokens_per_s:.1f} tokens/s", RATE),
        ("KV held", readable_bytes(card.answer.kv_bytes), HELD),
        ("of full context", _share(card.answer, dtype), SHARE),
    ]
    return facts(rows, "ccf-facts") + notes(card.answer.notes)


def costs(found: Sequence[Card], dtype: str | None) -> str:
    """Put the costs of every answered setting into a table; ``dtype`` is the one that the decoder computes in."""
    answered = [(card.setting, card.answer) for card in found if card.answer]
    if not answered:
        return ""
    rows = [
        (label(setting), _first_token(answer), f"{answer.timings.tokens_per_s:.1f}", readable_bytes(answer.kv_bytes),
         _share(answer, dtype))
        for setting, answer in answered
    ]  # fmt: skip
    full = readable_bytes(answered[0][1].full_kv_bytes)
    heads = [("First token", FIRST_TOKEN), ("Tokens/s", RATE), ("KV held", HELD), ("Of full context", SHARE)]
    explained = ". ".join(f"{name}: {means}" for name, means in heads)
    return table("cmp-costs", [("Setting", ""), *heads], rows, "Costs") + note(
        f"{explained}. The decoder computes in {dtype or 'its own dtype'} here; in bf16 the plain cache of these "
        f"documents is {full}."
    )


def _first_token(answer: AnswerView) -> str:
    return f"{answer.timings.load_s + answer.timings.first_token_s:.2f} s"


def _share(answer: AnswerView, dtype: str | None) -> str:
    full = answer.full_kv_bytes * (2 if dtype == "float32" else 1)  # it is counted in bf16
    return f"{answer.kv_bytes / full:.0%}" if full else "0%"
