"""Text to tokens to segments, with offsets back into the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ccf_core.errors import NothingToCompress


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


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def tokenize(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids and character offsets. Special tokens spelt out in the text are read as plain text."""
    encoded = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    return encoded["input_ids"], encoded["offset_mapping"]


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


def equal_lengths(items: Sequence[tuple[int, int]], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices of equal length, in order of first appearance, from (index, length): no padding anywhere."""
    groups: dict[int, list[int]] = {}
    for index, length in items:
        groups.setdefault(length, []).append(index)
    for indices in groups.values():
        for at in range(0, len(indices), batch_size):
            yield indices[at : at + batch_size]
