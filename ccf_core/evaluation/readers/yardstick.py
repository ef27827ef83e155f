"""Readers by the decoder of the yardstick reader, which was trained on full text alone.

An adapter's own decoder may read full text badly, for having learnt to read slots: a quotient by its scores would
praise a memory for that.
"""

from __future__ import annotations

from ccf_core.readers.text import Full, NoDocument

YardstickFull = Full.variant(decoder_of="yardstick")
YardstickNoDocument = NoDocument.variant(decoder_of="yardstick")
