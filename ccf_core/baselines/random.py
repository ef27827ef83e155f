"""Positions drawn at random: what any choice has to beat."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.model.decoder import Decoder


class Random(Pruning):
    """Uniform scores, drawn apart for every layer and key-value head, as kvpress (NVIDIA) draws them.

    The draw depends on the seed and the text alone, not on the batch that the text is in.
    """

    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        drawn = torch.zeros(cache.shape)
        for row, (ids, length) in enumerate(zip(cache.input_ids.tolist(), cache.lengths.tolist(), strict=True)):
            # torch's generator on the CPU takes 32 bits of a seed.
            generator = torch.Generator().manual_seed(zlib.crc32(repr((self.seed, ids[:length])).encode()))
            drawn[row, ..., :length] = torch.rand(*cache.shape[1:3], length, generator=generator)
        return drawn.to(cache.lengths.device)
