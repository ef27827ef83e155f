"""Measured peak FLOP/s and bandwidth of this machine, and the FLOPs and bytes that each benchmark needs.

Operations are multiplications and additions, two for each weight or pair; norms, activations, rotary embedding and
softmax are left out. The last layer of a pass that is made for its cache counts for its projections alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ccf_core.ccf import CCF
from ccf_core.model.decoder import Decoder
from ccf_core.model.layers import JOINED, StackSpec

#: A layer's matrices as the decoder holds them.
MATRICES = (*JOINED, "o_proj", "down_proj")


@dataclass(frozen=True)
class Counts:
    """Weights of one layer, those of its query, key and value projections, and those of the output head."""

    spec: StackSpec
    layer: int
    qkv: int
    head: int
    dtype: torch.dtype

    @classmethod
    def of(cls, decoder: Decoder) -> Counts:
        layer, model = decoder.layers[0], decoder.model
        sizes = {name: layer[f"{name}.weight"].numel() for name in MATRICES}
        head = model.get_output_embeddings().weight
        spec = StackSpec.of(model)
        return cls(spec, sum(sizes.values()), sizes["qkv_proj"], head.numel(), head.dtype)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all matrices that a token goes through, the output head with them."""
        return (self.spec.layers * self.layer + self.head) * self.dtype.itemsize

    @property
    def kv_bytes(self) -> int:
        """Bytes of one position of cache."""
        return self.spec.kv_bytes(self.dtype)

    def stack(self, tokens: int, pairs: int) -> int:
        """Count the operations of a pass over ``tokens`` with ``pairs`` of query and key that see each other."""
        attention = 4 * self.spec.heads * self.spec.head_dim * pairs
        return (self.spec.layers - 1) * (2 * tokens * self.layer + attention) + 2 * tokens * self.qkv

    def prefill(self, tokens: int) -> int:
        """Count the operations of reading a text causally."""
        return self.stack(tokens, tokens * (tokens + 1) // 2)

    def compress(self, ccf: CCF, lengths: Iterable[int], finest: int) -> int:
        """Count the operations of encoding segments of these lengths; without an adapter those of reading them once."""
        if not ccf.config.trained:
            return self.prefill(sum(lengths))
        return sum(self._segment(ccf, length, finest) for length in lengths)

    def _segment(self, ccf: CCF, length: int, finest: int) -> int:
        total = len(ccf.encoder.tables(length, finest).cos)
        return self.stack(total, total * (total + 1) // 2)

    def first_token_s(self, prompt: int, cached: int, flops: float, bandwidth: float) -> float:
        """Bound the seconds to read a prompt after ``cached`` positions, the output head once: the greater limit."""
        operations = self.stack(prompt, prompt * cached + prompt * (prompt + 1) // 2) + 2 * self.head
        return max(operations / flops, (self.weight_bytes + cached * self.kv_bytes) / bandwidth)

    def decode_bytes(self, cached: int) -> int:
        """Count the bytes that are read for one token after ``cached`` positions."""
        return self.weight_bytes + cached * self.kv_bytes


def matrices(decoder: Decoder) -> list[Tensor]:
    """List every matrix that a token goes through, as the decoder holds it."""
    of_layers = [layer[f"{name}.weight"] for layer in decoder.layers for name in MATRICES]
    return [*of_layers, decoder.model.get_output_embeddings().weight.detach()]


@torch.inference_mode()
def matrix_vector_products(decoder: Decoder) -> Callable[[], object]:
    """Multiply every matrix by a vector once: the least that decoding a token takes.

    On CUDA the products are one graph, so that what is measured is not the time to launch them.
    """
    weights = matrices(decoder)
    vectors = {w.shape[1]: torch.randn(w.shape[1], dtype=w.dtype, device=w.device) for w in weights}

    @torch.inference_mode()
    def products() -> None:
        for w in weights:
            torch.mv(w, vectors[w.shape[1]])

    if weights[0].device.type != "cuda":
        return products
    products()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        products()
    # The graph knows the addresses of what it multiplies, and does not keep it alive.
    return partial(_replay, graph, vectors)


def _replay(graph: torch.cuda.CUDAGraph, _: object) -> None:
    graph.replay()


@torch.inference_mode()
def matrix_products(decoder: Decoder, rows: int) -> tuple[Callable[[], object], int]:
    """Make the work of multiplying a layer's matrices by ``rows`` vectors, and count its operations."""
    weights: Sequence[Tensor] = matrices(decoder)[: len(MATRICES)]
    inputs = {w.shape[1]: torch.randn(rows, w.shape[1], dtype=w.dtype, device=w.device) for w in weights}

    @torch.inference_mode()
    def products() -> None:
        for w in weights:
            torch.mm(inputs[w.shape[1]], w.T)

    return products, 2 * rows * sum(w.numel() for w in weights)
