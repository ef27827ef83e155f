"""The training loop: accelerate, AdamW, cosine; every batch can be drawn again from (seed, number), so a run resumes
exactly where its checkpoint was written.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, Dataset

from ccf_core.adapter import Adapter
from ccf_core.base import Base
from ccf_core.config import CCFConfig
from ccf_core.training import checkpoint
from ccf_core.training.capacity import Capacity, draw_examples
from ccf_core.training.checkpoint import Cursor
from ccf_core.training.data import TrainingData
from ccf_core.training.documents import Documents
from ccf_core.training.examples import Kind, Mix, Sampler
from ccf_core.training.model import TrainingModel
from ccf_core.training.packing import Batch, pack
from ccf_core.training.reservoir import Strategy, average_gradients, backward_documents
from ccf_core.training.validation import Validation

STRATEGIES = ("packed", *get_args(Strategy))


@dataclass(frozen=True)
class TrainingConfig:
    """One run. ``tokens_per_batch`` source tokens a process and micro-batch; ``accumulate`` micro-batches a step.

    strategy : ``packed`` draws the whole mix; the others decode texts of up to ``segments`` segments one after the
        other (``ccf_core.training.reservoir``), ``reservoir`` with so many encoder graphs alive.
    """

    steps: int = 1000
    tokens_per_batch: int = 32768
    accumulate: int = 1
    learning_rate: float = 1e-3
    warmup: int = 100
    final_learning_rate: float = 0.05
    clip: float = 1.0
    seed: int = 0
    workers: int = 4
    log_every: int = 20
    save_every: int = 500
    validate_every: int = 500
    validation_batches: int = 2
    strategy: Literal["packed", Strategy] = "packed"
    reservoir: int = 2
    segments: int = 8
    mix: Mix = field(default_factory=Mix)

    def rate(self, step: int, steps: int | None = None) -> float:
        """Learning rate at ``step`` of ``steps``: linear warm-up, then cosine down to ``final_learning_rate``."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, (steps or self.steps) - self.warmup))
        low = self.final_learning_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


class Batches(Dataset):
    """Batch number i, made from (seed, i) alone."""

    def __init__(self, data: TrainingData, config: CCFConfig, run: TrainingConfig) -> None:
        self.sampler = Sampler(data, config, run.mix)
        self.config, self.run = config, run
        self.capacities = [Capacity.for_tokens(run.tokens_per_batch, long) for long in (False, True)]
        self.notable = data.vocabulary.notable

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng((self.run.seed, number))
        every = self.run.mix.long_every
        # Eight in a row are of a kind, so that up to eight processes have a step of equal work.
        long = bool(every) and number // 8 % every == every - 1
        capacity = self.capacities[long]
        examples = draw_examples(self.sampler, capacity, rng, long)
        return pack(examples, self.config, capacity, self.run.mix, self.notable)


def train(
    base: Base,
    data: TrainingData,
    config: CCFConfig,
    run: TrainingConfig,
    folder: str | Path,
    *,
    start: Adapter | None = None,
    cursor: Cursor | None = None,
    held_out: TrainingData | None = None,
    max_seconds: float = math.inf,
    deadline: float = math.inf,
    accelerator: Accelerator | None = None,
) -> Adapter:
    """Train an adapter, from ``start`` or from zero, and write checkpoints and ``log.jsonl`` into ``folder``.

    Resumes from the checkpoint in ``folder`` if there is one; else, with a ``cursor``, goes on from there with
    ``start``, the learning rate warming up once more for the new moments. Stops early, after a checkpoint, at
    ``max_seconds``. With a ``deadline`` (seconds) the schedule itself is shortened, from the speed that is measured,
    to end there; such a run cannot be repeated exactly. With
    ``held_out`` rows ``validation.jsonl`` tells how those fare.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = accelerator or Accelerator()
    set_seed(run.seed)
    device = accelerator.device
    config = dataclasses.replace(config, base=base.fingerprint, tokenizer=base.tokenizer_fingerprint)
    adapter = start or Adapter.zero(base.model, config, run.seed)
    model = TrainingModel(base.model.to(device), adapter, compiled=device.type == "cuda")
    optimizer = torch.optim.AdamW(
        model.trainable.parameters(), lr=run.learning_rate, betas=(0.9, 0.98), weight_decay=0.0,
        fused=device.type == "cuda",
    )  # fmt: skip
    warm_from = 0
    if (folder / "state.json").exists():
        cursor = checkpoint.resume(folder, model, optimizer)
    elif cursor:
        warm_from = cursor.step
    first = cursor.step if cursor else 0
    if cursor and cursor.seed != run.seed:
        raise ValueError(f"the run to go on with was drawn from seed {cursor.seed}, not {run.seed}")
    validation = held_out and Validation(held_out, config, run.mix, run.tokens_per_batch, run.validation_batches)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    if accelerator.is_main_process:
        described = {"run": dataclasses.asdict(run), "ccf": config.as_dict()}
        (folder / "run.json").write_text(json.dumps(described, indent=2) + "\n")

    began = time.perf_counter()
    totals = torch.zeros(len(Kind), 3, device=device)
    tokens = torch.zeros((), device=device, dtype=torch.long)
    since, step, last_step = began, first, run.steps
    batches = _batches(data, config, run, first, accelerator)
    for step in range(first, run.steps):
        for group in optimizer.param_groups:
            group["lr"] = run.rate(step, last_step) * min(
                1.0, (step - warm_from + 1) / run.warmup if warm_from else 1.0
            )
        for turn in range(run.accumulate):
            drawn = next(batches)
            if run.strategy != "packed":
                number = (step * run.accumulate + turn) * accelerator.num_processes + accelerator.process_index
                rng = np.random.default_rng((run.seed, number, 1))
                segments = [batch.to(device) for batch in drawn]
                totals += backward_documents(
                    model, segments, strategy=run.strategy, reservoir=run.reservoir, draw=rng.integers
                )
                tokens += sum(batch.source_tokens for batch in segments)
                continue
            batch = drawn.to(device)
            last = turn == run.accumulate - 1
            with accelerator.no_sync(wrapped) if not last else nullcontext():
                loss, record = wrapped(batch)
                accelerator.backward(loss / run.accumulate)
            totals += record.detach()
            tokens += batch.source_tokens
        if run.strategy != "packed":
            average_gradients(model, accelerator, run.accumulate)
        norm = accelerator.clip_grad_norm_(model.trainable.parameters(), run.clip)
        optimizer.step()
        optimizer.zero_grad()
        out_of_time = False
        if (step + 1) % run.log_every == 0 or step + 1 >= last_step:
            summed, seen = accelerator.reduce(totals), accelerator.reduce(tokens)
            now = time.perf_counter()
            if accelerator.is_main_process:
                _log(folder, step + 1, summed, int(seen), now - since, float(norm), optimizer.param_groups[0]["lr"])
            # All processes have to agree on when to end.
            left = (deadline - (now - began)) * run.log_every / (now - since)
            told = torch.tensor([now - began > max_seconds, min(left, run.steps)], device=device)
            late, left = (accelerator.reduce(told) / accelerator.num_processes).tolist()
            out_of_time, last_step = late > 0, min(run.steps, step + 1 + max(0, int(left)))
            since = now
            totals.zero_()
            tokens.zero_()
        ends = step + 1 >= last_step or out_of_time
        if validation and ((step + 1) % run.validate_every == 0 or ends):
            scores = validation(model, accelerator)
            if accelerator.is_main_process:
                _append(folder / "validation.jsonl", {"step": step + 1} | scores)
        if (step + 1) % run.save_every == 0 or ends:
            if accelerator.is_main_process:
                checkpoint.save(folder, model, optimizer, Cursor(step + 1, run.seed))
            accelerator.wait_for_everyone()
        if ends:
            break
    return model.adapter()


def _batches(
    data: TrainingData, config: CCFConfig, run: TrainingConfig, first: int, accelerator: Accelerator
) -> Iterator[Any]:
    """This process's share of the batches from step ``first`` on: with n processes, every n-th.

    A Batch each, or where segments are decoded one after the other a list of them.
    """
    world, rank = accelerator.num_processes, accelerator.process_index
    numbers = range(first * run.accumulate * world + rank, run.steps * run.accumulate * world, world)
    fixed = accelerator.device.type == "cuda"  # where layers are compiled
    source: Dataset = (
        Batches(data, config, run)
        if run.strategy == "packed"
        else Documents(data, config, run.mix, run.segments, run.tokens_per_batch, run.seed, fixed=fixed)
    )
    loader = DataLoader(
        source, sampler=numbers, batch_size=None, num_workers=run.workers,
        pin_memory=accelerator.device.type == "cuda", prefetch_factor=4 if run.workers else None,
    )  # fmt: skip
    return iter(loader)


def _log(folder: Path, step: int, totals: torch.Tensor, tokens: int, seconds: float, norm: float, rate: float) -> None:
    row: dict[str, float | int] = {"step": step, "tokens": tokens, "tokens_per_s": round(tokens / seconds)}
    row |= {"lr": rate, "grad_norm": round(norm, 4)}
    for kind in Kind:
        nats, hits, count = totals[kind].tolist()
        if count:
            row |= {
                f"{kind.name.lower()}_nats": round(nats / count, 4),
                f"{kind.name.lower()}_acc": round(hits / count, 4),
            }
    _append(folder / "log.jsonl", row)


def _append(path: Path, row: dict) -> None:
    with path.open("a") as log:
        log.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
