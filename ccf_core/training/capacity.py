"""How much fits a batch: sizes of its streams, what an example takes of them, and drawing until they are full."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ccf_core.config import CCFConfig
from ccf_core.training.examples import LONGEST, Decoded, Example, Sampler

#: Longest sequence that fills up a stream.
PAD_RUN = 256
#: Of the source tokens, in the order of Capacity (measured: about 95% of what is tightest gets used).
SHARES = (1.18, 1.60, 0.155, 0.58, 0.10, 1.05)
LONG_SHARES = (1.16, 1.10, 0.15, 0.75, 0.06, 0.70)


def longest_segment(config: CCFConfig) -> int:
    """Bound on an encoder sequence, text and slots or filling, which attention kernels have to know beforehand.

    What lies beyond it they leave uninitialised, of filling too, and a weight of 0 times NaN is NaN.
    """
    tokens = config.segment_length + -(-config.segment_length // config.finest)
    return max(PAD_RUN, -(-tokens // 128) * 128)


@dataclass(frozen=True)
class Capacity:
    """Sizes of one batch: tokens through the encoder (slots included) and the decoder, slots, slots read, targets
    that learn from a teacher, other targets, sequences. ``longest`` bounds a decoder sequence."""

    encoder: int
    decoder: int
    slots: int
    memory: int
    taught: int
    targets: int
    sequences: int
    longest: int

    @classmethod
    def for_tokens(cls, tokens: int, long: bool = False) -> Capacity:
        """Room for about ``tokens`` source tokens under the default mix."""

        def aligned(share: float, unit: int = 128) -> int:
            return int(tokens * share) // unit * unit + unit

        shares = LONG_SHARES if long else SHARES
        unit = 2048 if tokens > 8192 else 128  # few shapes of loss chunks
        sizes = [aligned(share) for share in shares[:4]] + [aligned(share, unit) for share in shares[4:]]
        return cls._of([*sizes, tokens // 96 + 96, LONGEST[long]])

    @classmethod
    def holding(cls, used: np.ndarray, longest: int) -> Capacity:
        """Room for what ``size_of`` counts and little more."""
        *streams, sequences = used.tolist()
        return cls._of([*(size // 128 * 128 + 128 for size in streams), sequences + 8, longest])

    @classmethod
    def _of(cls, sizes: list[int]) -> Capacity:
        return cls(**dict(zip((f.name for f in fields(cls)), sizes, strict=True)))

    def room(self) -> np.ndarray:
        """As ``size_of`` counts."""
        return np.array(list(vars(self).values())[:-1])


def is_taught(d: Decoded) -> bool:
    """Whether a sequence learns from another one."""
    return d.teacher is not None


def size_of(example: Example, config: CCFConfig) -> np.ndarray:
    """(encoder, decoder, slots, memory, taught, targets, sequences) that an example takes."""
    slots = [-(-len(s) // example.ratio) for s in example.segments]
    memory = sum(slots[i] for d in example.decoded for i in d.segments)
    tokens = sum(len(d.input_ids) for d in example.decoded)
    taught, plain = (
        sum(int((d.targets >= 0).sum()) for d in example.decoded if is_taught(d) is wanted) for wanted in (True, False)
    )
    text = sum(map(len, example.segments)) + (sum(slots) if config.compressor != "mean_pool" else 0)
    sequences = max(len(slots), len(example.decoded))
    return np.array([text, tokens, sum(slots), memory, taught, plain, sequences])


def _short_enough(example: Example, longest: int) -> bool:
    slots = [-(-len(s) // example.ratio) for s in example.segments]
    return all(len(d.input_ids) + sum(slots[i] for i in d.segments) <= longest for d in example.decoded)


def draw_examples(sampler: Sampler, capacity: Capacity, rng: np.random.Generator, long: bool = False) -> list[Example]:
    """Draw until the next example no longer fits; a few misses are drawn over first."""
    room = capacity.room()
    # One token is kept for each sequence that may have to take up the rest of the slots read.
    used, misses, examples = np.array([1, 2 + capacity.memory // PAD_RUN, 1, 1, 0, 0, 0]), 0, []
    while misses < 24:
        example = sampler.draw(rng, long)
        if not _short_enough(example, capacity.longest):
            continue
        after = used + size_of(example, sampler.config)
        filling = 2 + (room - after)[[0, 1, 3]].max() // PAD_RUN  # sequences that take up the rest
        if (after > room).any() or after[-1] + filling > room[-1]:
            misses += 1
            continue
        used = after
        examples.append(example)
    return examples
