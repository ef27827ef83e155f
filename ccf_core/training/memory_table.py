"""``python -m ccf_core.training.memory_table``: peak memory and speed of each strategy over the number of segments.

Documents are seeded random tokens in whole segments, which costs what text costs. Peak memory is what one pass takes
above the resident model: merged weights, gradients and graphs. On CUDA the allocator says it; elsewhere it is what
autograd saves for the backward pass, each storage counted once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import weakref
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccf_core.adapter import Adapter
from ccf_core.base import load_base
from ccf_core.config import CCFConfig
from ccf_core.evaluation.cli import positive, report
from ccf_core.evaluation.subject import device_name
from ccf_core.training.documents import Room, segment_batches
from ccf_core.training.examples import Mix
from ccf_core.training.model import TrainingModel, flash_attention
from ccf_core.training.packing import Batch
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


def measure(model: TrainingModel, batches: list[Batch], strategy: Strategy, reservoir: int) -> dict[str, float | None]:
    """{"peak_bytes", "tokens_per_s"} of one pass after one to warm up; None where the device has too little memory."""
    cuda = model.embedding.is_cuda

    def once() -> None:
        draw = np.random.default_rng(0).integers
        backward_documents(model, batches, strategy=strategy, reservoir=reservoir, draw=draw)
        if cuda:
            torch.cuda.synchronize()

    def fresh() -> int:
        model.zero_grad()
        if not cuda:
            return 0
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    try:
        before = fresh()
        if cuda:
            once()
            peak = torch.cuda.max_memory_allocated() - before
        else:
            with SavedTensors() as saved:
                once()
            peak = saved.peak
        model.zero_grad()
        began = time.perf_counter()
        once()
        seconds = time.perf_counter() - began
    except torch.OutOfMemoryError:
        fresh()
        return {"peak_bytes": None, "tokens_per_s": None}
    tokens = sum(int(batch.source_tokens) for batch in batches)
    return {"peak_bytes": peak, "tokens_per_s": round(tokens / seconds)}


def table(
    model: TrainingModel, segments: list[int], reservoirs: list[int], documents: int, ratio: int, seed: int = 0
) -> list[dict[str, Any]]:
    """One row for each strategy and number of segments."""
    config, mix = model.config, Mix()
    room = Room.fixed(documents, max(segments), config) if model.compiled else None
    strategies: list[tuple[Strategy, int]] = [("full", 0), ("incremental", 0), *(("reservoir", s) for s in reservoirs)]
    rng = np.random.default_rng(seed)
    rows = []
    for count in segments:
        texts = [list(rng.integers(10, len(model.embedding), (count, config.segment_length))) for _ in range(documents)]
        device = model.embedding.device
        batches = [b.to(device) for b in segment_batches(texts, ratio, config, mix, room=room)]
        for strategy, size in strategies:
            row = {"strategy": strategy, "reservoir": size or None, "segments": count}
            rows.append(row | measure(model, batches, strategy, size))
            report(json.dumps(rows[-1]))
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """Peak MiB above the resident model · source tokens a second, strategies down, segments across."""
    counts = sorted({row["segments"] for row in rows})
    lines = [["strategy", *(f"{count} segments" for count in counts)], ["---"] * (len(counts) + 1)]
    for name, size in dict.fromkeys((row["strategy"], row["reservoir"]) for row in rows):
        cells = {row["segments"]: _cell(row) for row in rows if (row["strategy"], row["reservoir"]) == (name, size)}
        label = f"{name}, S = {size}" if size else name
        lines.append([label, *(cells[count] for count in counts)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: dict[str, Any]) -> str:
    if row["peak_bytes"] is None:
        return "out of memory"
    return f"{row['peak_bytes'] / MIB:,.1f} MiB · {row['tokens_per_s']:,}/s"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m ccf_core.training.memory_table", description=__doc__)
    parser.add_argument("--segments", nargs="+", type=positive, default=[2, 4, 8, 16, 32])
    parser.add_argument("--reservoir", nargs="+", type=positive, default=[1, 2, 4], help="encoder graphs kept alive")
    parser.add_argument("--documents", type=positive, default=4, help="documents side by side")
    parser.add_argument("--segment-length", type=positive, default=256)
    parser.add_argument("--ratio", type=int, default=8)
    parser.add_argument("--base", help="folder or hub id of the base model")
    parser.add_argument("--device", help="cpu, cuda")
    parser.add_argument("--dtype", help="bfloat16 or float32")
    parser.add_argument("--compile", action="store_true", help="compile the layers: pays only in longer runs (CUDA)")
    parser.add_argument("--out", type=Path, help="write the JSON here, and the table beside it as .md")
    args = parser.parse_args(argv)
    config = CCFConfig(segment_length=args.segment_length)
    base = load_base(args.base, device=args.device, dtype=args.dtype)
    model = TrainingModel(base.model, Adapter.zero(base.model, config), compiled=args.compile)
    if model.embedding.is_cuda:
        model.attention = flash_attention
    resident = torch.cuda.memory_allocated() if model.embedding.is_cuda else None
    rows = table(model, args.segments, args.reservoir, args.documents, args.ratio)
    told = {
        "device": device_name(model.embedding.device),
        "documents": args.documents,
        "segment_length": args.segment_length,
        "ratio": args.ratio,
        "compiled": args.compile,
        "peak": "allocated above resident" if resident is not None else "saved for backward",
        "resident_bytes": resident,
        "rows": rows,
    }
    printed = json.dumps(told, indent=2)
    print(printed)
    print(markdown(rows), file=sys.stderr)
    if args.out:
        args.out.write_text(printed + "\n", encoding="utf-8")
        args.out.with_suffix(".md").write_text(markdown(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
