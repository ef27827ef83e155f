"""What the use cases return: plain values, ready to be shown or printed, that hold no model and no database.

Sizes are bytes, times are seconds, offsets are characters of the document's text; ``notes`` are sentences for
the user. Titles and texts come from users' files: escape them before they meet HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ccf_core.readers import READERS

if TYPE_CHECKING:
    from ccf_core import KVMemory, Timings

#: The name of a way to answer, one of ``reader_names()``.
Reader = str
DocumentState = Literal["unknown", "text", "compressing", "partial", "ready"]


@dataclass(frozen=True)
class ModelState:
    """``fraction`` of loading done, 0 to 1; ``message`` says what goes on, or what to do about a failure.

    ``ahead`` : turns of others before the next one of the visitor, None for who waits for none.
    """

    status: Literal["absent", "loading", "ready", "failed"]
    fraction: float
    message: str
    ahead: int | None = None


@dataclass(frozen=True)
class IngestProgress:
    """One step of an ingest. ``done`` and ``total`` count tokens; both are 0 before the stage ``memory``.

    ``seconds_left`` is an estimate, None while there is nothing to estimate from; ``document`` is told once, by the
    first step after its text is stored.
    """

    stage: Literal["received", "text", "segments", "memory", "stored"]
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""
    document: str = ""

    @property
    def fraction(self) -> float:
        """Share of the whole ingest, 0 to 1: nearly all of it is the stage ``memory``."""
        start = {"received": 0.0, "text": 0.01, "segments": 0.03, "memory": 0.05, "stored": 1.0}[self.stage]
        within = self.done / self.total if self.stage == "memory" and self.total else 0.0
        return start + (1.0 - start) * within


Progress = Callable[[IngestProgress], None]
#: Told (fraction from 0 to 1, message) while the model is loaded.
LoadProgress = Callable[[float, str], None]
#: Told (what is at hand, tokens stored, tokens in all) while a folder is taken in.
FolderProgress = Callable[[str, int, int], None]
#: Whether whoever asked wants the work to end.
CancelCheck = Callable[[], bool]


def reader_names() -> tuple[str, ...]:
    """List the ways to answer that are offered: all but mean-pooled memories, which are of other adapters."""
    return tuple(name for name in READERS if name != "mean_pool")


def silent(step: IngestProgress) -> None:
    """Ignore progress, for callers that want none."""


def never() -> bool:
    """Cancellation for callers that do not cancel."""
    return False


@dataclass(frozen=True)
class DocumentView:
    """A document of the library.

    ``state`` is that of its memory under the model in use: ``text`` (nothing is compressed, or was
    forgotten to stay under the cap), ``compressing`` (in this process, now), ``partial`` (an ingest was
    interrupted), ``ready``, or ``unknown`` until the model is loaded. ``pages`` is 0 for kinds without pages;
    ``compressed_segments`` is 0 while the state is unknown; ``stored_bytes`` counts memories of all models;
    ``filename`` is "" for pasted text, and for what was stored before names were.
    """

    sha256: str
    title: str
    media_type: str
    source_bytes: int | None
    text_bytes: int
    characters: int
    pages: int
    tokens: int | None
    segments: int | None
    compressed_segments: int
    state: DocumentState
    stored_bytes: int
    created_at: str
    filename: str = ""


@dataclass(frozen=True)
class Ingested:
    """Outcome of an ingest.

    slots : by ratio, finest first.  stored_bytes : what the database holds of it under this model.
    seconds : reading, tokenizing, encoding and storing; waiting for the model to load is not counted.
    tokens_per_s : encoded tokens a second of encoding and storing; 0 where nothing had to be encoded.
    encoded_segments : how many ran through the encoder; the others were in the database.
    """

    document: DocumentView
    tokens: int
    segments: int
    encoded_segments: int
    slots: Mapping[int, int]
    seconds: float
    tokens_per_s: float
    stored_bytes: int
    from_cache: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchHit:
    """``snippet`` is the text from ``start`` on; ``marks`` are (start, end) of the found words within it."""

    document: DocumentView
    snippet: str
    start: int
    marks: tuple[tuple[int, int], ...]
    page: int | None


@dataclass(frozen=True)
class SegmentView:
    """A segment: tokens [token_start, token_end), characters [start, end), the page it begins on."""

    index: int
    token_start: int
    token_end: int
    start: int
    end: int
    page: int | None
    preview: str


@dataclass(frozen=True)
class Recalled:
    """A memory from the database; ``notes`` say what had to be compressed again, and why."""

    memory: KVMemory
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvidenceView:
    """A segment and its share of the attention that the answer paid to the memory; all shares sum to 1.

    ratio : at which it was read, 1 if as text; only of ``focus``, which reads segments at ratios of their own.
    """

    document: str
    title: str
    segment: int
    score: float
    start: int
    end: int
    page: int | None
    text: str
    ratio: int | None = None
    filename: str = ""


@dataclass(frozen=True)
class AnswerView:
    """An answer with its evidence and cost.

    evidence : of ``memory`` the segments attended to, the strongest first; of ``focus`` those that were read as text,
        then those that were read finer than the rest; of other readers nothing.

    kv_bytes : held by the decoder for the documents while it answered.
    full_kv_bytes : the documents' plain cache in bf16.
    stored_bytes : what the database holds of their memories.  text_bytes : UTF-8 size of their texts.
    turns : how many earlier turns of the conversation the question was read with.
    """

    question: str
    text: str
    reader: Reader
    ratio: int
    documents: tuple[str, ...]
    evidence: tuple[EvidenceView, ...]
    timings: Timings
    kv_bytes: int
    full_kv_bytes: int
    stored_bytes: int
    text_bytes: int
    notes: tuple[str, ...] = ()
    turns: int = 0


@dataclass(frozen=True)
class Word:
    """A word of a reconstruction, white space included; ``probability`` is the product over its tokens."""

    text: str
    probability: float


@dataclass(frozen=True)
class Reconstruction:
    """One segment beside what the decoder makes of its slots alone, greedily, with as many tokens.

    rouge_l : longest common subsequence of token ids, divided by the segment's tokens.
    exact_token : share of positions with the same token.
    words : their texts joined are ``text``.
    kv_bytes : the segment's slots as the decoder holds them.
    """

    document: str
    segment: int
    ratio: int
    original: str
    text: str
    words: tuple[Word, ...]
    tokens: int
    rouge_l: float
    exact_token: float
    slots: int
    kv_bytes: int
    start: int
    end: int
    page: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RatioSavings:
    """A document at one ratio.

    kv_bytes : its slots as the decoder holds them.  stored_bytes : blobs of its levels in the database.
    factor : full_kv_bytes over kv_bytes.
    """

    ratio: int
    slots: int
    kv_bytes: int
    stored_bytes: int
    factor: float


@dataclass(frozen=True)
class SavingsView:
    """Sizes of one document: its text, its plain cache in bf16, its memory at every ratio, finest first.

    stored_dtype : in which the database holds its memory.
    """

    document: str
    text_bytes: int
    tokens: int
    full_kv_bytes: int
    stored_bytes: int
    ratios: tuple[RatioSavings, ...]
    stored_dtype: str


@dataclass(frozen=True)
class MessageView:
    """A message of a chat; ``answer`` is None for questions.

    Evidence from documents that were deleted since is gone from it.
    """

    role: Literal["user", "assistant"]
    content: str
    created_at: str
    answer: AnswerView | None = None
