"""Text to tokens to segments, with offsets back into the text."""

from __future__ import annotations

import hashlib
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ccf_core.errors import NothingToCompress, WrongArgument

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")

#: One word that names a file of text, whether it is there or not.
FILE_NAME = re.compile(r"\S+\.(txt|md|pdf|docx?|odt|rtf|epub|html?|csv|tsv|xlsx?|pptx?|jsonl?|xml|tex|py|ipynb)", re.I)


@dataclass(frozen=True)
class Span:
    """A segment of one document: tokens [start, end) and characters [char_start, char_end)."""

    document: str
    index: int
    start: int
    end: int
    char_start: int
    char_end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Segmented:
    """A tokenized document. ``sha256`` is the text's (of the token ids, if only those were given)."""

    sha256: str
    input_ids: tuple[int, ...]
    spans: tuple[Span, ...]

    def segment(self, index: int) -> tuple[int, ...]:
        return self.input_ids[self.spans[index].start : self.spans[index].end]

    def slots(self, ratio: int) -> int:
        """Count the slots of its memory at ``ratio``: the sum over segments of ceil(tokens / ratio)."""
        return sum(slot_count(len(span), ratio) for span in self.spans)


def slot_count(tokens: int, ratio: int) -> int:
    """Count the slots of a segment of ``tokens`` tokens at ``ratio``: ceil(tokens / ratio)."""
    return -(-tokens // ratio)


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def tokenize(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[tuple[int, int]]]:
    """Split a text into token ids and character offsets. Special tokens spelt out in it are read as plain text."""
    encoded = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    return encoded["input_ids"], encoded["offset_mapping"]


def check_text(source: object) -> None:
    """Raise WrongArgument for the path of a file, and for a string that is one rather than a text."""
    path = isinstance(source, os.PathLike)
    if path or (isinstance(source, str) and (FILE_NAME.fullmatch(source) or os.path.isfile(source))):
        raise WrongArgument(
            f"{source} is the name of a file: give the text in it, as in open(…).read(), "
            "or if these words are the text, its token ids."
        )


def token_ids(source: Sequence[int], vocabulary: int, wanted: str = "token ids") -> tuple[int, ...]:
    """Check one row of token ids. Raises WrongArgument for anything else and for ids outside the ``vocabulary``."""
    try:
        if isinstance(source, bytes | bytearray | memoryview):
            raise TypeError
        ids = tuple(operator.index(i) for i in source)
    except TypeError as error:
        raise WrongArgument(f"Give {wanted} as one row of whole numbers, not {type(source).__name__}.") from error
    if wrong := [i for i in (min(ids, default=0), max(ids, default=0)) if not 0 <= i < vocabulary]:
        raise WrongArgument(
            f"There is no token {wrong[0]}, for this base has {vocabulary:,}: give ids that its own tokenizer made."
        )
    return ids


def segment_text(source: str | Sequence[int], tokenizer: PreTrainedTokenizerBase, length: int) -> Segmented:
    """Cut a text, or token ids, into segments of ``length`` tokens, the last one ragged.

    With token ids alone the character offsets are those of the decoded text of each segment.
    Raises NothingToCompress if there are no tokens.
    """
    if isinstance(source, str):
        sha = text_sha256(source)
        ids, offsets = tokenize(source, tokenizer)
        bounds = [(a, min(a + length, len(ids))) for a in range(0, len(ids), length)]
        # A segment ends where the next begins, so that every character belongs to one.
        chars = [0, *(offsets[a][0] for a, _ in bounds[1:]), len(source)]
    else:
        ids = [int(i) for i in source]
        sha = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
        bounds = [(a, min(a + length, len(ids))) for a in range(0, len(ids), length)]
        chars = [0]
        for a, b in bounds:
            chars.append(chars[-1] + len(tokenizer.decode(ids[a:b])))
    if not ids:
        raise NothingToCompress("There is no text to compress: give a document with at least one word.")
    spans = tuple(Span(sha, i, a, b, chars[i], chars[i + 1]) for i, (a, b) in enumerate(bounds))
    return Segmented(sha, tuple(ids), spans)


def equal_lengths(items: Iterable[tuple[T, int]], batch_size: int) -> Iterator[list[T]]:
    """Yield batches of items of equal length, in order of first appearance, from (item, length)."""
    groups: dict[int, list[T]] = {}
    for item, length in items:
        groups.setdefault(length, []).append(item)
    for alike in groups.values():
        for at in range(0, len(alike), batch_size):
            yield alike[at : at + batch_size]
