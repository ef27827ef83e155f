"""Compress many documents at once: segments of one length are encoded together."""

from __future__ import annotations

from collections.abc import Sequence

from ccf_core.answering.batching import Report
from ccf_core.ccf import CCF
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import Segmented, Span, equal_lengths


def single_segment(document: Segmented, index: int) -> Segmented:
    """Make a document of one segment; the encoder makes the same slots of it as within its document."""
    span = document.spans[index]
    alone = Span(span.document, 0, 0, len(span), 0, span.char_end - span.char_start)
    return Segmented(document.sha256, document.segment(index), (alone,))


def compress_all(
    ccf: CCF, documents: Sequence[Segmented], finest: int, memory_dtype: MemoryDtype, report: Report
) -> list[KVMemory]:
    """Compress documents into memories; segments of one length are encoded together, whatever their document.

    Without an adapter a segment is read after those before it: one document after the other is compressed.
    """
    blocks: list[dict[int, dict[int, Block]]] = [{} for _ in documents]
    every = [((n, i), len(span)) for n, document in enumerate(documents) for i, span in enumerate(document.spans)]
    done, total = 0, len(every)
    if not ccf.config.trained:
        for number, document in enumerate(documents):
            blocks[number].update(ccf.encode(document, None, finest, memory_dtype))
            report(f"{number + 1} of {len(documents)} documents read")
        return [ccf.memory(document, levels, finest) for document, levels in zip(documents, blocks, strict=True)]
    batches = list(equal_lengths(every, ccf.batch_size))
    segments = ([documents[number].segment(index) for number, index in batch] for batch in batches)
    for batch, encoded in zip(batches, ccf.encoder.encode_each(segments, finest, memory_dtype), strict=True):
        for (number, index), levels in zip(batch, encoded, strict=True):
            blocks[number][index] = levels
        done += len(batch)
        if done % 1024 < len(batch) or done == total:
            report(f"{done} of {total} segments encoded")
    return [ccf.memory(document, levels, finest) for document, levels in zip(documents, blocks, strict=True)]


def memories_at(
    ccf: CCF, documents: Sequence[Segmented], ratios: Sequence[int], memory_dtype: MemoryDtype, report: Report
) -> dict[int, list[KVMemory]]:
    """Compress documents for several ratios: once if memories are nested, else once for each ratio."""
    if not ccf.config.nested:
        return {ratio: compress_all(ccf, documents, ratio, memory_dtype, report) for ratio in ratios}
    finest = compress_all(ccf, documents, min(ratios), memory_dtype, report)
    return {ratio: [memory.at(ratio) for memory in finest] for ratio in ratios}
