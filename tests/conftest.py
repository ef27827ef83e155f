"""What every room's tests share: tiny random models, the real base model, and who may be skipped.

Tests marked ``model`` and ``browser`` are skipped, and listed as such, where the model cannot be fetched or
there is no Chromium. ``CCF_REQUIRE_MODEL=1`` and ``CCF_REQUIRE_BROWSER=1`` turn those skips into failures.

Tests of properties try the same few inputs in every run; ``--hypothesis-profile=long`` tries thousands of new ones.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from ccf_core.base import Base, BaseModelError, load_base, resolve_base

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repeat>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Time is no property: these machines are shared. A fixture holds for all inputs of a test, which is meant.
for profile, examples in (("default", 25), ("long", 4_000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=profile == "default",
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )
settings.load_profile("default")

CORPUS = "The harbour master counted seven ships in the morning and the evening fog hid them all again. " * 3


@functools.cache
def model_trouble() -> str:
    """Why the real base model cannot be had; empty if it can."""
    try:
        resolve_base()
    except BaseModelError as error:
        return str(error)
    return ""


@functools.cache
def chromium_path() -> str:
    """The browser to drive: ``CCF_CHROMIUM``, one on the path, playwright's own, or empty for none."""
    for name in (os.environ.get("CCF_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("model") and model_trouble():
        _skip_or_fail("CCF_REQUIRE_MODEL", model_trouble())
    if item.get_closest_marker("browser") and not chromium_path():
        _skip_or_fail("CCF_REQUIRE_BROWSER", "There is no Chromium: install it, or name one in CCF_CHROMIUM.")


def _skip_or_fail(required: str, reason: str) -> None:
    if os.environ.get(required) == "1":
        pytest.fail(f"{reason} ({required}=1 forbids the skip)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the Chromium to drive; only for tests marked ``browser``."""
    return chromium_path()


@pytest.fixture(scope="session")
def real_base() -> Base:
    """The default base model in float32, shared by tests marked ``model``, which leave it as it is."""
    return load_base(device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 tokens: every text round-trips; few characters outside ASCII are one token."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([CORPUS], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<repeat>"],
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., PreTrainedModel]:
    """``tiny_model(family, seed, **config)``: float32, two layers, every parameter random, norms too.

    Families are transformers' model types: llama, mistral, qwen2 (query, key and value biases), qwen3 (query
    and key norms; its head_dim is not hidden / heads).
    """
    numbers = {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }

    def make(family: str = "llama", seed: int = 0, **overrides: Any) -> PreTrainedModel:
        head_dim = {"head_dim": 16 if family == "qwen3" else 8}
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            config = AutoConfig.for_model(family, **numbers | head_dim | overrides)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            for name, parameter in model.named_parameters():
                torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.15)
        return model.requires_grad_(False).eval()

    return make


@pytest.fixture(scope="session")
def tiny_folder(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerFast,
) -> Callable[..., Path]:
    """``tiny_folder(family, seed, **config)``: a fresh folder for ``load_base`` with a tiny random model."""

    def make(family: str = "llama", seed: int = 0, **overrides: Any) -> Path:
        folder = tmp_path_factory.mktemp(f"tiny-{family}")
        tiny_model(family, seed, **overrides).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make
