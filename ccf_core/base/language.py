"""Detect text in a language that a base was hardly trained for, by the fertility of its tokenizer: tokens a word.

Tokenizers are made from a sample of what a base is trained on: a word that is frequent there is one token, another word
many. So words of other languages fall to pieces, with any base. Names, numbers and code do so in
every language, and are not counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Words of an English text of no particular kind, to measure tokenizers by.
ENGLISH = """
when ships came back through thick morning mist harbour workers counted them again because nobody could tell which
had brought coal paper glass wool during that winter several small companies were founded along this coast others
moved inland where land cost less people remember how quiet those years were before new roads bridges schools came
"""
#: Tokens a byte, relative to English, from which a language counts as foreign: docs/decisions.md.
FOREIGN = 1.8
#: Letters that words must have together to tell, and characters of a text that are looked at.
FEWEST, SAMPLE = 15, 4_000
_WORD = re.compile(r"[^\W\d_]+")
#: Words of so few ASCII letters are alike in many languages.
_SHORT = 3


def is_foreign(text: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a text's words are cut far more finely than English ones; of hardly any words, nothing is told."""
    # A capital may begin a name; scripts without capitals have all words counted.
    words = [word for word in _WORD.findall(text[:SAMPLE]) if word == word.lower()]
    words = [word for word in words if len(word) > _SHORT or not word.isascii()]
    if sum(map(len, words)) < FEWEST:
        return False
    return _tokens_a_byte(words, tokenizer) >= FOREIGN * _tokens_a_byte(ENGLISH.split(), tokenizer)


def _tokens_a_byte(words: list[str], tokenizer: PreTrainedTokenizerBase) -> float:
    encoded = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    return sum(map(len, encoded)) / sum(len(word.encode()) for word in words)
