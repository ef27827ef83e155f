"""``python -m experiments.strategy_table``: what each strategy has learnt from equally many source tokens.

Every strategy is a ``python -m ccf_core train`` of its own, from the same adapter over the same documents in the same
order, side by side on one device. Held-out texts are scored by ``ccf_core.training.validation``: segments
reconstructed, and continued from the slots of all earlier ones. The table is made at the last step that all have
reached, and again whenever that moves on; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from ccf_core.base.load import Base, load_base
from ccf_core.cli import CommandParser, positive, report
from ccf_core.device import device_name
from ccf_core.digests import sha256_of
from ccf_core.errors import CCFError
from ccf_core.model.adapter import Adapter
from ccf_core.rows import read_rows
from ccf_core.training.data.batch_size import Capacity
from ccf_core.training.data.dataset import Ragged, TrainingData, tokenize_rows
from ccf_core.training.data.examples import LONGEST, Mix
from ccf_core.training.data.long_documents import ShortTexts
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.model import TrainingModel
from ccf_core.training.validation import Validation
from experiments.memory_table import write_whole


class OtherRun(CCFError):
    """The folder holds runs with other settings."""


class RunFailed(CCFError):
    """The training of a strategy ended with an error."""


def task(segments: int, segment_length: int) -> Mix:
    """Nothing but what the strategies train: each segment reconstructed, and continued from all earlier ones."""
    longest = 4 * (LONGEST[0] - segment_length)  # at the finest ratio a validation sequence holds no more
    return Mix(
        window=min(segments * segment_length, longest), long_every=0, reconstructed=segments, continue_share=1,
        continuations=min(7, segments - 1), cloze_share=0, fact_share=0, question_share=0, raw_share=0, full_share=0,
        distil_share=0,
        distil_text=0,
    )  # fmt: skip


def long_texts(path: Path, base: Base, tokens: int) -> TrainingData:
    """Read texts of ``tokens`` or more, from JSON lines or a ``--tokens`` file. Raises ShortTexts without any."""
    data = (
        TrainingData.load(path)
        if path.suffix == ".npz"
        else tokenize_rows(read_rows(path), [], base.tokenizer, end_token=base.tokenizer.eos_token_id)
    )
    kept = [data.texts[i] for i in (data.texts.lengths() >= tokens).nonzero()[0].tolist()]
    if not kept:
        raise ShortTexts(f"{path.name} has no text of {tokens} tokens: give longer texts or fewer --segments.")
    return dataclasses.replace(data, texts=Ragged(np.concatenate(kept), np.cumsum([0, *map(len, kept)])))


def options(values: dict[str, Any]) -> list[str]:
    """Turn {"tokens_per_batch": 512} into ["--tokens-per-batch", "512"]; what is None is left out."""
    found = []
    for name, value in values.items():
        many = value if isinstance(value, tuple) else (value,)
        found += [f"--{name.replace('_', '-')}", *map(str, many)] if value is not None else []
    return found


def score(
    base: Base, adapter: Adapter, held_out: TrainingData, mix: Mix, tokens: int, batches: int
) -> dict[str, float]:
    """Validation of the adapter that all start from."""
    device = base.model.device
    model = TrainingModel(base.model, adapter, compiled=False).to(device)
    capacity = Capacity.measured(Sampler(held_out, adapter.config, mix), tokens)
    validation = Validation(held_out, adapter.config, mix, capacity, batches)
    with torch.no_grad():
        return validation(model, Accelerator(cpu=device.type == "cpu"))


def rows_of(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """List each run's source tokens and scores at the last step that all have validated; none before there is one."""
    if not names:
        return []
    scored, seen = ({name: _by_step(folder / name / f"{log}.jsonl") for name in names} for log in ("validation", "log"))
    common = set.intersection(*(set(scored[name]) & set(seen[name]) for name in names))
    if not common:
        return []
    last = max(common)
    return [
        {"strategy": name, "source_tokens": sum(row["tokens"] for step, row in seen[name].items() if step <= last)}
        | scored[name][last]
        for name in names
    ]


def _by_step(log: Path) -> dict[int, dict[str, Any]]:
    # The last line may still be being written.
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    return {row["step"]: row for row in map(json.loads, lines)}


def markdown(rows: list[dict[str, Any]]) -> str:
    """Held-out nats a token, strategies down, ratios across."""
    names = [f"{kind}_nats_" for kind in ("reconstruct", "continue")]
    names = [name for kind in names for name in rows[0] if name.startswith(kind)]
    head = ["strategy", "source tokens", *(f"{n.split('_')[0]} {n.rsplit('_', 1)[1]}x" for n in names)]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append([row["strategy"], f"{row['source_tokens']:,}", *(f"{row[name]:.4f}" for name in names)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = CommandParser(prog="python -m experiments.strategy_table", description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help='JSON lines with "text", or a file of train --tokens')
    parser.add_argument("--held-out", type=Path, required=True, help="likewise, to validate on")
    parser.add_argument("--start", type=Path, required=True, help="adapter folder that every strategy starts from")
    parser.add_argument("--out", type=Path, required=True, help="folder for runs, strategies.json and strategies.md")
    parser.add_argument("--source-tokens", type=positive, default=1_000_000, help="to train on, about")
    parser.add_argument("--segments", type=positive, default=8)
    parser.add_argument("--reservoir", nargs="+", type=positive, default=[1, 2, 4])
    parser.add_argument("--documents", type=positive, default=4, help="documents side by side, 2 or more")
    parser.add_argument("--checks", type=positive, default=4, help="validations, at equal steps")
    parser.add_argument("--validation-batches", type=positive, default=4, help="for each ratio")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--warmup", type=positive, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--at-once", type=positive, help="runs side by side (all)")
    parser.add_argument("--max-seconds", type=float, help="stop every run after so long")
    parser.add_argument("--base", help="folder or hub id of the base model")
    parser.add_argument("--device", help="cpu, cuda")
    parser.add_argument("--dtype", help="bfloat16 or float32")
    args = parser.parse_args(argv)
    if args.segments < 2 or args.documents < 2:
        parser.error("give --segments and --documents of 2 or more")
    return args


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, validate and write the table; RunFailed, OtherRun or ShortTexts for what the caller can mend."""
    base, start = load_base(args.base, device=args.device, dtype=args.dtype), Adapter.load(args.start)
    length, device = start.config.segment_length, base.model.device
    whole = args.segments * length
    every = max(1, round(args.source_tokens / (args.documents * whole * args.checks)))
    mix = task(args.segments, length)
    shared = {
        "segments": args.segments, "tokens_per_batch": args.documents * whole, "steps": every * args.checks,
        "log_every": every, "validate_every": every, "save_every": every, "learning_rate": args.learning_rate,
        "warmup": args.warmup, "seed": args.seed, "validation_batches": args.validation_batches,
    } | {f"mix_{name}": value for name, value in vars(mix).items() if name != "reader"}  # fmt: skip
    told = {
        "start": start.fingerprint,
        "device": device_name(device),
        "dtype": str(base.model.dtype).removeprefix("torch."),
        "text": sha256_of(args.text),
        "held_out": sha256_of(args.held_out),
        **shared,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    settings, printed = args.out / "settings.json", json.dumps(told, indent=2)
    if settings.exists() and settings.read_text(encoding="utf-8") != printed + "\n":
        raise OtherRun(f"{args.out.name} holds runs with other settings: give another --out.")
    write_whole(settings, printed)
    held_out = long_texts(args.held_out, base, whole)
    held_out.save(args.out / "held-out.npz")
    long_texts(args.text, base, whole).save(args.out / "texts.npz")
    files = {"tokens": args.out / "texts.npz", "held_out": args.out / "held-out.npz", "start": args.start}
    machine = {
        "base": args.base, "device": device.type, "dtype": args.dtype, "workers": args.workers,
        "max_seconds": args.max_seconds,
    }  # fmt: skip
    kinds = {"full": ("full", None), "incremental": ("incremental", None)}
    kinds |= {f"reservoir-{size}": ("reservoir", size) for size in args.reservoir}
    commands = {
        name: [
            sys.executable, "-m", "ccf_core", "train", "--yes",
            *options(shared | files | machine | {"strategy": strategy, "reservoir": size, "out": args.out / name}),
        ]
        for name, (strategy, size) in kinds.items()
    }  # fmt: skip

    failed: list[str] = []
    at_start = {"strategy": "start", "source_tokens": 0, "step": 0}
    at_start |= score(base, start, held_out, mix, args.documents * whole, args.validation_batches)
    del base
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()  # the device is for the runs now

    def write() -> dict[str, Any]:
        result = told | {"rows": [at_start, *rows_of(args.out, [name for name in commands if name not in failed])]}
        write_whole(args.out / "strategies.json", json.dumps(result, indent=2))
        write_whole(args.out / "strategies.md", markdown(result["rows"]))
        return result

    running: dict[str, subprocess.Popen] = {}
    waiting = list(commands)
    try:
        while running or waiting:
            while waiting and len(running) < (args.at_once or len(commands)):
                name = waiting.pop(0)
                with (args.out / f"{name}.log").open("ab") as log:
                    running[name] = subprocess.Popen(commands[name], stdout=log, stderr=subprocess.STDOUT)
            time.sleep(1)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                report(f"{name}: {'done' if not code else f'failed with {code}'}")
                failed += [name] if code else []
            write()
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    if failed:
        first = next(name for name in commands if name in failed)
        raise RunFailed(f"{first} ended with an error: see {first}.log in {args.out.name}.")
    return write()


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the runs are ended too
    try:
        result = run(args)
    except CCFError as error:
        report(str(error))
        return 2
    print(json.dumps(result, indent=2))
    report(markdown(result["rows"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
