"""An answer, what it cost and where it came from: plain data, which a page can show before torch is there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Timings:
    """Seconds to put the memory in place, seconds from there to the first token, tokens a second after it."""

    load_s: float
    first_token_s: float
    tokens_per_s: float


@dataclass(frozen=True)
class Evidence:
    """A segment's share of the attention that the answer paid to the memory; shares sum to 1.

    ratio : at which it was read, 1 if as text, where a reader reads segments at ratios of their own.
    """

    segment: int
    score: float
    ratio: int | None = None


@dataclass(frozen=True)
class Answer:
    """kv_bytes is what the decoder held for the document while it answered; full_kv_bytes the plain cache in bf16."""

    text: str
    reader: str
    timings: Timings
    kv_bytes: int
    full_kv_bytes: int
    evidence: tuple[Evidence, ...] = field(default=())
