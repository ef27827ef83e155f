"""Inspects slots: what each of them reads of its segment, and how they lie to one another.

This module knows nothing of storage or pages. Slots are always in the memory's own order: coarse to fine, then by end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ccf_core.errors import MemoryMismatch
from ccf_core.memory.layout import SlotLayout
from ccf_core.memory.memory import KVMemory
from ccf_core.model.encoder import Encoder
from ccf_core.model.layers import attend_with, finish, project

#: Most points of a slot map.
MAP_POINTS = 4000


@dataclass(frozen=True)
class TextAttention:
    """What the slots of one segment look at.

    weights : (slots, tokens) float32, each row sums to 1. Nested slots come first, so the first ceil(tokens / r) rows
        are those of ratio r.
    layout : end and level of every slot.
    """

    weights: Tensor
    layout: SlotLayout

    def at(self, ratio: int) -> TextAttention:
        """View the slots of a coarser ratio; nothing is computed."""
        kept = sum(level >= ratio for level in self.layout.levels)
        layout = SlotLayout(self.layout.tokens, self.layout.ends[:kept], self.layout.levels[:kept])
        return TextAttention(self.weights[:kept], layout)

    @property
    def by_token(self) -> Tensor:
        """(tokens,) float32: the sum over slots, which is the number of slots in all."""
        return self.weights.sum(0)


@torch.inference_mode()
def text_attention(encoder: Encoder, input_ids: Sequence[int], finest: int = 4) -> TextAttention:
    """Measure the attention of every slot to the text of its segment, inside the encoder.

    Mean over heads and the upper half of the layers of softmax(q · k / sqrt(head_dim)) over all that the slot may see
    (text, coarser slots, itself), cut to the text and normalised there. One pass of the encoder; the weights are
    written out for the slots' queries alone, the fast kernels keep none.

    Raises MemoryMismatch for mean-pooled memories, whose slots look at nothing; ValueError for an unknown ratio.
    """
    if not encoder.config.nested:
        raise MemoryMismatch("Mean-pooled slots look at nothing: choose an adapter that compresses into slots.")
    encoder.config.levels(finest)
    spec, tokens = encoder.spec, len(input_ids)
    tables = encoder.tables(tokens, finest)
    hidden = encoder.embed(torch.tensor([list(input_ids)], device=encoder.embedding.device), finest)
    total = hidden.shape[1]
    causal = torch.ones(total, total, dtype=torch.bool, device=hidden.device).tril()
    attend = attend_with(None)
    kept = torch.zeros(len(tables.slots), tokens, device=hidden.device)
    for index, w in enumerate(encoder.layers):
        q, k, _, v = project(spec, w, hidden, tables.cos, tables.sin)
        if index >= spec.layers // 2:
            keys = k[0].repeat_interleave(spec.heads // spec.kv_heads, dim=1).float()
            logits = torch.einsum("shd,thd->hst", q[0, tokens:].float(), keys) * spec.head_dim**-0.5
            weights = logits.masked_fill(~causal[tokens:], float("-inf")).softmax(-1)
            kept += weights[..., :tokens].mean(0)
        hidden = finish(spec, w, hidden, attend(q, k, v))
    return TextAttention(F.normalize(kept, p=1, dim=1).cpu(), tables.slots)


@dataclass(frozen=True)
class SlotMap:
    """Slots as points of a plane.

    points : (slots, 2) float32.  slots : their numbers in the memory, ascending; ``total`` is how many it has.
    segments, levels : of each point; ``segments`` index ``memory.spans``.
    explained : shares of the variance along the two axes.
    """

    points: Tensor
    slots: tuple[int, ...]
    segments: tuple[int, ...]
    levels: tuple[int, ...]
    explained: tuple[float, float]
    total: int


def slot_map(
    memory: KVMemory, part: Literal["keys", "values"] = "values", layer: int | None = None, most: int = MAP_POINTS
) -> SlotMap:
    """Compute the principal components of the slots' keys (before rotary embedding) or values.

    A slot is the vector of kv_heads · head_dim numbers of one layer, or their mean over all layers (``None``). Of more
    than ``most`` slots every k-th is taken, evenly over the memory. The sign of an axis is the one that makes its
    largest loading positive, so that the same memory always gives the same map.

    Raises ValueError for a layer that the memory does not have.
    """
    if layer is not None and layer not in range(memory.header.layers):
        raise ValueError(f"the layer must be one of 0 to {memory.header.layers - 1}, not {layer}")
    total = memory.slots
    count = min(total, most)
    wanted = torch.arange(count) * total // count
    vectors: list[Tensor] = []
    where: list[tuple[int, int]] = []
    first = 0
    for segment, level, block in memory.parts():
        inside = wanted[(wanted >= first) & (wanted < first + block.slots)] - first
        first += block.slots
        if not len(inside):
            continue
        # Block by block, cut before it is widened: a long memory would not fit otherwise.
        layers = slice(None) if layer is None else slice(layer, layer + 1)
        k, v = block.layers(layers).floating(torch.float32, "cpu")
        vectors.append((k if part == "keys" else v)[:, :, inside].mean(0).transpose(0, 1).flatten(1))
        where += [(segment, level)] * len(inside)
    points, explained = principal_plane(torch.cat(vectors))
    segments, levels = zip(*where, strict=True)
    return SlotMap(points, tuple(wanted.tolist()), segments, levels, explained, total)


def principal_plane(vectors: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """Project (n, d) on the first two principal components: coordinates (n, 2), and shares of the variance."""
    centred = vectors.double() - vectors.double().mean(0)
    _, strength, axes = torch.linalg.svd(centred, full_matrices=False)
    axes = F.pad(axes[:2], (0, 0, 0, max(0, 2 - len(axes))))
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    shares = F.pad(strength**2 / (strength**2).sum().clamp_min(1e-30), (0, 2)).tolist()
    return (centred @ (axes * signs).T).float(), (shares[0], shares[1])
