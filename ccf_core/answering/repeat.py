"""Write segments again from their slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ccf_core.errors import Cancelled
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import equal_lengths
from ccf_core.model.adapter import Adapter, repeating_copy
from ccf_core.model.decoder import Decoder


def repeater_of(decoder: Decoder, adapter: Adapter) -> Decoder:
    """Make the decoder that repeats: ``decoder`` itself, unless the adapter has a LoRA for repeating alone."""
    if not adapter.config.repeat_rank:
        return decoder
    return Decoder(repeating_copy(decoder.model, adapter), decoder.config)


def repeat(
    decoder: Decoder, memory: KVMemory, segments: Sequence[int], batch_size: int, cancelled: Callable[[], bool]
) -> list[list[int]]:
    """Write each of the segments again greedily, from its own slots alone: exactly as many tokens as it had.

    Raises Cancelled within a token after ``cancelled()`` turns true.
    """
    result: dict[int, list[int]] = {}
    for indices in equal_lengths(((i, len(memory.spans[i])) for i in segments), batch_size):
        rows = decoder.generate(
            [decoder.prefix(memory.select([i])) for i in indices],
            [[decoder.config.repeat_token]] * len(indices),
            max_new_tokens=len(memory.spans[indices[0]]),
            exactly=True,
            stopped=cancelled,
        )
        if cancelled():
            raise Cancelled("The reconstruction was cancelled; nothing was changed.")
        result.update(zip(indices, rows, strict=True))
    return [result[i] for i in segments]
