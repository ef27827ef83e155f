"""Baselines of a memory: parts of the plain cache in the same bytes, and mean-pooled memories.

A method of pruning is a class with one method, ``scores``, in a file of its own, and a row of ``BASELINES``;
its reader is in ``ccf_core.readers.pruned``.
"""

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

__all__ = ["BASELINES", "FullCache", "KeyNorm", "Pruning", "Random", "Ranked", "RepeatAttention", "SinkRecent"]
