"""KVMemory: the slots of one or several documents, apart from any model.

Keys are kept before rotary embedding, so a memory can be cut, joined, reordered and placed anywhere. It holds one
block per segment and level; a coarser ratio is the same blocks without the finer levels, never a copy.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from ccf_core.errors import MemoryMismatch, NoSuchPart, WrongArgument
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.memory.grades import TEXT, grades
from ccf_core.memory.segments import Span


@dataclass(frozen=True)
class MemoryHeader:
    """What a memory must agree on with the model that reads it.

    mask : what a slot saw of its segment, ``whole``; ``mean_pool`` if it is the mean of a block of it, ``pruned`` if it
        is one of its tokens.
    """

    base: str
    adapter: str
    tokenizer: str
    segment_length: int
    mask: str
    ratios: tuple[int, ...]
    layers: int
    kv_heads: int
    head_dim: int

    @property
    def nested(self) -> bool:
        """Whether a coarser memory is a slice of a finer one."""
        return self.mask != "mean_pool"

    @property
    def has_positions(self) -> bool:
        """Whether slots are tokens of their segment, not the same in each layer and head, with their positions."""
        return self.mask == "pruned"


@dataclass(frozen=True)
class KVMemory:
    """Slots of ``spans`` at ``ratio``; ``blocks[i]`` maps level to the block of span i, coarse to fine."""

    header: MemoryHeader
    spans: tuple[Span, ...]
    blocks: tuple[Mapping[int, Block], ...]
    ratio: int

    def _described(self) -> dict[str, str]:
        """Describe the memory in a few words each, for people; its origin may be anything that a file says."""
        origin = {name: getattr(self.header, name)[:12] for name in ("base", "adapter", "tokenizer")}
        return {
            "segments": f"{self.segments:,}",
            "tokens": f"{self.tokens:,}",
            "slots": f"{self.slots:,}",
            "bytes": f"{self.nbytes:,}",
            "dtype": self.dtype if self.blocks else "none",
            "ratio": f"{self.ratio}x",
            "readable at": " ".join(f"{ratio}x" for ratio in self.ratios),
            **{name: repr(value)[1:-1] for name, value in origin.items()},
        }

    def __repr__(self) -> str:
        return f"<KVMemory {', '.join(f'{name}: {value}' for name, value in self._described().items())}>"

    def _repr_html_(self) -> str:
        """Write the same as a table, which notebooks show."""
        rows = (f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self._described().items())
        return f"<table><caption>KVMemory</caption>{''.join(rows)}</table>"

    @property
    def ratios(self) -> tuple[int, ...]:
        """List the ratios at which the memory can be read, finest first."""
        return tuple(r for r in self.header.ratios if r == self.ratio or (self.header.nested and r > self.ratio))

    def at(self, ratio: int) -> KVMemory:
        """View the memory at a coarser ratio; nothing is computed or copied.

        Raises ValueError for an unknown ratio and for one finer than what was encoded; MemoryMismatch for a
        mean-pooled memory, which would lose text: its slots each stand for their own block alone.
        """
        if ratio not in self.header.ratios or ratio < self.ratio:
            have = ", ".join(str(r) for r in self.header.ratios if r >= self.ratio)
            raise ValueError(f"this memory can be read at {have}, not at {ratio}")
        if ratio != self.ratio and not self.header.nested:
            raise MemoryMismatch(
                f"A mean-pooled memory serves the one ratio it was made at: compress the document again at {ratio}."
            )
        kept = tuple({level: block for level, block in b.items() if level >= ratio} for b in self.blocks)
        return replace(self, blocks=kept, ratio=ratio)

    def select(self, segments: Sequence[int]) -> KVMemory:
        """View some segments, in the order given. Raises what ``numbers`` raises."""
        chosen = self.numbers(segments)
        return replace(self, spans=tuple(self.spans[i] for i in chosen), blocks=tuple(self.blocks[i] for i in chosen))

    def numbers(self, segments: Sequence[int]) -> list[int]:
        """Check numbers of segments, which count from 0, or back from -1.

        Raises NoSuchPart, an IndexError, if there is no such segment, and WrongArgument for anything but numbers.
        """
        try:
            wanted = [operator.index(i) for i in segments]
        except TypeError as error:
            raise WrongArgument("Segments are chosen by a list of whole numbers, such as [0, 1].") from error
        for i in wanted:
            if not -self.segments <= i < self.segments:
                raise NoSuchPart(f"This memory has no segment {i}: it has {self.segments}, counted from 0.")
        return wanted

    def mixed(self, ratios: Sequence[int]) -> KVMemory | None:
        """View each segment at a ratio of its own, without those whose ratio is ``TEXT``; None if all are.

        The result is for a decoder alone: its ``ratio`` is the finest of them. Raises what ``at`` raises.
        """
        parts = [self.select([i]).at(ratio) for i, ratio in enumerate(ratios) if ratio != TEXT]
        if not parts:
            return None
        return replace(
            parts[0],
            spans=tuple(part.spans[0] for part in parts),
            blocks=tuple(part.blocks[0] for part in parts),
            ratio=min(part.ratio for part in parts),
        )

    def graded(self, budget: int, tail: int | None = None, most_text: int | None = None) -> tuple[KVMemory | None, int]:
        """Grade the memory for what comes after its text: the last tokens as text, near segments fine, far ones coarse.

        budget : positions of cache, of slots and text together.  tail : tokens of text, None to choose as many as are
        best, ``most_text`` at most.

        Returns (slots, tail): the slots of all segments that are not wholly text, for ``Decoder.prefix(slots, tail)``
        (None if all are), and how many of the last tokens are to be read as text at the positions after them. Slots of
        a segment that the tail cuts are of all of it, so that its end is read twice.
        Raises BudgetTooSmall if the coarsest slots and the tail take more than the budget. See ``grades``.
        """
        choices = [ratio for ratio in self.ratios if ratio != TEXT]
        tail, ratios = grades(budget, [len(span) for span in self.spans], choices, tail, most_text)
        return self.mixed(ratios), tail

    @staticmethod
    def join(memories: Iterable[KVMemory]) -> KVMemory:
        """Join memories in a row, at the coarsest of their ratios. Raises MemoryMismatch if they differ in origin."""
        memories = list(memories)
        if not memories:
            raise ValueError("there is nothing to join")
        ratio = max(m.ratio for m in memories)
        first = memories[0].header
        for m in memories[1:]:
            check_compatible(first, m.header)
        parts = [m.at(ratio) for m in memories]
        return KVMemory(
            first, tuple(s for m in parts for s in m.spans), tuple(b for m in parts for b in m.blocks), ratio
        )

    @property
    def tokens(self) -> int:
        return sum(len(span) for span in self.spans)

    @property
    def segments(self) -> int:
        return len(self.spans)

    @property
    def slots(self) -> int:
        return sum(block.slots for blocks in self.blocks for block in blocks.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as held, scales included."""
        return sum(block.nbytes for blocks in self.blocks for block in blocks.values())

    @property
    def dtype(self) -> str:
        return next(iter(self.blocks[0].values())).dtype

    def quantize(self, dtype: MemoryDtype = "int8") -> KVMemory:
        """Convert every block to ``dtype``, each for itself: a slice is what the slice would become. See ``Block``."""
        return replace(self, blocks=tuple({level: b.quantize(dtype) for level, b in bs.items()} for bs in self.blocks))

    def parts(self) -> Iterator[tuple[int, int, Block]]:
        """Yield (segment, level, block), the grain in which memories are stored."""
        for index, blocks in enumerate(self.blocks):
            for level, block in blocks.items():
                yield index, level, block


def check_memory(given: object) -> None:
    """Raise WrongArgument for what is no memory."""
    if not isinstance(given, KVMemory):
        raise WrongArgument(
            f"A memory, as compress and load_memory give it, is wanted in the place of this {type(given).__name__}: "
            "look at the order of the arguments."
        )


def check_compatible(wanted: MemoryHeader, found: MemoryHeader) -> None:
    """Raise MemoryMismatch naming the first field in which two memories, or a memory and a model, differ."""
    says = {
        "base": "another base model",
        "adapter": "another adapter",
        "tokenizer": "another tokenizer",
        "segment_length": "another segment length",
        "mask": "another encoder mask",
    }
    for field, value in vars(wanted).items():
        if getattr(found, field) != value:
            raise MemoryMismatch(
                f"This memory was made with {says.get(field, f'another {field}')}: "
                "compress the document again with the model in use."
            )
