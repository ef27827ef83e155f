"""Which segments an answer came from, read from the attention that its tokens paid to the slots."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ccf_core.answering.answer import Evidence
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix


@torch.inference_mode()
def slot_attention(decoder: Decoder, prefix: Prefix, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Measure the attention that the tokens of ``answer`` paid to each slot: (slots,) float32.

    Mean over answer tokens, heads and the upper half of the layers, from one more pass over prompt and answer with
    attention weights written out (the fast kernels keep none).
    """
    before = decoder.model.config._attn_implementation
    decoder.model.set_attn_implementation("eager")
    try:
        given = decoder.inputs([prefix], [[*prompt, *answer]])
        layers = decoder.model.model(**given, output_attentions=True).attentions
    finally:
        decoder.model.set_attn_implementation(before)
    upper = layers[len(layers) // 2 :]
    # The token at position i is chosen by the query before it.
    rows = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
    return torch.stack([a[0, :, rows, : prefix.length].float().mean((0, 1)) for a in upper]).mean(0).cpu()


def evidence(attention: torch.Tensor, segments: Sequence[int]) -> tuple[Evidence, ...]:
    """Sum the attention for each segment and normalise it, strongest first."""
    if not len(attention):
        return ()
    totals = torch.zeros(max(segments) + 1).index_add_(0, torch.tensor(segments), attention)
    shares = totals / totals.sum().clamp_min(1e-12)
    order = shares.argsort(descending=True).tolist()
    return tuple(Evidence(i, float(shares[i])) for i in order)
