"""The tokens of a question, and those with which the model abstains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What adapters are trained to answer where a document does not hold the answer.
ABSTENTION = "Not in the document."


def question_prompt(
    tokenizer: PreTrainedTokenizerBase, question: str, history: Sequence[tuple[str, str]] = ()
) -> list[int]:
    """Write the chat template with the question as the user's turn, after (question, answer) turns before it.

    Special tokens spelt out in a turn stay plain text: a question cannot close its own turn.
    """
    # Whoever has a tokenizer has transformers, which others need not wait for.
    from ccf_core.base.tokenizer import write_chat

    marker = "\x00"
    said = [*(text for turn in history for text in turn), question]
    first, *rest = write_chat(tokenizer, [marker] * len(said)).split(marker)
    ids = list(tokenizer(first, add_special_tokens=False)["input_ids"])
    for text, after in zip(said, rest, strict=True):
        ids += tokenizer(text.strip(), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids += tokenizer(after, add_special_tokens=False)["input_ids"]
    return ids


def abstention(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokenize ``ABSTENTION``."""
    return cast(list[int], tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"])
