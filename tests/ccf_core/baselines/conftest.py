"""What a full cache and the repetition after it must be: by hand, with whole attention matrices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel


@pytest.fixture(scope="session")
def attention_over() -> Callable[[PreTrainedModel, list[int]], list[torch.Tensor]]:
    """``attention_over(model, ids)``: one matrix a layer, (heads, ids, ids), from the model's own eager kernel."""

    @torch.inference_mode()
    def run(model: PreTrainedModel, ids: list[int]) -> list[torch.Tensor]:
        before = model.config._attn_implementation
        model.set_attn_implementation("eager")
        try:
            given = torch.tensor([ids])
            return [a[0] for a in model.model(given, output_attentions=True).attentions]
        finally:
            model.set_attn_implementation(before)

    return run
