"""The first tokens and the last: what a sliding window with attention sinks has left of a text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.model.decoder import Decoder

SINKS = 4


class SinkRecent(Pruning):
    """StreamingLLM (arXiv 2309.17453): the first 4 positions, then the last ones, the same in every head.

    Unlike there, keys stay at their own rotary positions instead of being moved together.
    """

    @staticmethod
    def seen(input_ids: Sequence[int], limit: int | None) -> Sequence[int]:
        """Cut a text to ``limit`` tokens: those that are kept first."""
        if limit is None or len(input_ids) <= limit:
            return input_ids
        return [*input_ids[:SINKS], *input_ids[len(input_ids) - limit + SINKS :]]

    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        tokens = cache.shape[-1]
        worth = torch.arange(tokens, dtype=torch.float32, device=cache.lengths.device)
        worth[:SINKS] = 2.0 * tokens - worth[:SINKS]
        return worth.expand(cache.shape)
