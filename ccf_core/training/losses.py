"""Cross-entropy against a frozen output head without ever holding all logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 8192


def _chunk(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, correct, gradient of the weighted loss in hidden) for one chunk; logits in float32 inside."""
    logits = F.linear(hidden, head).float()
    lse = logits.logsumexp(-1)
    loss = lse - logits.gather(1, targets[:, None])[:, 0]
    correct = logits.argmax(-1) == targets
    columns = torch.arange(head.shape[0], device=head.device)
    probability = (logits - lse[:, None]).exp() - (columns[None, :] == targets[:, None]).float()
    return loss, correct, (probability * weights[:, None]).to(hidden.dtype) @ head


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, head, targets, weights, compiled):  # type: ignore[no-untyped-def]
        step = torch.compile(_chunk, dynamic=False) if compiled else _chunk
        pieces = [
            step(h, head, t, w) for h, t, w in zip(*(x.split(CHUNK) for x in (hidden, targets, weights)), strict=True)
        ]
        loss, correct, gradient = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(loss, correct)
        return (loss * weights).sum(), loss, correct

    @staticmethod
    def backward(ctx, upstream, *_):  # type: ignore[no-untyped-def]
        (gradient,) = ctx.saved_tensors
        return gradient * upstream.to(gradient.dtype), None, None, None, None


def chunked_cross_entropy(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, compiled: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted sum of next-token losses in nats, and for the record each loss and whether the best guess was right.

    hidden (N, hidden), head (vocabulary, hidden) frozen, targets (N,) int64, weights (N,) float32. The gradient is
    computed in the forward pass, chunk by chunk: two products with the head instead of three, and logits of
    ``CHUNK`` rows at most in memory. Only the first result can be differentiated.
    """
    return _Chunked.apply(hidden, head, targets, weights, compiled)
