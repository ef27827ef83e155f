"""Codecs on tiny random models, with adapters that are random too and far from zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ccf_core import CCF, Adapter, CCFConfig, KVMemory
from ccf_core.base.load import Base
from ccf_core.model.layers import StackSpec, finish, layer_weights, project, rms_norm, rotary_table, rotate


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are too small to share: threads that wait for one another are ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_base(tokenizer: PreTrainedTokenizerFast, tiny_model: Callable[..., PreTrainedModel]) -> Callable[..., Base]:
    """``make_base(family, seed, **config)``: a fresh base each time, for a CCF takes its base over."""

    def make(family: str = "llama", seed: int = 0, **overrides: Any) -> Base:
        model = tiny_model(family, seed, **overrides)
        return Base("tiny", f"weights {family} {seed}", "tokenizer 0", Path("tiny"), model, tokenizer)

    return make


@pytest.fixture(scope="session")
def make_adapter() -> Callable[..., Adapter]:
    """``make_adapter(model, seed, zero=False, **config)``: segments of 32 tokens unless told otherwise."""

    def make(model: PreTrainedModel, seed: int = 1, *, zero: bool = False, **config: Any) -> Adapter:
        numbers = {"segment_length": 32, "encoder_rank": 4, "decoder_rank": 2, "repeat_token": 3}
        adapter = Adapter.zero(model, CCFConfig(**numbers | config))
        generator = torch.Generator().manual_seed(seed)
        spread = {
            name: tensor if name.endswith(".a") else 0.3 * torch.randn(tensor.shape, generator=generator)
            for name, tensor in adapter.tensors.items()
        }
        return adapter if zero else dataclasses.replace(adapter, tensors=spread)

    return make


@pytest.fixture(scope="session")
def make_ccf(make_base: Callable[..., Base], make_adapter: Callable[..., Adapter]) -> Callable[..., CCF]:
    """``make_ccf(family, seed, zero=False, model={…}, **config)``: a codec on a tiny random base."""

    def make(
        family: str = "llama",
        seed: int = 0,
        *,
        zero: bool = False,
        model: dict[str, Any] | None = None,
        **config: Any,
    ) -> CCF:
        base = make_base(family, seed, **(model or {}))
        return CCF(base, make_adapter(base.model, seed + 1, zero=zero, **config))

    return make


@pytest.fixture(scope="session")
def ccf(make_ccf: Callable[..., CCF]) -> CCF:
    """A codec shared by tests that do not change it: segments of 32 tokens, a window of 1,024."""
    return make_ccf()


@pytest.fixture(scope="session")
def text_ids() -> Callable[..., list[int]]:
    """``text_ids(count, seed)``: random ordinary tokens."""

    def make(count: int, seed: int = 0) -> list[int]:
        return torch.randint(4, 300, (count,), generator=torch.Generator().manual_seed(seed)).tolist()

    return make


def positions_by_definition(memory: KVMemory, window: int) -> tuple[list[int], int]:
    """Of every slot in the order of its blocks, and of the first token after them."""
    stride = min(Fraction(1), Fraction(window - window // 8, memory.tokens))
    found, start = [], 0
    for span, blocks in zip(memory.spans, memory.blocks, strict=True):
        n = len(span)
        for level in blocks:
            ends = [e for e in range(1, n) if e % level == 0 and (level == 32 or e % (2 * level))]
            found += [floor((start + end - 1) * stride) for end in ends + [n] * (level == 32)]
        start += n
    return found, floor(memory.tokens * stride) + 1


@pytest.fixture(scope="session")
def plain_forward() -> Callable[..., tuple[torch.Tensor, list[torch.Tensor]]]:
    """``plain_forward(model, memory, ids)``: what reading ``ids`` after a memory (or None) must give.

    Logits (ids, vocabulary), and for each layer the attention (heads, ids, slots + ids). There is no cache;
    mask and positions are written out here, and attention is a product and a softmax.
    """

    @torch.inference_mode()
    def run(model: PreTrainedModel, memory: KVMemory | None, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        spec = StackSpec.of(model)
        window = model.config.max_position_embeddings
        slots, first = positions_by_definition(memory, window) if memory else ([], 0)
        cos, sin = rotary_table(model, torch.arange(first, first + len(ids)), model.dtype)
        hidden = model.get_input_embeddings()(torch.tensor(ids))
        mask = torch.ones(len(ids), len(slots) + len(ids), dtype=torch.bool).tril(len(slots))
        blocks = [block.floating(model.dtype, "cpu") for _, _, block in memory.parts()] if memory else []
        attention = []
        for index, w in enumerate(layer_weights(model)):
            q, k, _, v = project(spec, w, hidden, cos, sin)
            if memory:
                table = rotary_table(model, torch.tensor(slots), model.dtype)
                keys = torch.cat([k[index] for k, _ in blocks], dim=1).transpose(0, 1)
                k = torch.cat((rotate(keys, *table), k))
                v = torch.cat((torch.cat([v[index] for _, v in blocks], dim=1).transpose(0, 1), v))
            k, v = (x.repeat_interleave(spec.heads // spec.kv_heads, dim=1) for x in (k, v))
            weights = torch.einsum("qhd,khd->hqk", q, k) * spec.head_dim**-0.5
            attention.append(weights.masked_fill(~mask, float("-inf")).softmax(-1))
            hidden = finish(spec, w, hidden, torch.einsum("hqk,khd->qhd", attention[-1], v))
        hidden = rms_norm(hidden, model.model.norm.weight, spec.eps)
        return F.linear(hidden, model.get_output_embeddings().weight), attention

    return run
