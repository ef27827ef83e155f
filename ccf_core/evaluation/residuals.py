"""Memories with residual tokens of many documents: what ``ccf_core.residual`` makes of each, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from ccf_core import residual
from ccf_core.evaluation import batches
from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory import Block, KVMemory
from ccf_core.residual import Exchange, ResidualMemory
from ccf_core.segment import Segmented

#: (document, segment)
Place = tuple[int, int]


def make(subject: Subject, documents: Sequence[Segmented], options: Options) -> dict[int, list[ResidualMemory]]:
    """Every document at every ratio asked for; MemoryMismatch if memories are mean-pooled or held as int4."""
    ccf, config = subject.ccf, subject.ccf.config
    memories = batches.compress_all(ccf, documents, min(options.ratios), options.memory_dtype, options.report)
    residual.check(memories[0])
    chances = _chances(subject, documents, memories, options)
    exchanges: dict[int, dict[Place, Exchange]] = {}
    for ratio in options.ratios:
        coarse = chances[residual.coarser(config, ratio) or ratio]
        exchanges[ratio] = {
            place: residual.exchange(config, ratio, fine, coarse[place]) for place, fine in chances[ratio].items()
        }
    kept: dict[int, dict[Place, Block]] = {ratio: {} for ratio in options.ratios}
    for batch in batches.segment_batches(ccf, documents):
        read = residual.plain_cache(ccf.decoder, [documents[number].segment(index) for number, index in batch])
        for place, block in zip(batch, read, strict=True):
            for ratio in options.ratios:
                kept[ratio][place] = residual.pick(block, exchanges[ratio][place].tokens)
    return {
        ratio: [
            ResidualMemory.of(
                config,
                memory.at(ratio),
                [exchanges[ratio][number, index] for index in range(memory.segments)],
                [kept[ratio][number, index] for index in range(memory.segments)],
            )
            for number, memory in enumerate(memories)
        ]
        for ratio in options.ratios
    }


def _chances(
    subject: Subject, documents: Sequence[Segmented], memories: Sequence[KVMemory], options: Options
) -> dict[int, dict[Place, Tensor]]:
    """Teacher-forced log-probabilities of every segment's tokens, at each ratio and the one coarser than it."""
    ccf, prompt = subject.ccf, [subject.ccf.config.repeat_token]
    places = [(number, index) for number, memory in enumerate(memories) for index in range(memory.segments)]
    found = {}
    for ratio in sorted({r for own in options.ratios for r in (own, residual.coarser(ccf.config, own)) if r}):
        jobs = []
        for number, index in places:
            own, ids = memories[number].select([index]).at(ratio), documents[number].segment(index)
            jobs.append(Job(prompt, target=ids, prefix=partial(ccf.decoder.prefix, own), cached=own.slots))
        scored = batches.score(ccf.decoder, jobs, options.report, rows=options.batch_size)
        found[ratio] = {place: chances for place, (chances, _) in zip(places, scored, strict=True)}
    return found
