"""Tiny random models for every room's tests; torch and transformers are imported by the tests that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from ccf_core.base.load import Base

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repeat>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = "The harbour master counted seven ships in the morning and the evening fog hid them all again. " * 3
#: Words to draw texts of: some capitalised, one a number.
WORDS = (
    *("harbour", "master", "counted", "seven", "ships", "morning", "Oslo"),
    *("fog", "1984", "Anna", "hid", "them", "again", "evening"),
)
#: Tokens of a segment under the adapter of ``tiny_model_folders``.
SEGMENT = 32


@pytest.fixture(scope="session")
def real_base() -> Base:
    """The default base model in float32, shared by tests marked ``model``, which leave it as it is."""
    from ccf_core.base.load import load_base

    return load_base(device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 tokens: every text round-trips; few characters outside ASCII are one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

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
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

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


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``tiny_adapter(base)``: a folder with an untrained adapter for it, with segments of 32 tokens."""
    from ccf_core import Adapter, CCFConfig
    from ccf_core.base.load import load_base

    def make(base: Path) -> Path:
        folder = tmp_path_factory.mktemp("adapter")
        config = CCFConfig(encoder_rank=2, decoder_rank=2, segment_length=SEGMENT)
        Adapter.zero(load_base(base, device="cpu", dtype="float32").model, config).save(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model_folders(tiny_folder: Callable[..., Path], tiny_adapter: Callable[[Path], Path]) -> tuple[Path, Path]:
    """(base, adapter) folders."""
    base = tiny_folder()
    return base, tiny_adapter(base)
