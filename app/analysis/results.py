"""What was measured: the shipped results of the adapter in use, the runs on record, and a document of one's own."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from app.errors import NoDocument
from app.inspecting import Inspecting
from app.memories import Memories
from app.timing import Timing
from app.views import Cancelled, never
from store import Run, Store

RESULTS = Path(__file__).parent.parent / "assets" / "results"
POOLED = "mean_pool"
#: Segments of a document that are measured, and how many are decoded together.
MOST_SEGMENTS = 8
TOGETHER = 4
KIND = "reconstruct"


@dataclass(frozen=True)
class Measured:
    """Where the measurement of a document stands.

    scores : by ratio, (segment, ROUGE-L) of those decoded so far, greedily, each from its own slots alone.
    done, total : segments decoded, counted once for each ratio.
    """

    document: str
    scores: Mapping[int, tuple[tuple[int, float], ...]]
    done: int
    total: int


class Measuring:
    def __init__(self, store: Store, memories: Memories, inspecting: Inspecting, folder: Path = RESULTS) -> None:
        self.store = store
        self.memories = memories
        self.inspecting = inspecting
        self.folder = folder
        self.timing = Timing(store, memories)

    def results(self) -> dict[str, dict[str, Any]]:
        """Shipped evaluation results by file name, those alone that measured the adapter in use.

        Empty until the model is loaded; never waits.
        """
        adapter = self.memories.model.info()["adapter"]
        if not adapter:
            return {}
        return {name: result for name, result in _read(self.folder).items() if result.get("adapter") == adapter}

    def pooled(self) -> dict[str, dict[str, Any]]:
        """Results of mean pooling by file name: of an adapter of its own that is not shipped."""
        return _read(self.folder / POOLED)

    def runs(self) -> list[Run]:
        """What was measured here, the newest first; a run names its document by SHA-256 alone."""
        return self.store.runs.list()

    def title(self, run: Run) -> str:
        """The title of a run's document, which may have been deleted since; "" for a run without one."""
        sha256 = run.config.get("document")
        if not sha256:
            return ""
        document = self.store.documents.find(sha256)
        return document.title if document else "a deleted document"

    def measure(self, sha256: str | None, cancelled: Cancelled = never) -> Iterator[Measured]:
        """ROUGE-L of up to 8 evenly spaced segments of a document at every ratio, as it comes.

        A complete measurement is recorded as a run. Raises NoDocument, DocumentNotFound; Cancelled (of ccf_core)
        between two batches, and then nothing is recorded.
        """
        if not sha256:
            raise NoDocument("There is no document to measure; add one or choose one from the library.")
        ccf = self.memories.model.load(cancelled=cancelled)
        segments = spread(len(self.memories.segmented(sha256, cancelled).spans))
        ratios = ccf.config.ratios
        total = len(segments) * len(ratios)
        scores: dict[int, list[tuple[int, float]]] = defaultdict(list)
        started = time.perf_counter()

        def so_far() -> Measured:
            done = sum(map(len, scores.values()))
            return Measured(sha256, {ratio: tuple(scores[ratio]) for ratio in ratios}, done, total)

        yield so_far()
        # Ratio within batch: all four points are there early, and get better.
        for start in range(0, len(segments), TOGETHER):
            for ratio in ratios:
                batch = segments[start : start + TOGETHER]
                found = self.inspecting.reconstruct_all(sha256, ratio, batch, cancelled)
                scores[ratio] += [(one.segment, one.rouge_l) for one in found]
                yield so_far()
        self._record(so_far(), segments, time.perf_counter() - started)

    def _record(self, measured: Measured, segments: Sequence[int], seconds: float) -> None:
        info = self.memories.model.info()
        config = {
            "document": measured.document,
            "segments": list(segments),
            "decoding": "greedy",
            **{name: info[name] for name in ("adapter", "base", "device", "dtype")},
        }
        rouge_l = {f"{ratio}x": round(fmean(s for _, s in found), 5) for ratio, found in measured.scores.items()}
        self.store.runs.add(KIND, config, {"rouge_l": rouge_l, "seconds": round(seconds, 1)})


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def spread(count: int, most: int = MOST_SEGMENTS) -> list[int]:
    """At most ``most`` of ``count`` indices, evenly spaced, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]
