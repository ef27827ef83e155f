"""Compare two adapters on one segment: what each makes of it, at the same ratio, with the same parts switched off.

The second adapter is loaded for this alone. What it compresses is kept nowhere: neither the adapter in use nor a
stored memory is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ccf_core
from app.analysis.ablation import AblationResult, Reading, described
from app.documents.memory_cache import Memories
from app.errors import NotAnswerable
from app.types import CancelCheck, never
from ccf_core import Cancelled
from ccf_core.analysis.cut import Cut

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory


@dataclass(frozen=True)
class PairView:
    """The same segment under the adapter in use and under another; ``question`` is "" for a reconstruction.

    adapters : the names of their folders, the one in use first.
    off : what was switched off in both, in words.
    """

    document: str
    segment: int
    ratio: int
    question: str
    off: str
    adapters: tuple[str, str]
    used: AblationResult
    other: AblationResult


class AdapterPair:
    def __init__(self, memories: Memories) -> None:
        self.memories = memories

    def compare(
        self,
        sha256: str,
        segment: int,
        ratio: int,
        adapter: str | Path,
        cut: Cut = Cut(),  # noqa: B008
        question: str = "",
        cancelled: CancelCheck = never,
    ) -> Iterator[str | PairView]:
        """Yield what is being done, step by step, then the PairView; each step raises its errors.

        ``adapter`` is the folder, or the name, of one of ``Model.adapters``.

        Raises:
            UnknownAdapter: no such adapter.
            AdapterError, MemoryMismatch, ModelNotReady: it cannot be loaded, or is for another base.
            NotAnswerable: the question is too long; the adapter has no such ratio, or its segments are shorter.
            DocumentNotFound, NoSegment, NoSuchPart, Cancelled: as ``Ablation.ablate``.
        """
        model = self.memories.model
        folder = model.named(adapter)
        ccf, names = model.load(cancelled=cancelled), (model.adapter.name, folder.name)
        yield f"Reading under {names[0]}, the adapter in use."
        memory = self.memories.recall(sha256, ratio, [segment], cancelled=cancelled, ccf=ccf).memory
        original = self.memories.segmented(sha256, cancelled, ccf).segment(segment)
        with model.hold(cancelled):
            reading = Reading(ccf, question, original, cancelled)
            prefix = ccf_core.ablate(ccf, memory, cut)
            ids = reading.read(prefix)
            target = reading.target(ids)
            used = reading.judge(prefix, ids, target)
        yield f"Loading {names[1]}, beside the adapter in use."
        with model.beside(folder, cancelled) as second:
            yield f"Compressing the segment and reading it under {names[1]}."
            made = memory_of(second, original, ratio, names[1], cancelled).quantize(self.memories.dtype)
            prefix = ccf_core.ablate(second, made.at(ratio), cut)
            reading = Reading(second, question, original, cancelled)
            other = reading.judge(prefix, reading.read(prefix), target)
        yield PairView(sha256, segment, ratio, reading.question, described(cut), names, used, other)


def memory_of(ccf: CCF, segment: Sequence[int], ratio: int, name: str, cancelled: CancelCheck) -> KVMemory:
    """Encode the memory of one segment, at ``ratio`` or, where memories are nested, finer.

    Raises NotAnswerable, Cancelled.
    """
    config = ccf.config
    if ratio not in config.ratios:
        raise NotAnswerable(f"{name} compresses {', '.join(map(str, config.ratios))} times, not {ratio}: choose those.")
    if len(segment) > config.segment_length:
        raise NotAnswerable(
            f"{name} reads segments of {config.segment_length} tokens, and this one has {len(segment)}: "
            "choose a shorter segment, such as the last one, or an adapter with longer ones."
        )
    if cancelled():
        raise Cancelled("The comparison was cancelled; nothing was changed.")
    # A mean-pooled memory serves only the ratio that it was made at.
    return ccf.compress(segment, config.finest if config.nested else ratio, cancelled=cancelled)
