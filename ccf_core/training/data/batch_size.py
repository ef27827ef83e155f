"""How much fits a batch: sizes of its streams, what an example takes of them, and drawing until they are full."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ccf_core.config import CCFConfig
from ccf_core.errors import TrainingError
from ccf_core.memory.segments import slot_count
from ccf_core.training.data.examples import LONGEST, Decoded, Example, Kind
from ccf_core.training.data.sampling import Sampler

#: Longest sequence that fills up a stream.
PAD_RUN = 256
#: What ``size_of`` counts, in the order of Capacity.
ENCODER, SLOTS, READ, READ_MEMORY, REPEAT, REPEAT_MEMORY, TEACHER, TAUGHT, TARGETS, SEQUENCES = range(10)
#: Those that are filled up.
STREAMS = [ENCODER, READ, READ_MEMORY, REPEAT, REPEAT_MEMORY, TEACHER]
#: Examples drawn for a batch, none of which fits, after which it is too small; and least share of them that has to fit.
TRIES, LEAST = 2048, 0.1
#: Examples drawn to see what a mix takes, and capacity as a multiple of that: about 95% of the tightest stream is used.
MEASURED, SLACK = 512, 1.05


class BatchTooSmall(TrainingError):
    """A batch has no room for the examples of the data, or for hardly any."""

    def __init__(self, long: bool) -> None:
        window, kind = ("--mix-long-window", "long batch") if long else ("--mix-window", "batch")
        none = ", or --mix-long-every 0" if long else ""
        super().__init__(
            f"A {kind} is too small for the examples: give a larger --tokens-per-batch or a smaller {window}{none}."
        )


def longest_segment(config: CCFConfig) -> int:
    """Bound the length of an encoder sequence (text and slots, or filling), which attention kernels need beforehand.

    Kernels leave rows beyond the bound uninitialised, rows of filling too, and a weight of 0 times NaN is NaN.
    """
    tokens = config.segment_length + slot_count(config.segment_length, config.finest)
    return max(PAD_RUN, -(-tokens // 128) * 128)


@dataclass(frozen=True)
class Capacity:
    """Sizes of one batch: tokens through the encoder (slots included), slots; tokens and slots read of the decoder, and
    of its repeating; tokens of a frozen reader (0: there is no such stream); targets that learn from a teacher, other
    targets; sequences. ``longest`` bounds a decoder sequence."""

    encoder: int
    slots: int
    read: int
    read_memory: int
    repeat: int
    repeat_memory: int
    teacher: int
    taught: int
    targets: int
    sequences: int
    longest: int

    @classmethod
    def measured(cls, sampler: Sampler, tokens: int, long: bool = False) -> Capacity:
        """Measure the capacity for about ``tokens`` source tokens of what ``sampler`` draws; the same each time.

        Raises BatchTooSmall if all it draws are longer than a sequence may be.
        """
        rng = np.random.default_rng(7)
        drawn = [sampler.draw(rng, long) for _ in range(MEASURED // (8 if long else 1))]
        drawn = [example for example in drawn if _short_enough(example, LONGEST[long])]
        if not drawn:
            raise BatchTooSmall(long)
        used = np.sum([size_of(example, sampler.config) for example in drawn], axis=0)
        sizes = [int(tokens * share) for share in used * SLACK / sum(map(source_tokens, drawn))]
        unit = 2048 if tokens > 8192 else 128  # few shapes of loss chunks
        return cls._rounded(sizes, used, unit, sizes[SEQUENCES] + tokens // 256 + 64, LONGEST[long])

    @classmethod
    def holding(cls, used: np.ndarray, longest: int) -> Capacity:
        """Make a capacity for what ``size_of`` counts and little more."""
        return cls._rounded(used.tolist(), used, 128, int(used[SEQUENCES]) + 8, longest)

    @classmethod
    def _rounded(cls, sizes: list[int], used: np.ndarray, unit: int, sequences: int, longest: int) -> Capacity:
        """Round sizes up, targets to whole units; a stream that a run may lack and that is not ``used`` has size 0."""
        units = [128] * TAUGHT + [unit] * 2
        rounded = [size // one * one + one for size, one in zip(sizes, units, strict=False)]
        for size in (REPEAT, REPEAT_MEMORY, TEACHER, TAUGHT):
            if not used[REPEAT if size == REPEAT_MEMORY else size]:
                rounded[size] = 0
        return cls(**dict(zip((f.name for f in fields(cls)), [*rounded, sequences, longest], strict=True)))

    def sizes(self) -> np.ndarray:
        """List the sizes of all streams, targets and sequences, in the order of ``size_of``."""
        return np.array([getattr(self, f.name) for f in fields(self)][:-1])

    def reserved(self) -> np.ndarray:
        """Count what is in use before the first example, in the order of ``size_of``.

        That is a token for each sequence that may have to take up the rest of the slots read.
        """
        sizes, used = self.sizes(), np.zeros(SEQUENCES + 1, int)
        used[[ENCODER, SLOTS]] = 1
        for stream, memory in ((READ, READ_MEMORY), (REPEAT, REPEAT_MEMORY)):
            if sizes[stream]:
                used[stream], used[memory] = 2 + sizes[memory] // PAD_RUN, 1
        used[TEACHER] = bool(self.teacher)
        return used


def is_taught(d: Decoded) -> bool:
    """Tell whether a sequence learns from another one."""
    return d.teacher is not None


def is_repeated(d: Decoded, config: CCFConfig) -> bool:
    """Tell whether a sequence is done with the LoRA that is for repeating alone."""
    return d.kind == Kind.RECONSTRUCT and config.repeat_rank > 0


def source_tokens(example: Example) -> int:
    """Count the tokens of text that an example takes in; raw text that is read twice counts once."""
    return sum(map(len, example.segments or [d.input_ids for d in example.decoded if not d.frozen]))


def size_of(example: Example, config: CCFConfig) -> np.ndarray:
    """Count what an example takes: (encoder, slots, read, read_memory, repeat, repeat_memory, teacher, taught, targets,
    sequences)."""
    size = np.zeros(SEQUENCES + 1, int)
    size[ENCODER] = sum(map(len, example.segments)) + (example.slots if config.compressor != "mean_pool" else 0)
    size[SLOTS] = example.slots
    sequences = {READ: 0, REPEAT: 0, TEACHER: 0}
    for d in example.decoded:
        stream = TEACHER if d.frozen else REPEAT if is_repeated(d, config) else READ
        sequences[stream] += 1
        size[stream] += len(d.input_ids)
        if not d.frozen:
            size[stream + 1] += example.slots_read(d)
            size[TAUGHT if is_taught(d) else TARGETS] += int((d.targets >= 0).sum())
    size[SEQUENCES] = max(len(example.segments), *sequences.values())
    return size


def _short_enough(example: Example, longest: int) -> bool:
    return all(len(d.input_ids) + example.slots_read(d) <= longest for d in example.decoded)


def fitting(sampler: Sampler, capacity: Capacity, long: bool = False) -> float:
    """Measure the share of examples that have room in a batch. Raises BatchTooSmall if that is hardly any."""
    rng, count = np.random.default_rng(11), MEASURED // (16 if long else 4)
    drawn = [sampler.draw(rng, long) for _ in range(count)]
    room = capacity.sizes() - capacity.reserved()
    found = [e for e in drawn if _short_enough(e, capacity.longest) and (size_of(e, sampler.config) <= room).all()]
    if len(found) < LEAST * count:
        raise BatchTooSmall(long)
    return len(found) / count


def draw_examples(sampler: Sampler, capacity: Capacity, rng: np.random.Generator, long: bool = False) -> list[Example]:
    """Draw until the next example no longer fits; a few misses are drawn over first.

    Raises BatchTooSmall if none of many fits.
    """
    sizes, used, misses, tries, examples = capacity.sizes(), capacity.reserved(), 0, 0, list[Example]()
    while misses < 24 or not examples:
        tries += 1
        if tries > TRIES and not examples:
            raise BatchTooSmall(long)
        example = sampler.draw(rng, long)
        if not _short_enough(example, capacity.longest):
            continue
        after = used + size_of(example, sampler.config)
        filling = 2 + (sizes - after)[STREAMS].max() // PAD_RUN  # sequences that take up the rest
        if (after > sizes).any() or after[-1] + filling > sizes[-1]:
            misses += 1
            continue
        used = after
        examples.append(example)
    return examples
