"""Ways to answer from a document, by name: the one table of ``CCF.answer``, evaluations and the workbench.

A reader is a class like those in this folder (``base.Reader``) and a row of the table. The table names modules and
imports none of them until a reader is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccf_core.registry import Registry

if TYPE_CHECKING:
    from ccf_core.readers.base import Reader

READERS: Registry[type[Reader]] = Registry(
    {
        "memory": "ccf_core.readers.memory:Memory",
        "focus": "ccf_core.readers.focus:FocusReader",
        "full": "ccf_core.readers.text:Full",
        "truncated": "ccf_core.readers.text:Truncated",
        "none": "ccf_core.readers.text:NoDocument",
        "sink_recent": "ccf_core.readers.pruned:SinkRecentReader",
        "random": "ccf_core.readers.pruned:RandomReader",
        "key_norm": "ccf_core.readers.pruned:KeyNormReader",
        "repeat_attention": "ccf_core.readers.pruned:RepeatAttentionReader",
        "mean_pool": "ccf_core.readers.memory:MeanPool",
        "graded": "ccf_core.readers.graded:Graded",
    }
)
