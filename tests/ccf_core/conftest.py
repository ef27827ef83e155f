"""Codecs on tiny random models, with adapters that are random too and far from zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ccf_core import CCF, Adapter, CCFConfig
from ccf_core.base import Base


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are too small to share: threads that wait for one another are ten times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_base(
    tokenizer: PreTrainedTokenizerFast, tiny_model: Callable[..., PreTrainedModel]
) -> Callable[..., Base]:
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
