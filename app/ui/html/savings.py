"""Make the HTML of Savings: bytes held and stored, and measured seconds, each with its definition."""

from __future__ import annotations

from app.analysis.savings import LONGEST, Times
from app.types import SavingsView
from app.ui.format import counted, measured_seconds, minute, readable_bytes
from app.ui.html import elements
from app.ui.html.elements import note

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


def facts(view: SavingsView, database_bytes: int) -> str:
    """List the document's own sizes."""
    return elements.facts(
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


def table(view: SavingsView, dtype: str | None) -> str:
    """Compare full context and the memory at each ratio in positions and bytes; ``dtype`` is the decoder's."""
    bf16 = view.full_kv_bytes / view.tokens
    held = [("Full context", view.tokens, "")]
    held += [(f"Memory {r.ratio}x", r.slots, readable_bytes(r.stored_bytes)) for r in view.ratios]
    rows = [
        (name, f"{positions:,}", readable_bytes(2 * bf16 * positions), readable_bytes(bf16 * positions), stored,
         f"{view.tokens / positions:.1f}")
        for name, positions, stored in held
    ]  # fmt: skip
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
    explained = " ".join(f"{name}: {means}." for name, means in heads[1:])
    return elements.table("sav-table", heads, rows, "Bytes held and stored") + note(
        f"{explained} A memory is larger than the text it was made from. What it saves is the cache that a decoder "
        "holds while answering, and the time to read the text anew each time."
    )


def _here(dtype: str | None, column: str) -> str:
    return ", as on this machine" if dtype == column else ""


def progress(times: Times) -> str:
    """Say how far a measurement is."""
    said = f"Timing on this machine: {times.done:,} of {times.total:,} tokens"
    return elements.progress(said, "Timing", times.done / times.total)


def outcome(times: Times | None, tokens: int) -> str:
    """List what was measured at the longest length; ``tokens`` are those of the whole document."""
    if times is None or not times.points:
        return note(
            "Not timed yet on this machine. Timing compresses and reads the document's first segments both ways, up to "
            f"{LONGEST:,} tokens; on a laptop that may take a minute or two."
        )
    point = times.points[-1]
    pays = counted(point.pays_after, "question") if point.pays_after else "never"
    cells = elements.facts(
        [
            ("first token, full context", measured_seconds(point.full_s), "reading the text, then the question"),
            (
                f"first token, memory {times.ratio}x",
                measured_seconds(point.memory_s),
                "reading the database, then the question",
            ),
            ("saved per question", measured_seconds(point.saved_s), "the difference of the two"),
            ("compressing, once", measured_seconds(point.compress_s), "encoding and packing the same tokens"),
            ("paid for after", pays, "compressing ÷ saved per question, rounded up"),
        ]
    )
    part = "" if point.tokens == tokens else f" of {tokens:,}"
    when = f", {minute(times.created_at)} UTC" if times.created_at else ""
    return cells + note(
        f"Measured on {point.tokens:,}{part} tokens, {times.device} {times.dtype}{when}: medians of up to three runs; "
        "other work on the machine shows in them."
    )
