"""How much an answer may hold for its documents, and how much a visitor of a public demo may keep."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.errors import BadSetting, LibraryFull

_UNITS = {"": 1, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class KVBudget:
    """At most so many positions, or so many bytes, of keys and values for the documents of a question."""

    amount: int
    in_bytes: bool

    @classmethod
    def parse(cls, text: str) -> KVBudget:
        """Parse ``4096`` positions, ``200MB`` or ``2GB``. Raises BadSetting."""
        found = re.fullmatch(r"([1-9]\d*) ?(MB|GB)?", text.strip(), re.IGNORECASE)
        if not found:
            raise BadSetting(
                f"The KV budget must be a number of positions, of MB or of GB (4096, 200MB), not {text!r}."
            )
        unit = (found[2] or "").upper()
        return cls(int(found[1]) * _UNITS[unit], bool(unit))

    def positions(self, bytes_each: int) -> int:
        return self.amount // bytes_each if self.in_bytes else self.amount

    def __str__(self) -> str:
        return f"{self.amount / 1e6:,g} MB" if self.in_bytes else f"{self.amount:,} positions"


@dataclass(frozen=True)
class Caps:
    """Of one library: ``documents`` stored or waiting, examples too; ``nbytes`` of texts and files that wait."""

    documents: int = 20
    nbytes: int = 20_000_000

    def check(self, documents: int, used: int, nbytes: int) -> None:
        """Check that a document of ``nbytes`` may come in beside so many ``documents`` of ``used`` bytes.

        Raises LibraryFull.
        """
        if documents >= self.documents:
            raise LibraryFull(f"This demo keeps {self.documents} documents for you: delete one first.")
        if used + nbytes > self.nbytes:
            raise LibraryFull(
                f"This demo keeps {self.nbytes / 1e6:,g} MB for you, of which {used / 1e6:,.1f} MB are taken: "
                "delete a document first, or choose a smaller one."
            )


@dataclass(frozen=True)
class Demo:
    """A public demo: every visitor has data of their own under ``caps``, deleted ``ttl_s`` seconds after their last
    request. Above ``visitors``, the visitor idle longest is evicted, provided idle for at least ``spared_s`` seconds.
    """

    caps: Caps = Caps()
    ttl_s: float = 24 * 3600.0
    visitors: int = 100
    spared_s: float = 900.0
