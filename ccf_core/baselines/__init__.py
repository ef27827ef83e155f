"""What a memory is measured against: parts of the plain cache under the same bytes, and mean-pooled memories.

A method of pruning is a class with one method, ``scores``, in a file of its own, and a row of ``BASELINES``.
"""

from ccf_core.baselines.key_norm import KeyNorm
from ccf_core.baselines.pruning import FullCache, Pruning, Ranked, position_bytes
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

__all__ = ["BASELINES", "FullCache", "Pruning", "Ranked", "position_bytes"]
