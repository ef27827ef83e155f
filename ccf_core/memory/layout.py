"""Where slots stand and what they see: small pure functions, without a model.

A segment of n tokens has slots that end at tokens f, 2f, 3f, … (counted from 1, f the finest ratio) and always at n.
The slot at n belongs to the coarsest level; any other to the largest ratio that divides its end. Slots are kept in
the order *coarse to fine, then by end*. In that order "text, the coarser slots and the earlier slots of one's own
level" is exactly everything that comes before: the nested mask is plain causal attention over [text; slots], the
memory at ratio r is the first ceil(n / r) slots, and leaving finer slots out cannot change the coarser ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ccf_core.config import CCFConfig
from ccf_core.memory.segments import slot_count

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T", int, "Tensor")


@dataclass(frozen=True)
class SlotLayout:
    """Slots of one segment, coarse to fine: ``ends`` count tokens from 1, ``levels`` are ratios."""

    tokens: int
    ends: tuple[int, ...]
    levels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ends)

    def count(self, level: int) -> int:
        return self.levels.count(level)


def slot_layout(tokens: int, finest: int, ratios: Sequence[int]) -> SlotLayout:
    """Lay out the slots of a segment down to the level ``finest``: always ceil(tokens / finest) of them."""
    if tokens < 1:
        raise ValueError("a segment has at least one token")
    ends = [*range(finest, tokens, finest), tokens]

    def level(end: int) -> int:
        return ratios[-1] if end == tokens else max(r for r in ratios if end % r == 0)

    ordered = sorted((-level(end), end) for end in ends)
    return SlotLayout(tokens, tuple(end for _, end in ordered), tuple(-negative for negative, _ in ordered))


def slots_of_level(tokens: int, level: int, ratios: Sequence[int]) -> int:
    """Count the slots of one level in a segment of ``tokens`` tokens: those at ``level`` less coarser ones."""
    coarser = [r for r in ratios if r > level]
    return slot_count(tokens, level) - (slot_count(tokens, min(coarser)) if coarser else 0)


def window_start(end: int, level: int, slot_window: int | None) -> int:
    """Find the first token (from 0) of the window whose mean embedding enters the slot that ends at ``end``."""
    return max(0, end - (slot_window or level))


@dataclass(frozen=True)
class Placement:
    """Decoder positions: slots are squeezed by numerator / denominator so that ``tokens`` fit the window."""

    tokens: int
    numerator: int
    denominator: int

    @property
    def stride(self) -> float:
        return self.numerator / self.denominator

    def of(self, token: T) -> T:
        """Place the slot that ends at a token of all that is read, counted from 0: floor(token · stride).

        token : a number, or a tensor of them, int64.
        """
        return token * self.numerator // self.denominator

    @property
    def question(self) -> int:
        """First position after the memory: floor(tokens · stride) + 1."""
        return self.of(self.tokens) + 1


def usable(window: int) -> int:
    """Count the positions of a base's window that a document may take; an eighth is for question and answer."""
    return window - window // 8


def placement(tokens: int, window: int, following: int = 0) -> Placement:
    """Place a memory of ``tokens`` tokens of text with stride min(1, (usable(window) - following) / tokens).

    following : tokens of text that will be read between the memory and the question.
    """
    positions = usable(window) - following
    return Placement(tokens, 1, 1) if tokens <= positions else Placement(tokens, positions, tokens)


def levels_of(config: CCFConfig, tokens: int, ratio: int) -> list[tuple[int, tuple[int, ...]]]:
    """List (level, ends of its slots), coarse to fine, of a segment at ``ratio``."""
    layout = slot_layout(tokens, ratio, config.ratios)
    return [
        (level, tuple(e for e, own in zip(layout.ends, layout.levels, strict=True) if own == level))
        for level in config.levels(ratio)
    ]
