"""Readers of text whose cache is held in few bits: what coding a full cache buys, beside a memory at the same bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import torch

from ccf_core.base.spec import StackSpec
from ccf_core.memory.block import Block
from ccf_core.memory.quantization import GROUP, from_int2, to_int2
from ccf_core.model.prefix import Prefix
from ccf_core.readers.base import Question, Reader, Reading


def held_bytes(spec: StackSpec, tokens: int, dtype: str) -> int:
    """Count the bytes of a cache of so many tokens as ``coded`` holds it, scales included.

    int8 : a float16 scale a vector.  int4 : one byte a channel of 32 keys, scale and least in float16 of 32 numbers of
    a value.  int2 : scale and least in float16 of either.
    """
    keys, values, n = -(-tokens // GROUP), -(-spec.head_dim // GROUP), spec.head_dim
    of_head = {
        "int8": tokens * 2 * (n + 2),
        "int4": tokens * (n + 4 * values) + keys * n,
        "int2": tokens * (n // 2 + 4 * values) + keys * 4 * n,
    }
    return spec.layers * spec.kv_heads * of_head[dtype]


@torch.inference_mode()
def coded(prefix: Prefix, dtype: str) -> Prefix:
    """Round a cache to what its codes say: keys as they stand in it, rotated, by channel over 32 tokens, values by
    vector, as in KIVI (arXiv 2402.02750), but without its window of exact last tokens; int8 codes both by vector."""
    keys, values = torch.cat(prefix.keys), torch.cat(prefix.values)
    if dtype == "int2":
        k, v = from_int2(*to_int2(keys, -2), -2).to(keys), from_int2(*to_int2(values, -1), -1).to(values)
    else:
        k, v = Block(keys, values).quantize(dtype).floating(keys.dtype, keys.device)  # type: ignore[arg-type]
    return Prefix(tuple(k.unsqueeze(1)), tuple(v.unsqueeze(1)), prefix.next_position)


class QuantizedFull(Reader):
    """Reads all of the text from a cache that is held as codes and widened when it is read: what coding alone costs."""

    reads_text = True
    whole_text = True
    on_request = True

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        # Batches go through documents one after another, so the last ones read are all that is worth keeping.
        @lru_cache(maxsize=2)
        def cache(ids: tuple[int, ...]) -> Prefix:
            return coded(self.decoder.read_text(ids), self.cache_dtype)

        spec, readings = StackSpec.of(self.decoder.model), []
        for ids in map(self.text, questions):
            held = held_bytes(spec, len(ids), self.cache_dtype)
            readings.append(Reading(cache=partial(cache, ids), cached=len(ids), held=held) if ids else Reading())
        return readings

    def text(self, question: Question) -> tuple[int, ...]:
        """Cut a document's tokens to those that are read: what fits the window."""
        return tuple(question.document.input_ids[: question.text_limit])


class QuantizedTruncated(QuantizedFull):
    """Reads the first tokens of the text, as many as are held in the bytes of the memory at the same ratio.

    These are the bytes of an int8 memory, whatever the evaluation's are held in; of the memory itself in ``peers``.
    """

    whole_text = False
    as_small_as_memory = True

    def held_in(self, nbytes: int) -> int:
        fits = partial(held_bytes, StackSpec.of(self.decoder.model), dtype=self.cache_dtype)
        return bisect_right(range(1, nbytes + 1), nbytes, key=fits)

    def beside(self, slots: int) -> int:
        return self.held_in(held_bytes(StackSpec.of(self.decoder.model), slots, "int8"))

    def text(self, question: Question) -> tuple[int, ...]:
        return super().text(question)[: question.budget]


FullAsInt8 = QuantizedFull.variant(cache_dtype="int8")
FullAsInt4 = QuantizedFull.variant(cache_dtype="int4")
FullAsInt2 = QuantizedFull.variant(cache_dtype="int2")
TruncatedAsInt8 = QuantizedTruncated.variant(cache_dtype="int8")
TruncatedAsInt4 = QuantizedTruncated.variant(cache_dtype="int4")
TruncatedAsInt2 = QuantizedTruncated.variant(cache_dtype="int2")
