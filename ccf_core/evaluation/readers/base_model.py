"""Readers by the base's own weights, without the adapter's: what the adapter costs where no memory is read."""

from __future__ import annotations

from ccf_core.readers.pruned import KeyNormReader, RandomReader, RepeatAttentionReader, SinkRecentReader
from ccf_core.readers.text import Full, NoDocument

BaseFull = Full.variant(decoder_of="base")
BaseNoDocument = NoDocument.variant(decoder_of="base")
BaseSinkRecent = SinkRecentReader.variant(decoder_of="base")
BaseRandom = RandomReader.variant(decoder_of="base")
BaseKeyNorm = KeyNormReader.variant(decoder_of="base")
BaseRepeatAttention = RepeatAttentionReader.variant(decoder_of="base")
