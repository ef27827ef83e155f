"""CCF: nested context compression into key-value memory. The public face is ``CCF``."""

from ccf_core.adapter import Adapter
from ccf_core.answer import Answer, Evidence, Timings
from ccf_core.codec import CCF, READERS
from ccf_core.config import CCFConfig
from ccf_core.errors import (
    AdapterError,
    Cancelled,
    CCFError,
    DamagedMemory,
    MemoryMismatch,
    NothingToCompress,
)
from ccf_core.focus import Focus
from ccf_core.memory import Block, KVMemory, MemoryHeader

__version__ = "0.1.0"

__all__ = [
    "CCF",
    "READERS",
    "Adapter",
    "AdapterError",
    "Answer",
    "Block",
    "CCFConfig",
    "CCFError",
    "Cancelled",
    "DamagedMemory",
    "Evidence",
    "Focus",
    "KVMemory",
    "MemoryHeader",
    "MemoryMismatch",
    "NothingToCompress",
    "Timings",
]
