"""In which dtypes a memory can be held. Settings and commands read this before torch is loaded."""

from __future__ import annotations

from typing import Literal, get_args

#: In which a memory can be stored and held until it is read, from exact to small.
MemoryDtype = Literal["bfloat16", "int8", "int4"]
MEMORY_DTYPES: tuple[MemoryDtype, ...] = get_args(MemoryDtype)


def version_of(dtype: str, positions: bool = False) -> str:
    """Name the first version of the format that knows memories held as ``dtype``, with ``positions`` of their slots."""
    return "3" if positions else "2" if dtype == "int4" else "1"
