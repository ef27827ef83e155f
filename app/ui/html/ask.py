"""Make the HTML of conversations, and of the original text that evidence opens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

from app.answers.notes import abstained
from app.documents.library import Passage
from app.parsers import LeftOut
from app.types import AnswerView, EvidenceView, MessageView
from app.ui.format import counted, readable_bytes
from app.ui.html.elements import button, facts, file_beside, note, notes, notice
from app.ui.html.escape import escape

SHOWN_EVIDENCE = 3
#: Turns of a long conversation that are shown; the export has them all.
SHOWN_TURNS = 30
#: Characters of each part that was left out of a text; programs get it whole.
SHOWN_LEFT_OUT = 20_000
EMPTY = (
    '<p class="chat-empty">Tick documents in the library and ask. The answer is decoded from their memory; '
    "under it stands where it looked, and what it cost.</p>"
)
READ = {
    "memory": "memory at {ratio}x",
    "graded": "the last tokens and graded memory, in the bytes of {ratio}x",
    "focus": "by focus, in the bytes of {ratio}x",
    "full": "the full text",
    "truncated": "the first tokens, in the bytes of {ratio}x",
    "none": "nothing",
}
_EVIDENCE_MEANS = (
    "Attention of the answer's tokens to the memory's slots: mean over heads and the upper half of the layers, summed "
    "for each segment; all shares add up to 100%"
)

_READ_MEANS = (
    "Segments that were read as text, then those that were read finer than the rest of the document; each with its "
    "share of the attention of the answer's tokens"
)


def conversation(
    messages: Sequence[MessageView], asked: str = "", so_far: str | None = None, trouble: str = "", again: bool = True,
    warnings: Sequence[str] = (),
) -> str:  # fmt: skip
    """Show a conversation; then, while one is answered, the question ``asked``, ``warnings`` and the answer ``so_far``.

    ``trouble`` is the sentence of a question that could not be answered; ``again``: the last may be asked again.
    """
    shown = list(messages)[-2 * SHOWN_TURNS :]
    last = max((i for i, message in enumerate(shown) if message.answer), default=-1)
    parts = []
    if len(shown) < len(messages):
        parts.append(note(f"The last {SHOWN_TURNS} questions are shown; the export has them all."))
    for i, message in enumerate(shown):
        if message.role == "user":
            parts.append(_question(message.content))
        elif message.answer is None:
            parts.append(_said(message.content))
        else:
            parts.append(_said(message.content) + _under(message.answer))
            if i == last and again and so_far is None:
                parts.append(f'<p class="turn-acts">{button("again", "Ask again with the settings below")}</p>')
    if so_far is not None:
        parts.append(_question(asked) + notes(warnings, "warning"))
        waiting = '<span class="lamp busy"></span>reading' if not so_far else escape(so_far)
        parts.append(f'<p class="said streaming ccf-text" dir="auto">{waiting}</p>')
    if trouble:
        parts.append(notice("error", trouble))
    return f'<div class="turns" role="log" aria-label="Conversation">{"".join(parts) or EMPTY}</div>'


def _question(text: str) -> str:
    return f'<h3 class="asked" dir="auto">{escape(text)}</h3>'


def _said(text: str) -> str:
    muted = " wb-abstained" if abstained(text) else ""
    return f'<p class="said ccf-text{muted}" dir="auto">{escape(text or "(no answer)")}</p>'


def _under(answer: AnswerView) -> str:
    return notes(answer.notes) + evidence(answer.evidence) + cost(answer)


def evidence(items: Sequence[EvidenceView]) -> str:
    """Show a chip for each segment that the answer looked at, the strongest first; each opens the text at its place."""
    if not items:
        return ""
    chips = [_chip(item) for item in items]
    rest = chips[SHOWN_EVIDENCE:]
    more = f'<details class="more"><summary>{len(rest)} more</summary>{"".join(rest)}</details>' if rest else ""
    head, means = ("What it read", _READ_MEANS) if items[0].ratio else ("Where it looked", _EVIDENCE_MEANS)
    return (
        f'<div class="chips" role="group" aria-label="Where the answer looked"><span class="chips-head" '
        f'title="{means}">{head}</span>{"".join(chips[:SHOWN_EVIDENCE])}{more}</div>'
    )


def _chip(item: EvidenceView) -> str:
    page = f"page {item.page} · " if item.page else ""
    how = f" · {read_as(item.ratio)}" if item.ratio else ""
    share = min(max(item.score, 0.0), 1.0)
    file = file_beside(item.title, item.filename, "chip-file")
    return (
        f'<button type="button" class="chip" data-act="place" data-of="{item.document}" data-start="{item.start}" '
        f'data-end="{item.end}" title="Open the text at this place"><span class="chip-title" dir="auto">'
        f'{escape(item.title)}</span>{file}<span class="chip-place">{page}segment {item.segment}{how}</span>'
        f'<meter min="0" max="1" value="{share:.4f}">{share:.0%}</meter>'
        f'<span class="chip-share">{share:.0%}</span></button>'
    )


def read_as(ratio: int) -> str:
    """Say how ``focus`` read a segment."""
    return "as text" if ratio == 1 else f"at {ratio}x"


def cost(answer: AnswerView) -> str:
    """List what the answer cost, against full context; each number has its definition on hover."""
    read = READ.get(answer.reader, answer.reader).format(ratio=answer.ratio)
    if answer.turns:
        read += f" and {counted(answer.turns, 'earlier turn')}"
    rows = [
        ("read", read, "What the decoder read of the documents"),
        (
            "first token",
            f"{answer.timings.load_s + answer.timings.first_token_s:.2f} s",
            "From the question to the first token, memory or text put in place included",
        ),
        ("then", f"{answer.timings.tokens_per_s:.1f} tokens/s", "Tokens a second after the first"),
        (
            "KV held",
            readable_bytes(answer.kv_bytes),
            "Bytes of keys and values that the decoder held while it answered",
        ),
        (
            "full context, bf16",
            readable_bytes(answer.full_kv_bytes),
            "The plain key-value cache of the same documents, two bytes a number",
        ),
    ]
    return facts(rows)


def suggestions(found: Sequence[tuple[str, str]]) -> str:
    """Show (question, label) as buttons that ask at once; a label warns of what the adapter makes of it."""
    if not found:
        return ""
    chips = "".join(
        f'<button type="button" class="suggestion" data-act="suggested" data-of="{i}"><span dir="auto">'
        f"{escape(question)}</span>{f'<small>{escape(label)}</small>' if label else ''}</button>"
        for i, (question, label) in enumerate(found)
    )
    return f'<div class="suggestions" role="group" aria-label="Suggested questions">{chips}</div>'


def original(view: Passage) -> str:
    """Show a document's text in a dialog, with a place in it marked, and behind a click what its file holds besides."""
    end = view.start + len(view.before) + len(view.marked)
    place = f"characters {view.start + len(view.before):,} to {end:,}" if view.marked else ""
    where = " · ".join(part for part in (f"page {view.page}" if view.page else "", place) if part)
    return (
        f'<dialog class="original" aria-labelledby="original-title" data-nonce="{time.time_ns()}"><header><div>'
        f'<h2 id="original-title" dir="auto">{escape(view.title)}</h2>'
        f'{file_beside(view.title, view.filename, "doc-file")}<p class="doc-facts">{where}</p></div>'
        '<button type="button" class="wb-button" data-close>Close</button></header>'
        + _left_out(view.left_out)
        + '<div class="original-text" tabindex="0" role="region" aria-label="Original text">'
        + _skipped(view.skipped_before, "before")
        + f'<div class="ccf-text" dir="auto">{_paged(view)}</div>'
        + _skipped(view.skipped_after, "after")
        + "</div></dialog>"
    )


def _left_out(parts: Sequence[LeftOut]) -> str:
    if not parts:
        return ""
    shown = "".join(
        f'<h3 dir="auto">{escape(part.what)}</h3><div class="ccf-text" dir="auto">{escape(part.text[:SHOWN_LEFT_OUT])}'
        f"</div>{_skipped(len(part.text) - SHOWN_LEFT_OUT, 'after') if len(part.text) > SHOWN_LEFT_OUT else ''}"
        for part in parts
    )
    named = ", ".join(dict.fromkeys(part.what for part in parts))
    return (
        f'<details class="left-out"><summary dir="auto">Left out of this text: {escape(named)}</summary>'
        '<div tabindex="0" role="region" aria-label="Text that was left out">'
        + note("The file holds this too. It is not part of what was compressed: no answer comes from it.")
        + f"{shown}</div></details>"
    )


def _skipped(characters: int, side: str) -> str:
    return note(f"… {characters:,} characters {side} this are not shown") if characters else ""


def _paged(view: Passage) -> str:
    """Divide the text into its pages; a mark that runs over a page's end becomes one mark on each page."""
    text = view.before + view.marked + view.after
    mark = len(view.before), len(view.before) + len(view.marked)
    numbers = dict((offset, number) for number, offset in view.pages)
    cuts = sorted({0, *mark, *numbers, len(text)})
    parts = []
    for start, end in pairwise(cuts):
        if start in numbers:
            parts.append(f'<span class="page-break">page {numbers[start]}</span>')
        piece = escape(text[start:end])
        parts.append(f"<mark>{piece}</mark>" if mark[0] <= start and end <= mark[1] and start < end else piece)
    return "".join(parts)
