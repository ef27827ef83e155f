"""Baselines of a memory: parts of the plain cache in the same bytes, and mean-pooled memories.

A method of pruning is a class with one method, ``scores``, in a file of its own, and a row of ``RANKINGS``: by its name
a memory is made without an adapter. Those of ``BASELINES`` prune at reading time, too: see ``ccf_core.readers.pruned``.
"""

from ccf_core.baselines.expected_attention import ExpectedAttention
from ccf_core.baselines.key_norm import KeyNorm
from ccf_core.baselines.pruning import FullCache, Pruning, Ranked
from ccf_core.baselines.random import Random
from ccf_core.baselines.repeat_attention import RepeatAttention
from ccf_core.baselines.sink_recent import SinkRecent

#: Reader -> how it chooses the positions of the full cache that it keeps.
BASELINES: dict[str, type[Pruning]] = {
    "sink_recent": SinkRecent,
    "random": Random,
    "key_norm": KeyNorm,
    "repeat_attention": RepeatAttention,
}

#: Ranking of a memory without an adapter -> how it chooses the tokens of a segment.
RANKINGS: dict[str, type[Pruning]] = {**BASELINES, "expected_attention": ExpectedAttention}

__all__ = [
    "BASELINES",
    "RANKINGS",
    "ExpectedAttention",
    "FullCache",
    "KeyNorm",
    "Pruning",
    "Random",
    "Ranked",
    "RepeatAttention",
    "SinkRecent",
]
