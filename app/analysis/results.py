"""Read what was measured: the shipped results of the adapter in use, the runs on record, a document of one's own."""

from __future__ import annotations

import functools
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from app.analysis.fidelity import Fidelity
from app.documents.memory_cache import Memories
from app.errors import NoDocument
from app.types import CancelCheck, never
from ccf_core.assets import asset
from store import Run, Store

RESULTS = asset("results")
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


class Results:
    def __init__(self, store: Store, memories: Memories, fidelity: Fidelity, folder: Path = RESULTS) -> None:
        self.store = store
        self.memories = memories
        self.fidelity = fidelity
        self.folder = folder

    def shipped(self) -> dict[str, dict[str, Any]]:
        """Read the shipped evaluation results of the adapter in use, by file name.

        Empty until the model is loaded; never waits.
        """
        adapter = self.memories.model.info()["adapter"]
        if not adapter:
            return {}
        return {name: result for name, result in _read(self.folder).items() if result.get("adapter") == adapter}

    def pooled(self) -> dict[str, dict[str, Any]]:
        """Read the results of mean pooling by file name; they are of an adapter that is not shipped."""
        return _read(self.folder / POOLED)

    def runs(self) -> list[Run]:
        """List what was measured here, the newest first; a run names its document by SHA-256 alone."""
        return self.store.runs.list()

    def title(self, run: Run) -> str:
        """Look up the title of a run's document, which may have been deleted since; "" for a run without one."""
        sha256 = run.config.get("document")
        if not sha256:
            return ""
        document = self.store.documents.find(sha256)
        return document.title if document else "a deleted document"

    def measure(self, sha256: str | None, cancelled: CancelCheck = never) -> Iterator[Measured]:
        """Measure ROUGE-L of up to 8 evenly spaced segments of a document at every ratio, as it comes.

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
                found = self.fidelity.reconstruct_all(sha256, ratio, batch, cancelled)
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
    return {path.stem: _parsed(path) for path in sorted(folder.glob("*.json"))}


def _parsed(path: Path) -> dict[str, Any]:
    """Parse a file, once as long as it stays the same: every page asks for it whenever it polls."""
    status = path.stat()
    return _parse(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(64)
def _parse(path: Path, _modified: int, _size: int) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def spread(count: int, most: int = MOST_SEGMENTS) -> list[int]:
    """Choose at most ``most`` of ``count`` indices, evenly spaced, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def sentences_for(adapter: str, folder: Path = RESULTS) -> list[str]:
    """Write a sentence for each task that was measured with the adapter of this fingerprint.

    Only the file named after its task is told: those beside it repeat the task for baselines.
    """
    said = []
    for task, write in _WRITERS.items():
        path = folder / f"{task}.json"
        result = _parsed(path) if path.exists() else {}
        if result.get("adapter") == adapter:
            said.append(f"Measured on {result['data']['name']}, half {result['half']}, greedy: {write(result)}.")
    return said


def _reconstruct(result: dict[str, Any]) -> str:
    full = [row for row in result["rows"] if row["sample"] == "full"]
    scores = ", ".join(f"{row['metrics']['rouge_l']:.3f} at {row['ratio']}x" for row in full)
    return f"reconstruction ROUGE-L {scores} ({full[0]['n']} segments)"


def _qa(result: dict[str, Any]) -> str:
    rows = [row for row in result["rows"] if row["source"] == "all" and row["reader"] in ("memory", "full", "none")]
    names = {"memory": "memory", "full": "full context", "none": "no document"}
    told = [(row["metrics"]["f1"], names[row["reader"]], f" {row['ratio']}x" if row["ratio"] else "") for row in rows]
    scores = ", ".join(f"{f1:.3f} {name}{ratio}" for f1, name, ratio in told)
    first, unanswerable = rows[0], rows[0].get("unanswerable", 0)
    said = f"answers' F1 {scores} ({first['n'] - unanswerable} questions that have an answer)"
    if unanswerable:
        wrong = 1 - first["metrics"]["abstain_f1"]
        said += f"; of {unanswerable} that have none, {wrong:.0%} got one all the same at {first['ratio']}x"
    return said


_WRITERS = {"reconstruct": _reconstruct, "qa": _qa}
