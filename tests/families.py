"""Tiny bases in the likeness of published ones: their layers, and their tokens in the order that those families use.

``tests.tiny_models`` has its special tokens in front, as the default base does; most families have them behind the
text's tokens, so that 3 is ``$``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tiny_models import CORPUS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

#: Most tokens that a text can hold: 256 bytes, and what the corpus lets be merged of them.
ORDINARY = 320
TURN = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
CHAT_ML = (
    f"{{% for m in messages %}}{TURN}{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '<|im_start|>assistant\n' }}}}"
)
THINKING = "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
LLAMA_TURN = "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] + '<|eot_id|>' }}"
LLAMA_CHAT = (
    f"{{{{ bos_token }}}}{{% for m in messages %}}{LLAMA_TURN}{{% endfor %}}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
INSTRUCT = (
    "{{ bos_token }}{% for m in messages %}{{ '[INST]' + m['content'] + '[/INST]' if m['role'] == 'user' "
    "else m['content'] + eos_token }}{% endfor %}"
)


@dataclass(frozen=True)
class Family:
    """What a base is made of.

    layers : transformers' model type.  special : special tokens, before the others if ``in_front``, else behind them.
    added : tokens behind all others that are no special ones.  spare : rows of the embeddings without a token.
    roles : special tokens by role.  config : of the model.
    """

    layers: str
    special: tuple[str, ...]
    roles: dict[str, str]
    template: str | None
    in_front: bool = False
    added: tuple[str, ...] = ()
    spare: int = 0
    config: dict[str, Any] = field(default_factory=dict)


_LLAMA_3 = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_2|>", "<|eot_id|>"),
)
_LLAMA_3_CONFIG = {
    "rope_parameters": {
        **{"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0},
        **{"high_freq_factor": 4.0, "original_max_position_embeddings": 256},
    }
}
_QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_END = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}

FAMILIES = {
    "qwen2": Family("qwen2", _QWEN, _END, CHAT_ML + "{% endif %}", spare=5),
    "qwen3": Family(
        *("qwen3", (*_QWEN, "<|object_ref_start|>", "<|vision_pad|>"), _END, CHAT_ML + THINKING + "{% endif %}"),
        added=("<think>", "</think>"),
        spare=9,
    ),
    "llama3": Family(
        *("llama", _LLAMA_3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}, LLAMA_CHAT),
        config=_LLAMA_3_CONFIG,
    ),
    "llama3_base": Family(
        *("llama", _LLAMA_3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}, None),
        config=_LLAMA_3_CONFIG,
    ),
    "mistral": Family(
        *("mistral", ("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[control_0]", "[control_1]")),
        *({"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}, INSTRUCT),
        in_front=True,
        config={"sliding_window": None},
    ),
    "smollm2_base": Family(
        *("llama", (*_QWEN, "<repo_name>"), dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")),
        *(None, True),
    ),
}


def family_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Make the byte-level BPE tokenizer of one of ``FAMILIES``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    front, behind = (list(family.special), []) if family.in_front else ([], list(family.special))
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ORDINARY + len(front),
        special_tokens=front,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([CORPUS], trainer)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in behind])
    backend.add_tokens([AddedToken(token, normalized=False) for token in family.added])
    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=family.template, **family.roles)


@pytest.fixture(scope="session")
def family_folder(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., PreTrainedModel]
) -> Callable[..., Path]:
    """``family_folder(name, seed, **config)``: a fresh folder for ``load_base`` with a tiny random base of a family."""

    def make(name: str, seed: int = 0, **overrides: Any) -> Path:
        family, tokenizer = FAMILIES[name], family_tokenizer(name)
        folder = tmp_path_factory.mktemp(f"tiny-{name}")
        numbers = {"vocab_size": len(tokenizer) + family.spare}
        numbers |= {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos")}
        tiny_model(family.layers, seed, **numbers | family.config | overrides).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make
