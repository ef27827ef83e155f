"""CCF: nested context compression into key-value memory. The public face is ``CCF``.

Torch is imported with the first name that needs it, so that help and errors do not wait for it. Import this package
before torch, which reads the settings of its threads only as it is loaded.
"""

import os
from typing import TYPE_CHECKING, Any

# No spinning while threads wait, which slows decoding down tenfold beside another busy process.
if os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper() == "PASSIVE":
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# oneDNN compiles a kernel for every shape and keeps 1,024: hundreds of megabytes, with texts of all lengths.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

from ccf_core.analysis.cut import Cut
from ccf_core.answering.answer import Answer, Evidence, Timings
from ccf_core.config import CCFConfig
from ccf_core.errors import (
    AdapterError,
    AdapterNeeded,
    BudgetTooSmall,
    Cancelled,
    CCFError,
    DamagedMemory,
    HubError,
    MemoryMismatch,
    NothingToCompress,
)
from ccf_core.readers import READERS
from ccf_core.registry import imported
from ccf_core.version import __version__

if TYPE_CHECKING:
    from ccf_core.analysis.ablation import ablate, answer_from, reconstruct_from
    from ccf_core.analysis.inspection import TextAttention, slot_map, text_attention
    from ccf_core.ccf import CCF
    from ccf_core.evaluation.report.push import push_to_hub
    from ccf_core.focus.focus import Focus
    from ccf_core.memory.block import Block, block_to_bytes
    from ccf_core.memory.file import block_from_bytes, load_memory, save_memory
    from ccf_core.memory.memory import KVMemory, MemoryHeader
    from ccf_core.model.adapter import Adapter

#: The imports above, as they are done when a name is asked for.
_HOMES = {
    "ccf_core.analysis.ablation": ("ablate", "answer_from", "reconstruct_from"),
    "ccf_core.analysis.inspection": ("TextAttention", "slot_map", "text_attention"),
    "ccf_core.ccf": ("CCF",),
    "ccf_core.evaluation.report.push": ("push_to_hub",),
    "ccf_core.focus.focus": ("Focus",),
    "ccf_core.memory.block": ("Block", "block_to_bytes"),
    "ccf_core.memory.file": ("block_from_bytes", "load_memory", "save_memory"),
    "ccf_core.memory.memory": ("KVMemory", "MemoryHeader"),
    "ccf_core.model.adapter": ("Adapter",),
}

__all__ = [
    "CCF",
    "READERS",
    "Adapter",
    "AdapterError",
    "AdapterNeeded",
    "Answer",
    "Block",
    "BudgetTooSmall",
    "CCFConfig",
    "CCFError",
    "Cancelled",
    "Cut",
    "DamagedMemory",
    "Evidence",
    "Focus",
    "HubError",
    "KVMemory",
    "MemoryHeader",
    "MemoryMismatch",
    "NothingToCompress",
    "TextAttention",
    "Timings",
    "__version__",
    "ablate",
    "answer_from",
    "block_from_bytes",
    "block_to_bytes",
    "load_memory",
    "push_to_hub",
    "reconstruct_from",
    "save_memory",
    "slot_map",
    "text_attention",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            globals()[name] = value = imported(module, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
