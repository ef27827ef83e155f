"""Readers of memories that are held in a dtype of their own: for comparing dtypes in one run, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping

from ccf_core import metrics
from ccf_core.evaluation.readers import READERS
from ccf_core.readers.memory import Memory

#: The reader that loses nothing, whose scores are taken from those of the others.
EXACT = "memory_bfloat16"
#: Metrics of which the differences are told.
COMPARED = ("teacher_forced", "rouge_l", "f1")


class MemoryOfDtype(Memory):
    """A memory that is held in one dtype, whatever the evaluation is run with."""

    on_request = True
    compressor = ""


MemoryAsBFloat16 = MemoryOfDtype.variant(memory_dtype="bfloat16")
MemoryAsInt8 = MemoryOfDtype.variant(memory_dtype="int8")
MemoryAsInt4 = MemoryOfDtype.variant(memory_dtype="int4")


def differences(
    reader: str, scores: Mapping[str, list[metrics.Pair]], exact: Mapping[str, list[metrics.Pair]] | None
) -> dict[str, list[metrics.Pair]]:
    """Tell what holding memories in another dtype changes, row by row: ``rouge_l_minus_bfloat16`` and its like.

    exact : the scores of ``EXACT`` on the same rows, if it was run; without them, and of other readers, there is
    nothing to tell.
    """
    if exact is None or reader == EXACT or reader not in READERS or READERS[reader].memory_dtype is None:
        return {}
    pairs = {name: zip(scores[name], exact[name], strict=True) for name in COMPARED if name in scores}
    return {f"{name}_minus_bfloat16": [(a - b, 1.0) for (a, _), (b, _) in both] for name, both in pairs.items()}
