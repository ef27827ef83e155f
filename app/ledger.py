"""HTML of Savings: what is held and stored in bytes, and what was measured in seconds, each with its definition."""

from __future__ import annotations

from collections.abc import Sequence

from app import render
from app.plots import readable_bytes
from app.timing import LONGEST, Times
from app.views import Savings

GROWTH = (
    "Bytes of keys and values in bf16 that a decoder holds for a document of so many tokens: one position a token for "
    "full context, one a slot for a memory. Counted from the model's shape; upright line: the document chosen above."
)
TIMES = (
    "Seconds on this machine for the first segments of the document. First token: from the question to the first token "
    "of its answer; full context reads the text again before every question, a memory is read from the database. "
    "Compressing: encoding and packing, once for all ratios and questions."
)
PAYBACK = (
    "Seconds of waiting for first tokens in all. The memory's line begins with the time of compressing; where it meets "
    "the other, compression has paid for itself. For the longest length that was measured."
)


STORED = {
    "bfloat16": "two bytes a number",
    "int8": "one byte a number and scales",
    "int4": "half a byte a number and scales",
}


def facts(view: Savings, database_bytes: int) -> str:
    """The document's own sizes in one line."""
    return _cells(
        [
            ("text", readable_bytes(view.text_bytes), "UTF-8 bytes of the document's text"),
            ("tokens", f"{view.tokens:,}", "pieces of words; full context holds a position for each"),
            ("a position", readable_bytes(view.full_kv_bytes / view.tokens), "keys and values of one of them, bf16"),
            (
                "stored",
                readable_bytes(view.stored_bytes),
                f"all levels of this document's memory in the database, {view.stored_dtype}",
            ),
            ("database", readable_bytes(database_bytes), "its file: texts, search index, memories, conversations"),
        ]
    )  # fmt: skip


def table(view: Savings, dtype: str | None) -> str:
    """Positions and bytes of full context and of the memory at each ratio; ``dtype`` is the decoder's."""
    bf16 = view.full_kv_bytes / view.tokens
    rows = [("Full context", view.tokens, "")]
    rows += [(f"Memory {r.ratio}x", r.slots, readable_bytes(r.stored_bytes)) for r in view.ratios]
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{positions:,}</td><td>{readable_bytes(2 * bf16 * positions)}</td>'
        f"<td>{readable_bytes(bf16 * positions)}</td><td>{stored}</td><td>{view.tokens / positions:.1f}</td></tr>"
        for name, positions, stored in rows
    )
    heads = [
        ("Held by the decoder", "keys and values of the document while a question is answered"),
        ("Positions", "tokens for full context, slots for a memory"),
        ("float32", "four bytes a number" + _here(dtype, "float32")),
        ("bf16", "two bytes a number" + _here(dtype, "bfloat16")),
        (
            f"Stored, {view.stored_dtype}",
            f"blobs of the levels that this ratio reads from the database, {STORED[view.stored_dtype]}",
        ),
        ("Full ÷ this", "positions of full context over positions of this row; the same dtype for both"),
    ]
    head = "".join(f'<th scope="col" title="{render.escape(means)}">{name}</th>' for name, means in heads)
    explained = " ".join(f"{name}: {means}." for name, means in heads[1:])
    return (
        '<div class="wb-scroll" tabindex="0" role="region" aria-label="Bytes held and stored">'
        f'<table class="wb-table sav-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="wb-note">{render.escape(explained)} A memory is larger than the text it was made from. What it '
        "saves is the cache that a decoder holds while answering, and the time to read the text anew each time.</p>"
    )


def _here(dtype: str | None, column: str) -> str:
    return ", as on this machine" if dtype == column else ""


def progress(times: Times) -> str:
    """How far a measurement is."""
    said = f"Timing on this machine: {times.done:,} of {times.total:,} tokens"
    bar = f' <progress max="1" value="{times.done / times.total:.3f}" aria-label="Timing"></progress>'
    return f'<p class="wb-note" role="status">{render.escape(said)}{bar}</p>'


def outcome(times: Times | None, tokens: int) -> str:
    """What a measurement says in numbers, for its longest length; ``tokens`` are those of the whole document."""
    if times is None or not times.points:
        return (
            '<p class="wb-note">Not timed yet on this machine. Timing compresses and reads the document\'s first '
            f"segments both ways, up to {LONGEST:,} tokens; on a laptop that may take a minute or two.</p>"
        )
    point = times.points[-1]
    pays = f"{point.pays_after:,} question{'' if point.pays_after == 1 else 's'}" if point.pays_after else "never"
    cells = _cells(
        [
            ("first token, full context", seconds(point.full_s), "reading the text, then the question"),
            (f"first token, memory {times.ratio}x", seconds(point.memory_s), "reading the database, then the question"),
            ("saved per question", seconds(point.saved_s), "the difference of the two"),
            ("compressing, once", seconds(point.compress_s), "encoding and packing the same tokens"),
            ("paid for after", pays, "compressing ÷ saved per question, rounded up"),
        ]
    )
    part = "" if point.tokens == tokens else f" of {tokens:,}"
    when = f", {times.created_at[:16].replace('T', ' ')} UTC" if times.created_at else ""
    return (
        f'{cells}<p class="wb-note">Measured on {point.tokens:,}{part} tokens, {render.escape(times.device)} '
        f"{render.escape(times.dtype)}{when}: medians of up to three runs; other work on the machine shows in them.</p>"
    )


def seconds(value: float) -> str:
    """``0.32 s``, ``12.4 s``, ``-0.10 s``."""
    return f"{value:.2f} s" if abs(value) < 10 else f"{value:.1f} s"


def _cells(found: Sequence[tuple[str, str, str]]) -> str:
    cells = "".join(
        f'<div title="{render.escape(means)}"><dt>{render.escape(name)}</dt><dd>{render.escape(value)}</dd></div>'
        for name, value, means in found
    )
    return f'<dl class="wb-cost">{cells}</dl>'
