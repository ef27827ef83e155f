"""The tokenizer of a base: loads it, writes its questions, and knows which of its tokens no text can hold."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ccf_core.base.default import BaseDamaged, UnsupportedBase
from ccf_core.errors import AdapterError

#: How questions are put to a base without a chat template of its own.
PLAIN_TEMPLATE = (
    r"{% for m in messages %}{{ '\n\nQuestion:\n' if m['role'] == 'user' else '\n\nAnswer:\n' }}{{ m['content'] }}"
    r"{% endfor %}{{ '\n\nAnswer:\n' if add_generation_prompt else '' }}"
)
ROUND_TRIP = (
    "In 1984, about 12,345 people paid $6.78 each.",
    "Zoë's café:\n\n1. naïve\n2. 東京 🙂\n\tdef f(x): return x ** 2  # two  spaces",
)
#: What families call the special tokens that they leave for others to use.
RESERVED = re.compile(r"reserved|unused|placeholder|control_?\d|special_?\d|extra_?\d", re.IGNORECASE)
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def load_tokenizer(folder: Path, end_token: str | None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder, which must end with ``end_token`` if that is told.

    Raises UnsupportedBase if it has no end token, BaseDamaged if it cannot be used for another reason.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # tokenizers raises plain Exceptions.
    except Exception as error:
        raise BaseDamaged(f"The tokenizer in {folder} cannot be loaded ({error}): fetch the model again.") from error
    if tokenizer.eos_token_id is None:
        raise UnsupportedBase(
            f"The tokenizer in {folder} has no end token, so no answer would end: name the token that ends a text as "
            '"eos_token" in its tokenizer_config.json.'
        )
    if tokenizer.eos_token != (end_token or tokenizer.eos_token):
        raise BaseDamaged(
            f"The tokenizer in {folder} ends with {tokenizer.eos_token}, not with {end_token}: "
            "install a newer transformers, or fetch the model again."
        )
    for text in ROUND_TRIP:
        ids = tokenizer.encode(text, add_special_tokens=False)
        if tokenizer.decode(ids, clean_up_tokenization_spaces=False) != text:
            raise BaseDamaged(
                f"The tokenizer in {folder} does not give text back unchanged: "
                "install a newer transformers, or fetch the model again."
            )
    return cast(PreTrainedTokenizerBase, tokenizer)


def end_tokens(model: PreTrainedModel) -> list[int]:
    """List the tokens at which the model's generations end."""
    configured = model.generation_config.eos_token_id
    configured = model.config.eos_token_id if configured is None else configured
    if configured is None:
        return []
    return list(configured) if isinstance(configured, list | tuple) else [configured]


def with_template(tokenizer: PreTrainedTokenizerBase, template: str) -> PreTrainedTokenizerBase:
    """Give a copy of the tokenizer the chat template of an adapter; the tokenizer itself if the adapter has none."""
    if not template:
        return tokenizer
    own = copy.copy(tokenizer)
    own.chat_template = template
    return own


def write_chat(tokenizer: PreTrainedTokenizerBase, said: Sequence[str]) -> str:
    """Write turns, the user's and the assistant's in turn, by the chat template, and what comes before an answer.

    Templates that let a model think before it answers are told not to; a base without a template has
    ``PLAIN_TEMPLATE``.
    """
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
    template = None if tokenizer.chat_template else PLAIN_TEMPLATE
    written = tokenizer.apply_chat_template(
        turns, chat_template=template, add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    return cast(str, written)


def last_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Find the highest id that the tokenizer has."""
    return max(tokenizer.get_vocab().values())


def spare_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Choose a token that neither texts nor questions hold: a special one that is unused, best one that is reserved, or
    else the id behind the last token, which may lie behind the base's embeddings, too.
    """
    added = tokenizer.added_tokens_decoder
    last_reserved_first = sorted(added, key=lambda i: (bool(RESERVED.search(added[i].content)), i), reverse=True)
    return next((i for i in last_reserved_first if not is_used(tokenizer, i)), last_token(tokenizer) + 1)


def is_used(tokenizer: PreTrainedTokenizerBase, token: int) -> bool:
    """Tell whether a text or a question can hold the token, or the tokenizer has a role for it."""
    added = tokenizer.added_tokens_decoder.get(token)
    if added is None or not added.special:
        return token <= last_token(tokenizer)
    spelt = tokenizer(added.content, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    asked = tokenizer(write_chat(tokenizer, ("?", "!", "?")), add_special_tokens=False)["input_ids"]
    return token in (*spelt, *asked, *(getattr(tokenizer, f"{role}_token_id") for role in ROLES))


def check_repeat_token(tokenizer: PreTrainedTokenizerBase, token: int) -> None:
    """Raise AdapterError if the repeat token of an adapter is used for something else."""
    if is_used(tokenizer, token):
        raise AdapterError(
            f"The adapter's repeat token {token} is {tokenizer.convert_ids_to_tokens(token)!r} in this base's "
            "tokenizer, which texts or questions hold: load the base that it was trained on, or train a new adapter, "
            "whose repeat token is chosen for the base."
        )
