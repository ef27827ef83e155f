"""Measure what compression saves and costs: a document's sizes, and the times of reading it as text and as memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import ccf_core
from app.documents.memory_cache import Memories, encoded
from app.errors import NoDocument
from app.types import CancelCheck, RatioSavings, SavingsView, never
from ccf_core import Answer, Cancelled
from ccf_core.memory.layout import usable
from ccf_core.memory.segments import Segmented
from store import Store

if TYPE_CHECKING:
    from ccf_core import CCF, KVMemory

KIND = "times"
QUESTION = "What is this document about?"
#: Beyond so many tokens plain text takes a laptop minutes.
LONGEST = 4096
LENGTHS = 4
#: A short step is measured so often, or until so many seconds have gone by, and the median counts.
REPEATS, ENOUGH_S = 3, 2.0
STOPPED = "The measurement was stopped; nothing was recorded."


@dataclass(frozen=True)
class Timed:
    """Seconds for the first ``tokens`` of a document.

    compress_s : encoding them once and packing the blocks as the database holds them.
    full_s : from the question to the first token of its answer, the plain text read before it.
    memory_s : the same with the stored memory, read from the database.
    """

    tokens: int
    compress_s: float
    full_s: float
    memory_s: float

    @property
    def saved_s(self) -> float:
        """Seconds that one question waits less; negative if it waits longer."""
        return self.full_s - self.memory_s

    @property
    def pays_after(self) -> int | None:
        """Questions after which compressing and asking the memory took no longer than reading the text each time."""
        return max(1, math.ceil(self.compress_s / self.saved_s)) if self.saved_s > 0 else None


@dataclass(frozen=True)
class Times:
    """Where the measurement of a document stands: the lengths done so far, shortest first.

    done, total : tokens of all lengths.  created_at : ISO 8601, UTC; "" until it is recorded.
    """

    document: str
    ratio: int
    points: tuple[Timed, ...]
    done: int
    total: int
    device: str = ""
    dtype: str = ""
    created_at: str = ""


class Savings:
    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories

    def sizes(self, sha256: str) -> SavingsView:
        """Compute the sizes of a document as text, full cache, memory and stored memory. Raises DocumentNotFound."""
        document = self.store.documents.get(sha256)
        text = self.memories.segmented(sha256)
        model = self.memories.model
        ccf = model.load()
        self.memories.migrate(text, ccf)
        full = len(text.input_ids) * ccf.token_kv_bytes
        slot_bytes = ccf.base.kv_bytes(ccf.model.dtype)

        def at(ratio: int) -> RatioSavings:
            slots = text.slots(ratio)
            levels = ccf.config.levels(ratio)
            return RatioSavings(
                ratio=ratio,
                slots=slots,
                kv_bytes=slots * slot_bytes,
                stored_bytes=self.store.memories.nbytes(sha256, model.key, levels),
                factor=full / (slots * slot_bytes),
            )

        return SavingsView(
            document=sha256,
            text_bytes=document.text_bytes,
            tokens=len(text.input_ids),
            full_kv_bytes=full,
            stored_bytes=self.store.memories.nbytes(sha256, model.key),
            ratios=tuple(at(ratio) for ratio in ccf.config.ratios),
            stored_dtype=self.memories.dtype,
        )


class Timing:
    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories

    def limit(self) -> int:
        """Return how many tokens of plain text the base model reads at most."""
        return usable(self.memories.model.load().decoder.window)

    def last(self, sha256: str) -> Times | None:
        """Look up the newest recorded measurement of a document under the adapter, device and dtype in use."""
        here = self._here()
        for run in self.store.runs.list(KIND):
            if run.config.get("document") == sha256 and all(run.config.get(key) == here[key] for key in here):
                points = tuple(Timed(**point) for point in run.results["points"])
                done = sum(point.tokens for point in points)
                config = run.config
                return Times(sha256, config["ratio"], points, done, done, here["device"], here["dtype"], run.created_at)
        return None

    def measure(self, sha256: str | None, ratio: int = 8, cancelled: CancelCheck = never) -> Iterator[Times]:
        """Measure the times of up to 4 lengths of a document, each about half of the next, as they come.

        The longest is the document, or as much of it as the base reads in full, 4,096 tokens at most. A complete
        measurement is recorded as a run. Raises NoDocument, DocumentNotFound, NotAnswerable (no such ratio); Cancelled
        (of ccf_core) between two steps, and then nothing is recorded.
        """
        if not sha256:
            raise NoDocument("There is no document to time; add one or choose one from the library.")
        self.memories.levels(ratio)
        document = self.memories.segmented(sha256, cancelled)
        counts = lengths([span.end for span in document.spans], min(self.limit(), LONGEST))
        # What the database lacks is encoded now, where no clock runs.
        self.memories.recall(sha256, ratio, range(counts[-1]), cancelled=cancelled)
        total = sum(document.spans[count - 1].end for count in counts)
        points: list[Timed] = []
        yield Times(sha256, ratio, (), 0, total)
        # The first step of a process is slower than any other, and nobody's fault.
        self._first_token(document, 1, ratio, cancelled)
        for count in counts:
            points.append(self._time(document, count, ratio, cancelled))
            yield Times(sha256, ratio, tuple(points), sum(point.tokens for point in points), total)
        self.store.runs.add(
            KIND, {"document": sha256, "ratio": ratio, "question": QUESTION} | self._here(),
            {"points": [asdict(point) for point in points]},
        )  # fmt: skip
        done = self.last(sha256)
        assert done is not None
        yield done

    def _here(self) -> dict[str, str]:
        info = self.memories.model.info()
        return {key: info[key] for key in ("adapter", "base", "device", "dtype")}

    def _time(self, document: Segmented, count: int, ratio: int, cancelled: CancelCheck) -> Timed:
        memory_s = _median(lambda: self._first_token(document, count, ratio, cancelled))
        full_s = _median(lambda: self._first_token_of_text(document, count, cancelled))
        compress_s = _median(lambda: self._compress(document, count, cancelled))
        return Timed(document.spans[count - 1].end, compress_s, full_s, memory_s)

    def _first_token(self, document: Segmented, count: int, ratio: int, cancelled: CancelCheck) -> float:
        started = time.perf_counter()
        memory = self.memories.recall(document.sha256, ratio, range(count), cancelled=cancelled).memory
        recalled_s = time.perf_counter() - started
        ccf = self.memories.model.load()
        with self.memories.model.hold(cancelled):
            return recalled_s + self._answer(ccf, memory, (memory.slots, 1), cancelled)

    def _first_token_of_text(self, document: Segmented, count: int, cancelled: CancelCheck) -> float:
        ccf = self.memories.model.load()
        input_ids = document.input_ids[: document.spans[count - 1].end]
        with self.memories.model.hold(cancelled):
            if cancelled():
                raise Cancelled(STOPPED)
            read = len(input_ids), 1
            return self._answer(ccf, None, read, cancelled, reader="full", input_ids=input_ids)

    def _answer(
        self, ccf: CCF, memory: KVMemory | None, tokens: tuple[int, int], cancelled: CancelCheck, **options: Any
    ) -> float:
        """Measure the seconds until the first token, in the process that has the model."""
        given = {"with_evidence": False, "stream": True} | options
        stream = cast("Callable[..., Iterator[str | Answer]]", ccf_core.CCF.answer)
        *_, answer = self.memories.model.compute(
            ccf, stream, QUESTION, memory, 1, tokens=tokens, cancelled=cancelled, **given
        )
        assert not isinstance(answer, str)
        return answer.timings.load_s + answer.timings.first_token_s

    def _compress(self, document: Segmented, count: int, cancelled: CancelCheck) -> float:
        model, dtype = self.memories.model, self.memories.dtype
        read = document.spans[count - 1].end, 0
        seconds = 0.0
        with closing(
            model.compute(model.load(), encoded, document, range(count), dtype, tokens=read, cancelled=cancelled)
        ) as pieces:
            for _ in range(count):
                # Waiting for others who use the model is not the compression's time.
                with model.hold(cancelled):
                    if cancelled():
                        raise Cancelled(STOPPED)
                    started = time.perf_counter()
                    next(pieces)
                    seconds += time.perf_counter() - started
        return seconds


def lengths(ends: Sequence[int], most: int) -> list[int]:
    """Choose up to 4 numbers of segments, each half of the next; the last segment of the largest ends by ``most``.

    ``ends`` are the tokens at which the segments end; one segment is there even if it alone is longer.
    """
    largest = max(1, sum(end <= most for end in ends))
    return sorted({max(1, math.ceil(largest / 2**halved)) for halved in range(LENGTHS)})


def _median(measure: Callable[[], float]) -> float:
    found = [measure()]
    while len(found) < REPEATS and sum(found) < ENOUGH_S:
        found.append(measure())
    return median(found)
