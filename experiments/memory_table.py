"""``python -m experiments.memory_table``: peak memory and speed of each strategy over the number of segments.

Documents are seeded random tokens in whole segments, which costs what text costs. Peak memory is what one pass takes
above the resident model: merged weights, gradients and graphs. On CUDA the allocator says it; elsewhere it is what
autograd saves for the backward pass, each storage counted once.
"""

from __future__ import annotations

import gc
import json
import math
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccf_core.base.load import load_base
from ccf_core.cli import CommandParser, positive, report
from ccf_core.config import CCFConfig
from ccf_core.device import device_name
from ccf_core.model.adapter import Adapter
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.examples import Mix
from ccf_core.training.data.long_documents import SegmentCapacity, segment_batches
from ccf_core.training.model import TrainingModel
from ccf_core.training.reservoir import Strategy, backward_documents

MIB = 2**20


@dataclass
class SavedTensors:
    """Context in which bytes of storages saved for backward are counted: those alive now, and their ``peak``."""

    live: int = 0
    peak: int = 0
    _holders: Counter = field(default_factory=Counter)

    def __enter__(self) -> SavedTensors:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda saved: saved.tensor)
        self._hooks.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._hooks.__exit__(*exception)

    def _pack(self, tensor: Tensor) -> _Saved:
        storage = tensor.untyped_storage()
        where, size = storage.data_ptr(), storage.nbytes()
        self._holders[where] += 1
        if self._holders[where] == 1:
            self.live += size
            self.peak = max(self.peak, self.live)
        saved = _Saved(tensor.detach())  # an output with its graph would hold itself
        weakref.finalize(saved, self._release, where, size)
        return saved

    def _release(self, where: int, size: int) -> None:
        self._holders[where] -= 1
        if not self._holders[where]:
            self.live -= size


class _Saved:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def measure(model: TrainingModel, batches: list[Batch], strategy: Strategy, reservoir: int) -> dict[str, Any]:
    """Measure {"outcome", "peak_bytes", "tokens_per_s"} of one pass after one to warm up.

    ``outcome`` is ``measured``, or ``out of memory`` and then there are no numbers; nothing of a row stays behind.
    """
    device = model.embedding.device

    def once() -> float:
        draw = np.random.default_rng(0).integers
        began = time.perf_counter()
        backward_documents(model, batches, strategy=strategy, reservoir=reservoir, draw=draw)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    row: dict[str, Any] = {"outcome": "out of memory", "peak_bytes": None, "tokens_per_s": None}
    with suppress(torch.OutOfMemoryError):  # whose traceback holds the tensors until this block is left
        if device.type == "cuda":
            once()  # kernels, workspaces and cached blocks come to stay: they cost neither time nor peak below
            _fresh(model, cached=True)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            seconds = once()
            peak = torch.cuda.max_memory_allocated(device) - before
        else:
            with SavedTensors() as saved:
                once()
            peak = saved.peak
            _fresh(model, cached=True)
            seconds = once()  # the hooks above take time
        tokens = sum(int(batch.source_tokens) for batch in batches)
        row = {"outcome": "measured", "peak_bytes": peak, "tokens_per_s": round(tokens / seconds)}
    _fresh(model, cached=False)
    return row


def _fresh(model: TrainingModel, *, cached: bool) -> None:
    """Give up gradients and whatever a pass, broken off or not, has left in reference cycles; cached blocks too."""
    model.zero_grad()
    gc.collect()
    if model.embedding.is_cuda and not cached:
        torch.cuda.empty_cache()


def table(
    model: TrainingModel,
    segments: list[int],
    reservoirs: list[int],
    documents: int,
    ratio: int,
    *,
    seed: int = 0,
    max_seconds: float = math.inf,
) -> Iterator[dict[str, Any]]:
    """Make one row for each number of segments and strategy, cheap ones first, as soon as it is measured.

    Rows that would not end within ``max_seconds``, by what the strategy took on fewer segments, come out with the
    outcome ``skipped``.
    """
    config, mix, device = model.config, Mix(), model.embedding.device
    strategies: list[tuple[Strategy, int]] = [
        *(("reservoir", size) for size in sorted(reservoirs)), ("incremental", 0), ("full", 0),
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    pace = dict.fromkeys(strategies, 0.0)  # seconds a segment
    for count in sorted(segments):
        texts = [list(rng.integers(10, len(model.embedding), (count, config.segment_length))) for _ in range(documents)]
        capacity = None
        if model.compiled:
            # Each number of segments is compiled for its own shape; together they would exceed what dynamo keeps.
            torch.compiler.reset()
            capacity = SegmentCapacity.fixed(documents, count, config)
        batches = [b.to(device) for b in segment_batches(texts, ratio, config, mix, capacity=capacity)]
        for strategy, size in strategies:
            row = {"strategy": strategy, "reservoir": size or None, "segments": count}
            started = time.perf_counter()
            if started - began + pace[strategy, size] * count > max_seconds:
                yield row | {"outcome": "skipped", "peak_bytes": None, "tokens_per_s": None}
                continue
            yield row | measure(model, batches, strategy, size)
            pace[strategy, size] = (time.perf_counter() - started) / count


def markdown(rows: list[dict[str, Any]]) -> str:
    """Peak MiB above the resident model · source tokens a second, strategies down, segments across."""
    counts = sorted({row["segments"] for row in rows})
    lines = [["strategy", *(f"{count} segments" for count in counts)], ["---"] * (len(counts) + 1)]
    of = {(row["strategy"], row["reservoir"], row["segments"]): row for row in rows}
    for name, size in dict.fromkeys((row["strategy"], row["reservoir"]) for row in rows):
        label = f"{name}, S = {size}" if size else name
        lines.append([label, *(_cell(of.get((name, size, count))) for count in counts)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["outcome"] != "measured":
        return row["outcome"] if row else "not reached"
    return f"{row['peak_bytes'] / MIB:,.1f} MiB · {row['tokens_per_s']:,}/s"


def write_whole(path: Path, text: str) -> None:
    """Write whole or not at all, so that a run that is killed keeps what it has."""
    part = path.with_name(path.name + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def main(argv: list[str] | None = None) -> None:
    parser = CommandParser(prog="python -m experiments.memory_table", description=__doc__)
    parser.add_argument("--segments", nargs="+", type=positive, default=[2, 4, 8, 16, 32])
    parser.add_argument("--reservoir", nargs="+", type=positive, default=[1, 2, 4], help="encoder graphs kept alive")
    parser.add_argument("--documents", type=positive, default=4, help="documents side by side")
    parser.add_argument("--segment-length", type=positive, default=256)
    parser.add_argument("--ratio", type=int, default=8)
    parser.add_argument("--base", help="folder or hub id of the base model")
    parser.add_argument("--device", help="cpu, cuda")
    parser.add_argument("--dtype", help="bfloat16 or float32")
    parser.add_argument("--compile", action="store_true", help="compile layers (CUDA): a minute or more a column")
    parser.add_argument("--max-seconds", type=float, default=45, help="skip rows that would not end by then")
    parser.add_argument("--out", type=Path, help="write the JSON here after every row, and the table beside it as .md")
    args = parser.parse_args(argv)
    config = CCFConfig(segment_length=args.segment_length)
    base = load_base(args.base, device=args.device, dtype=args.dtype)
    device = base.model.device
    if args.compile and device.type != "cuda":
        parser.error("--compile needs a CUDA device")
    model = TrainingModel(base.model, Adapter.zero(base.model, config), compiled=args.compile).to(device)
    resident = torch.cuda.memory_allocated(device) if device.type == "cuda" else None
    told: dict[str, Any] = {
        "device": device_name(device),
        "torch": torch.__version__,
        "dtype": str(base.model.dtype).removeprefix("torch."),
        "documents": args.documents,
        "segment_length": args.segment_length,
        "ratio": args.ratio,
        "compiled": args.compile,
        "peak": "allocated above resident" if resident is not None else "saved for backward",
        "resident_bytes": resident,
        "rows": [],
    }
    rows = table(model, args.segments, args.reservoir, args.documents, args.ratio, max_seconds=args.max_seconds)
    for row in rows:
        told["rows"].append(row)
        report(json.dumps(row))
        if args.out:
            write_whole(args.out, json.dumps(told, indent=2))
            write_whole(args.out.with_suffix(".md"), markdown(told["rows"]))
    print(json.dumps(told, indent=2))
    report(markdown(told["rows"]))


if __name__ == "__main__":
    main()
