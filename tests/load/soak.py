"""``python -m tests.load.soak``: a thousand small documents in one library, and whether its sizes are as predicted.

The model is a random one whose memories are as large as those of the default base (30 layers, 3 heads of 64 numbers).
Prints the figures as JSON; ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.workbench import Workbench
from ccf_core import KVMemory
from tests.load.visitor import WORDS
from tests.peak_memory import tiny

OPENINGS = 9
#: By how much the predictions may be off: of the memories' bytes, and of the whole file.
TOLERANCE, FILE_TOLERANCE = 0.02, 0.10
RECALLED = 20


def soak(settings: Settings, texts: Sequence[str]) -> dict[str, Any]:
    """Figures of a library of these texts, whose folder must be empty; sizes are bytes, times are seconds."""
    empty_s = _opening(settings)
    with Workbench(settings) as workbench:
        before = workbench.library.stats().file_bytes
        started = time.perf_counter()
        # The first ones are read at once, so that none has been used for longer.
        done = [workbench.intake.ingest_text(text) for text in texts[:RECALLED]]
        finest = workbench.model.ratios[0]
        memories = {sha: workbench.memories.recall(sha, finest).memory for sha in [one.document.sha256 for one in done]}
        done += [workbench.intake.ingest_text(text) for text in texts[RECALLED:]]
        ingest_s = time.perf_counter() - started
        slots = sum(one.slots[finest] for one in done)
        predicted = slots * slot_bytes(next(iter(memories.values())))
        text_bytes = sum(one.document.text_bytes for one in done)
        workbench.store.vacuum()
        full = workbench.library.stats()
    full_s = _opening(settings)
    cap = full.memory_bytes // 2
    with Workbench(replace(settings, memory_cap_bytes=cap)) as workbench:
        workbench.intake.ingest_text(texts[0] + " One more.")
        highest, compressed, alike = workbench.library.stats().memory_bytes, 0, 0
        for sha, memory in memories.items():
            recalled = workbench.memories.recall(sha, finest)
            compressed += any("compressed now" in note for note in recalled.notes)
            alike += _same(recalled.memory, memory)
            highest = max(highest, workbench.library.stats().memory_bytes)
        evicted = workbench.library.stats()
        workbench.store.vacuum()
        vacuumed = workbench.library.stats()
        documents = len(workbench.library.documents())
    return {
        "documents": full.documents,
        "slots": slots,
        "texts": text_bytes,
        "memories predicted": predicted,
        "memories": full.memory_bytes,
        "file predicted": before + predicted + text_bytes,
        "file": full.file_bytes,
        "seconds a document": ingest_s / len(texts),
        "opening, empty": empty_s,
        "opening, full": full_s,
        "cap": cap,
        "memories under the cap, at most": highest,
        "recalled": len(memories),
        "recalled, had been evicted": compressed,
        "recalled, every bit as before": alike,
        "documents after eviction": documents,
        "file before VACUUM": evicted.file_bytes,
        "file after VACUUM": vacuumed.file_bytes,
        "file after VACUUM predicted": before + vacuumed.memory_bytes + text_bytes,
    }


def broken(found: dict[str, Any]) -> list[str]:
    promises = {
        "memories take slots x bytes": _near(found["memories"], found["memories predicted"], TOLERANCE),
        "the file takes memories and texts": _near(found["file"], found["file predicted"], FILE_TOLERANCE),
        "the cap is respected": found["memories under the cap, at most"] <= found["cap"],
        "only memories are evicted": found["documents after eviction"] == found["documents"] + 1,
        "what was evicted is made again": found["recalled, had been evicted"] > 0
        and found["recalled, every bit as before"] == found["recalled"],
        "VACUUM gives the space back": _near(
            found["file after VACUUM"], found["file after VACUUM predicted"], FILE_TOLERANCE
        ),
    }
    return [promise for promise, held in promises.items() if not held]


def slot_bytes(memory: KVMemory) -> int:
    """Of an int8 slot: a key and a value for each layer and head, each of head_dim codes and a scale of two bytes."""
    header = memory.header
    return header.layers * header.kv_heads * 2 * (header.head_dim + 2)


def small_texts(count: int) -> list[str]:
    chance = random.Random(0)
    return [f"Log {i}. " + " ".join(chance.choices(WORDS, k=chance.randint(60, 180))) + "." for i in range(count)]


def _opening(settings: Settings) -> float:
    """Median seconds to open the library and close it again."""
    seconds = []
    for _ in range(OPENINGS):
        started = time.perf_counter()
        with Workbench(settings):
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _same(one: KVMemory, other: KVMemory) -> bool:
    return all(
        tensor.equal(b[level].tensors()[name])
        for a, b in zip(one.blocks, other.blocks, strict=True)
        for level in a
        for name, tensor in a[level].tensors().items()
    )


def _near(found: float, predicted: float, tolerance: float) -> bool:
    return abs(found - predicted) <= tolerance * predicted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.soak", description=__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccf-soak-") as made:
        folder = Path(made)
        shape = {
            "hidden_size": 96,
            "num_hidden_layers": 30,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": 64,
        }
        found = soak(
            tiny(replace(Settings.from_env({}), data_dir=folder / "data"), folder, **shape), small_texts(args.documents)
        )
    failed = broken(found)
    print(json.dumps(found | {"broken": failed}, indent=2))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
