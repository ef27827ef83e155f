"""How much cache an answer may hold for its documents, as a user says it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.errors import BadSetting

_UNITS = {"": 1, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class KVBudget:
    """At most so many positions, or so many bytes, of keys and values for the documents of a question."""

    amount: int
    in_bytes: bool

    @classmethod
    def parse(cls, text: str) -> KVBudget:
        """``4096`` positions, ``200MB`` or ``2GB``. Raises BadSetting."""
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
