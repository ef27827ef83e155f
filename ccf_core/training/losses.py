"""Cross-entropy against a frozen output head without ever holding all logits; the distance to a teacher's states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 8192


def _chunk(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, teacher: Tensor | None, share: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute (loss, nats of the target, correct, gradient of the weighted loss in hidden) for one chunk.

    Logits are in float32 inside. The target distribution is (1 - share) · the true token + share · the teacher's.
    """
    logits = F.linear(hidden, head).float()
    lse = logits.logsumexp(-1)
    nats = lse - logits.gather(1, targets[:, None])[:, 0]
    correct = logits.argmax(-1) == targets
    columns = torch.arange(head.shape[0], device=head.device)
    true = (columns[None, :] == targets[:, None]).float()
    if teacher is None or share is None:
        loss, wanted = nats, true
    else:
        taught = F.linear(teacher, head).float().log_softmax(-1)
        divergence = (taught.exp() * (taught - logits + lse[:, None])).sum(-1)
        loss = (1 - share) * nats + share * divergence
        wanted = (1 - share)[:, None] * true + share[:, None] * taught.exp()
    probability = (logits - lse[:, None]).exp() - wanted
    return loss, nats, correct, (probability * weights[:, None]).to(hidden.dtype) @ head


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, head, targets, weights, teacher, share, compiled):  # type: ignore[no-untyped-def]
        step = torch.compile(_chunk, dynamic=False) if compiled else _chunk
        taught = 0 if teacher is None else len(teacher)
        pieces = []
        for first, last in ((0, taught), (taught, len(hidden))):
            for at in range(first, last, CHUNK):
                rows = slice(at, min(at + CHUNK, last))
                given = (teacher[rows], share[rows]) if at < taught else (None, None)
                pieces.append(step(hidden[rows], head, targets[rows], weights[rows], *given))
        loss, nats, correct, gradient = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(nats, correct)
        return (loss * weights).sum(), nats, correct

    @staticmethod
    def backward(ctx, upstream, *_):  # type: ignore[no-untyped-def]
        (gradient,) = ctx.saved_tensors
        return gradient * upstream.to(gradient.dtype), None, None, None, None, None, None


def chunked_cross_entropy(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    weights: Tensor,
    compiled: bool = False,
    *,
    teacher: Tensor | None = None,
    share: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the weighted next-token losses in nats; for the record each target's nats and whether it was the best.

    hidden (N, hidden), head (vocabulary, hidden) frozen, targets (N,) int64, weights (N,) float32. The gradient is
    computed in the forward pass, chunk by chunk: two products with the head instead of three, and logits of
    ``CHUNK`` rows at most in memory. Only the first result can be differentiated.

    teacher (T, hidden), share (T,) float32: hidden states whose predictions the first T rows learn from. Their loss
    is (1 - share) · cross-entropy + share · KL(teacher ‖ student). No gradient goes into the teacher.
    """
    return _Chunked.apply(hidden, head, targets, weights, teacher, share, compiled)


def hidden_distance(own: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Measure how far hidden states (targets, hidden) are from a teacher's: (targets,) float32, from 0 to 4.

    The squared difference after dividing each by its rms, averaged over dimensions and over the layers listed.
    """
    total = own[0].new_zeros(len(own[0]), dtype=torch.float32)
    for mine, theirs in zip(own, teacher, strict=True):
        a, b = (F.rms_norm(x.float(), x.shape[-1:]) for x in (mine, theirs))
        total = total + (a - b).square().mean(-1)
    return total / len(own)
