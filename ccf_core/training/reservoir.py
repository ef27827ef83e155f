"""The optimiser strategy of CCF (arXiv 2509.09199): segments decoded one after the other, a few encoder graphs alive.

*Incremental decoding.* Segment t is continued from the memories of segments < t and reconstructed from its own. Every
memory enters the decoder as a detached leaf and the loss is back-propagated at once, so that the decoder's graph of
one segment lives at a time; what reaches the leaves is kept until the encoder's graphs are back-propagated.

*Sparse reservoir sampling.* Of the encoder's graphs S are kept, chosen uniformly by Algorithm R (Vitter 1985), and the
newest besides, until its own segment is decoded. One that falls out is back-propagated at once with what its memory
has received, and so are those that are left in the end.

*Why it is unbiased.* Let m_i be the memory of segment i = 1 … T, J_i its Jacobian in the encoder's parameters, L_t the
continuation loss of segment t, A_t its reconstruction loss, and R_t the reservoir after segment t was offered. The
gradient wanted is Σ_i J_iᵀ (∂A_i/∂m_i + Σ_{t>i} ∂L_t/∂m_i). What is computed is

    Σ_i J_iᵀ (∂A_i/∂m_i + Σ_{t>i} [i ∈ R_{t-1}] · max(1, (t-1)/S) · ∂L_t/∂m_i).

L_t reaches only graphs that are in the reservoir *before* segment t is offered: that is the reading under which the
factor is right. Algorithm R has P(i ∈ R_{t-1}) = min(1, S/(t-1)) for each i < t, the factor's inverse, and neither the
memories nor ∂L_t/∂m_i depend on the draws, so the expectations agree term by term. Nothing is lost on the way out:
a graph evicted at t already holds what L_t gave, and is in no later reservoir; a newcomer that is not admitted is in
none at all, so its A_t is all that is due. A_i is never scaled. The decoder sees the same numbers and has its own
gradient from all of L_t and A_t in every outcome: it is exact, not only so in expectation.

This module knows nothing of texts or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from accelerate import Accelerator
from torch import Tensor

from ccf_core.training.data.batch import Batch
from ccf_core.training.model import TrainingModel

Strategy = Literal["full", "incremental", "reservoir"]
#: n -> an integer from 0 to n - 1, each as likely: ``numpy.random.Generator.integers``
Draw = Callable[[int], int]


class Reservoir:
    """Algorithm R: a uniform sample of at most ``size`` of the items offered so far."""

    def __init__(self, size: int, draw: Draw) -> None:
        if size < 1:
            raise ValueError("a reservoir holds one item or more")
        self.size, self.draw = size, draw
        self.items: list[int] = []
        self.offered = 0

    def offer(self, item: int) -> int | None:
        """Offer an item; return the item left out, this one or another, or None while the sample is not full."""
        self.offered += 1
        if len(self.items) < self.size:
            self.items.append(item)
            return None
        place = int(self.draw(self.offered))
        if place >= self.size:
            return item
        self.items[place], out = item, self.items[place]
        return out


class _Encoded:
    """Memory of one segment with its graph, and the gradient that it has received (float32)."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.outputs = (keys, values)
        self.gradients = [torch.zeros_like(x, dtype=torch.float32) for x in self.outputs]

    def receive(self, leaves: Sequence[Tensor], rows: slice, factor: float) -> None:
        for gradient, leaf in zip(self.gradients, leaves, strict=True):
            assert leaf.grad is not None
            gradient.add_(leaf.grad[rows], alpha=factor)

    def backward(self) -> None:
        """Back-propagate and let go of the graph."""
        gradients = [g.to(x.dtype) for g, x in zip(self.gradients, self.outputs, strict=True)]
        torch.autograd.backward(self.outputs, gradients)


class _MergedOnce:
    """The merged weights of one side as leaves, for graphs that are back-propagated at different times."""

    def __init__(self, model: TrainingModel, side: str) -> None:
        merged = model.merged(side)
        self.layers = [
            {name: w.detach().requires_grad_() if w.requires_grad else w for name, w in layer.items()}
            for layer in merged
        ]
        self._pairs = [
            (w, self.layers[i][name]) for i, layer in enumerate(merged) for name, w in layer.items() if w.requires_grad
        ]

    def backward(self) -> None:
        """Back-propagate what the leaves have received, through the merging into the LoRA pairs."""
        reached = [(w, leaf.grad) for w, leaf in self._pairs if leaf.grad is not None]
        torch.autograd.backward([w for w, _ in reached], [gradient for _, gradient in reached])


def backward_documents(
    model: TrainingModel, batches: Sequence[Batch], *, strategy: Strategy, reservoir: int = 1, draw: Draw
) -> Tensor:
    """Add the gradients of all losses of some documents to ``model.trainable``, and return their record.

    batches : of ``ccf_core.training.data.long_documents.segment_batches``, on the model's device.
    strategy : ``full`` builds one graph through all segments, ``incremental`` one of the decoder at a time and every
        encoder graph, ``reservoir`` keeps ``reservoir`` of these.
    draw : random choices of that, from a generator seeded by step and process.

    The record (kinds, 3) float32 is that of ``TrainingModel.loss`` summed over segments; the losses are weighed as in
    ``segment_batches``. Gradients are not averaged over processes: give the bare model, not one wrapped in
    DistributedDataParallel (whose hooks stay asleep without its forward), and call ``average_gradients`` after the
    last micro-batch of a step. Merged weights gather their gradients in the base's dtype.
    """
    if strategy == "full":
        return _full(model, batches)
    size = reservoir if strategy == "reservoir" else len(batches)
    sample = Reservoir(size, draw)
    encoder, decoder = (_MergedOnce(model, side) for side in ("encoder", "decoder"))
    alive: dict[int, _Encoded] = {}
    memories: list[tuple[Tensor, Tensor]] = []
    rows: list[slice] = []
    record: Tensor | None = None
    for t, batch in enumerate(batches):
        alive[t] = _Encoded(*model.encode(batch, encoder.layers))
        keys, values = alive[t].outputs
        start = rows[-1].stop if rows else 0
        rows.append(slice(start, start + len(keys)))
        memories.append((keys.detach(), values.detach()))
        del keys, values
        leaves = [torch.cat(both).requires_grad_() for both in zip(*memories, strict=True)]
        hidden, _ = model.decode(batch.read, leaves[0], leaves[1], decoder.layers)
        loss, told = model.loss(batch, hidden, hidden.detach())
        loss.backward()
        record = told if record is None else record + told
        for i, encoded in alive.items():
            # Only reconstruction reads a segment's own memory, only continuation those of earlier ones.
            encoded.receive(leaves, rows[i], 1.0 if i == t else max(1.0, t / size))
        out = sample.offer(t)
        if out is not None:
            alive.pop(out).backward()
    for encoded in alive.values():
        encoded.backward()
    for side in (encoder, decoder):
        side.backward()
    assert record is not None
    return record


def _full(model: TrainingModel, batches: Sequence[Batch]) -> Tensor:
    encoder, decoder = model.merged("encoder"), model.merged("decoder")
    keys, values, losses, records = [], [], [], []
    for batch in batches:
        k, v = model.encode(batch, encoder)
        keys.append(k)
        values.append(v)
        hidden, _ = model.decode(batch.read, torch.cat(keys), torch.cat(values), decoder)
        loss, record = model.loss(batch, hidden, hidden.detach())
        losses.append(loss)
        records.append(record)
    torch.stack(losses).sum().backward()
    return torch.stack(records).sum(0)


def average_gradients(model: TrainingModel, accelerator: Accelerator, micro_batches: int) -> None:
    """Average over processes and over the ``micro_batches`` whose gradients were added up."""
    for parameter in model.trainable.values():
        if parameter.grad is not None:
            parameter.grad = accelerator.reduce(parameter.grad, "mean") / micro_batches
