"""Keys of low norm: they draw attention whatever the query."""

from __future__ import annotations

import torch
from torch import Tensor

from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.model.decoder import Decoder


class KeyNorm(Pruning):
    """Devoto et al. (arXiv 2406.11430): each layer and head keeps the keys of the lowest L2 norm.

    Rotary embedding does not change a norm. Here every layer is pruned; the paper leaves some of them whole.
    """

    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        return torch.stack([-keys[:, :, cache.past :].float().norm(dim=-1) for keys in cache.keys], dim=1)
