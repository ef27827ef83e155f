"""Readers that evaluations measure: those of ``ccf_core.readers``, and some that serve comparison alone.

Of a reader ``x``, ``base_x`` is the same by the base's own weights, ``yardstick_x`` by the yardstick reader's;
``memory_int4`` and its like are memories held in that dtype, ``full_int4`` and ``truncated_int4`` caches of text. A
reader that is added to ``ccf_core.readers.READERS`` is found here, too.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from ccf_core.readers import READERS as ANSWERING
from ccf_core.registry import Registry

if TYPE_CHECKING:
    from ccf_core.readers.base import Reader

_HERE = "ccf_core.evaluation.readers"

READERS: ChainMap[str, type[Reader]] = ChainMap(
    Registry(
        {
            "memory_bfloat16": f"{_HERE}.memory:MemoryAsBFloat16",
            "memory_int8": f"{_HERE}.memory:MemoryAsInt8",
            "memory_int4": f"{_HERE}.memory:MemoryAsInt4",
            "full_int8": f"{_HERE}.quantized:FullAsInt8",
            "full_int4": f"{_HERE}.quantized:FullAsInt4",
            "full_int2": f"{_HERE}.quantized:FullAsInt2",
            "truncated_int8": f"{_HERE}.quantized:TruncatedAsInt8",
            "truncated_int4": f"{_HERE}.quantized:TruncatedAsInt4",
            "truncated_int2": f"{_HERE}.quantized:TruncatedAsInt2",
            "focus_no_slots": f"{_HERE}.focus:FocusNoSlots",
            "bm25": f"{_HERE}.text:BM25",
            "gold": f"{_HERE}.text:Gold",
            "base_full": f"{_HERE}.base_model:BaseFull",
            "base_none": f"{_HERE}.base_model:BaseNoDocument",
            "yardstick_full": f"{_HERE}.yardstick:YardstickFull",
            "yardstick_none": f"{_HERE}.yardstick:YardstickNoDocument",
            "base_sink_recent": f"{_HERE}.base_model:BaseSinkRecent",
            "base_random": f"{_HERE}.base_model:BaseRandom",
            "base_key_norm": f"{_HERE}.base_model:BaseKeyNorm",
            "base_repeat_attention": f"{_HERE}.base_model:BaseRepeatAttention",
        }
    ),
    ANSWERING,
)
