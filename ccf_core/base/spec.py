"""The shape of a base's decoder stack, read from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.activations import ACT2FN


@dataclass(frozen=True)
class StackSpec:
    """The numbers of a decoder stack that its weights do not show."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    activation: Callable[[Tensor], Tensor] = field(compare=False)

    @classmethod
    def of(cls, model: PreTrainedModel) -> StackSpec:
        config = model.config
        return cls(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            eps=config.rms_norm_eps,
            activation=ACT2FN[config.hidden_act],
        )

    def kv_bytes(self, dtype: torch.dtype) -> int:
        """Count the bytes of one position of cache held as ``dtype``: a key and a value in every layer and head."""
        return 2 * self.layers * self.kv_heads * self.head_dim * dtype.itemsize
