"""The interface of readers: given questions about documents, a reader says what the decoder reads before each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Self

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ccf_core.answering.answer import Evidence
from ccf_core.answering.batching import DecodeRequest, Report
from ccf_core.focus.focus import Focus, cut
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import Segmented
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix


@dataclass(frozen=True)
class Question:
    """A prompt, the document that it asks about, and what may be read of it.

    document : its tokens and how they are cut into segments.  memory : of the document, where one is read.
    new : tokens that an answer may have.  text : the question's words.
    budget : positions of cache that may be held of the document, ``slot`` what each of its slots takes of them.
    window : positions that document, prompt and answer share; None to read all of the document, whatever its length.
    gold : the tokens of the passage that it asks about, where an evaluation knows it.
    """

    prompt: Sequence[int]
    document: Segmented
    new: int = 32
    memory: KVMemory | None = None
    text: str = ""
    gold: Sequence[int] = ()
    budget: int = 0
    slot: Fraction | int = 1
    window: int | None = None

    @property
    def text_limit(self) -> int | None:
        """Count the tokens of text that fit before the prompt and the answer; None for any number."""
        return None if self.window is None else self.window - len(self.prompt) - self.new

    @property
    def texts(self) -> list[Sequence[int]]:
        """Cut the document's tokens into its segments."""
        return cut(self.document.input_ids, [len(span) for span in self.document.spans])


@dataclass(frozen=True)
class Reading:
    """What the decoder reads before a prompt: ``cached`` positions of cache, which ``cache`` makes, then ``text``.

    slots : the memory that the cache is made of, if any.  held : bytes that the cache is held in, where it is coded.
    evidence : turns the attention that each position got, (positions,), into shares of segments, where they are known.
    """

    text: Sequence[int] = ()
    cache: Callable[[], Prefix | None] = lambda: None
    cached: int = 0
    slots: KVMemory | None = None
    evidence: Callable[[Tensor], tuple[Evidence, ...]] | None = None
    held: int | None = None

    @property
    def positions(self) -> int:
        """Positions of the document in the decoder's cache while it answers."""
        return self.cached + len(self.text)

    def held_bytes(self, position: int) -> int:
        """Count the bytes held of the document until a question comes: slots as their memory holds them, a coded cache
        as it is, all else at ``position`` bytes a position."""
        if self.held is not None:
            return self.held + len(self.text) * position
        slots, slot_bytes = (self.slots.slots, self.slots.nbytes) if self.slots else (0, 0)
        return slot_bytes + (self.positions - slots) * position

    def prefix(self, decoder: Decoder) -> Prefix | None:
        """Read cache and text into one prefix; None if nothing is read."""
        cache = self.cache()
        return decoder.read_text(self.text, after=cache) if len(self.text) else cache

    def request(self, prompt: Sequence[int], new: int = 0, target: Sequence[int] = ()) -> DecodeRequest:
        """Make a row of a batch: reading, prompt, and ``new`` tokens to generate or a ``target`` to score."""
        return DecodeRequest([*self.text, *prompt], new, target, self.cache, self.cached)


@dataclass(frozen=True)
class Reader(ABC):
    """A way to answer from a document.

    tokenizer : for readers that prompt or look for words.  seed : for those that draw.  focus : how text is chosen.
    batch_size, report, cancelled : rows decoded at once, who is told of progress, and when to hurry to an end.
    """

    decoder: Decoder
    tokenizer: PreTrainedTokenizerBase
    seed: int = 0
    focus: Focus = field(default_factory=Focus)
    batch_size: int | None = None
    report: Report = lambda message: None
    cancelled: Callable[[], bool] = lambda: False

    #: What it reads of a document: slots of its memory, its text, both or nothing.
    reads_slots: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    #: Whether it reads no more positions than a memory has at the ratio that is asked for.
    as_small_as_memory: ClassVar[bool] = False
    #: Whether it chooses the ratio of each segment: it is given a memory down to the finest ratio there is, and the
    #: ratio that is asked for is its budget, the positions of that ratio.
    grades_memory: ClassVar[bool] = False
    #: Whether what it reads depends on the question; it then spends a budget of its own.
    by_question: ClassVar[bool] = False
    #: Whether it reads all of the text, so that others are measured against it (unless its cache is coded).
    whole_text: ClassVar[bool] = False

    # Facts for evaluations alone.

    #: Whether it is measured only if it is named: it takes long, or answers a question of its own.
    on_request: ClassVar[bool] = False
    #: Whose decoder reads: the adapter's, that of the untouched ``base``, or the ``yardstick`` reader's.
    decoder_of: ClassVar[str] = "adapter"
    #: Adapters whose memories it reads, by how they compress; "" for all.
    compressor: ClassVar[str] = ""
    #: The dtype in which its memories are held, if not the one that the evaluation is run with.
    memory_dtype: ClassVar[MemoryDtype | None] = None
    #: The dtype in which the cache of its text is held, if not the model's.
    cache_dtype: ClassVar[str] = ""
    #: Readers that it is compared with row by row, where they are run too.
    rivals: ClassVar[tuple[str, ...]] = ()
    #: Names of tasks that measure it, besides those that list it.
    tasks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def variant(cls, **attributes: object) -> type[Self]:
        """Make a reader that differs from this one in class attributes alone."""
        return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, **attributes})

    @classmethod
    def needs_memory(cls) -> bool:
        """Tell whether a memory must be given, to be read or to be matched in positions."""
        return cls.reads_slots or cls.as_small_as_memory

    @classmethod
    def at_ratio(cls) -> bool:
        """Tell whether the ratio of the memory makes a difference."""
        return cls.needs_memory() and not cls.by_question

    @classmethod
    def text_tokens(cls, tokens: int, slots: int) -> int:
        """Count the tokens of plain text that the model reads at once of a document with so many tokens and slots.

        What is chosen by the question keeps within its budget and is not counted.
        """
        if cls.by_question or not cls.reads_text:
            return 0
        return slots if cls.as_small_as_memory else tokens

    def held_in(self, nbytes: int) -> int:
        """Count the positions of its cache that so many bytes hold."""
        return nbytes // self.decoder.kv_bytes

    def beside(self, slots: int) -> int:
        """Count the positions that it may hold beside a memory with so many slots: as many."""
        return slots

    def prepare(self, questions: Sequence[Question]) -> Sequence[Any]:
        """Prepare, for each question, what serves all budgets; ``questions`` have the largest one."""
        return [None] * len(questions)

    @abstractmethod
    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        """Choose what is read for each question; ``prepared`` is what ``prepare`` gave for them."""
