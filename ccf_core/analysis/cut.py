"""The parts of a memory that an ablation switches off."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cut:
    """What is switched off.

    slots : numbers of slots in the memory's order (segment by segment, coarse to fine, then by end).
    levels : whole levels, named by their ratio.
    layers, heads : the key-value heads ``heads`` of the layers ``layers``, counted from 0. If only one of the two is
        given it means all of the other: every head of these layers, these heads of every layer.
    """

    slots: frozenset[int] = field(default=frozenset())
    levels: frozenset[int] = field(default=frozenset())
    layers: frozenset[int] = field(default=frozenset())
    heads: frozenset[int] = field(default=frozenset())

    def __bool__(self) -> bool:
        return bool(self.slots or self.levels or self.layers or self.heads)
