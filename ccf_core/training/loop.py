"""The training loop: accelerate, AdamW, cosine; every batch can be drawn again from (seed, number), so a run resumes
exactly where its checkpoint was written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, Dataset

from ccf_core.base.load import Base
from ccf_core.cli import report
from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from ccf_core.training import checkpoint
from ccf_core.training.checkpoint import Cursor
from ccf_core.training.checks import beginning
from ccf_core.training.config import TrainingConfig
from ccf_core.training.data.batch_size import Capacity
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.examples import Kind
from ccf_core.training.data.long_documents import Documents
from ccf_core.training.data.packing import Batches
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.log import RunLog, describe
from ccf_core.training.model import TrainingModel
from ccf_core.training.reservoir import average_gradients, backward_documents
from ccf_core.training.validation import Validation, means


def train(
    base: Base,
    data: TrainingData,
    config: CCFConfig,
    run: TrainingConfig,
    folder: str | Path,
    *,
    start: Adapter | None = None,
    reader: Adapter | None = None,
    cursor: Cursor | None = None,
    held_out: TrainingData | None = None,
    max_seconds: float = math.inf,
    deadline: float = math.inf,
    accelerator: Accelerator | None = None,
    allow_other_base: bool = False,
) -> Adapter:
    """Train an adapter, from ``start`` or from zero, and write checkpoints and ``log.jsonl`` into ``folder``.

    With ``mix.reader`` the decoder of the adapter ``reader`` teaches, and stays as it is. What ``start`` was trained
    on, if on another base with ``allow_other_base``, stands in ``run.json``.

    Resumes from the checkpoint in ``folder`` if there is one; else, with a ``cursor``, goes on at its step from the
    adapter ``start``, the learning rate warming up once more for the new moments. Stops early, after a checkpoint, at
    ``max_seconds``. With a ``deadline`` (seconds) the schedule is shortened by the measured speed to end there; such a
    run cannot be repeated exactly. The scores of ``held_out`` rows go into ``validation.jsonl``.

    Raises TrainingError for what cannot be trained or gone on with as asked, PackedOnly for a strategy that takes
    neither a reader nor a LoRA for repeating, AdapterError for an adapter of another shape.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = accelerator or Accelerator()
    set_seed(run.seed)
    device = accelerator.device
    begins = beginning(
        base, config, run, folder, start=start, reader=reader, cursor=cursor, allow_other_base=allow_other_base
    )
    config, first = begins.config, begins.first
    adapter = Adapter(config, start.tensors) if start else Adapter.zero(base.model, config, run.seed)
    model = TrainingModel(
        base.model.to(device), adapter, compiled=device.type == "cuda", reader=reader if run.mix.reader else None,
        sides=run.train, match=run.mix.match,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        _groups(model, run), lr=run.learning_rate, betas=(0.9, 0.98), weight_decay=0.0,
        fused=device.type == "cuda",
    )  # fmt: skip
    if begins.resumed:
        checkpoint.resume(folder, model, optimizer)
    warm_from = 0 if begins.resumed else first
    validation = None
    if held_out:
        # Layers are compiled for the shape of the run's own batches, where those are packed.
        shaping = data if run.strategy == "packed" else held_out
        capacity = Capacity.measured(Sampler(shaping, config, run.mix), run.tokens_per_batch)
        validation = Validation(held_out, config, run.mix, capacity, run.validation_batches)
    batches = _batches(data, config, run, first, accelerator)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    log = RunLog(folder, first, run) if accelerator.is_main_process else None
    if log:
        describe(folder, run, config, start, resumed=begins.resumed)
        if first >= run.steps:
            report(f"Nothing is left to do: the run is at step {first:,} of {run.steps:,}.")

    began = time.perf_counter()
    totals = torch.zeros(len(Kind), 3, device=device)
    tokens = torch.zeros((), device=device, dtype=torch.long)
    since, since_step, last_step = began, first, run.steps
    for step in range(first, run.steps):
        for group in optimizer.param_groups:
            warmed = min(1.0, (step - warm_from + 1) / max(1, run.warmup) if warm_from else 1.0)
            group["lr"] = run.rate(step, last_step) * warmed * group["relative"]
        for record, source in _backward(model, wrapped, batches, run, step, accelerator):
            totals += record
            tokens += source
        norm = accelerator.clip_grad_norm_(model.trainable.parameters(), run.clip)
        optimizer.step()
        optimizer.zero_grad()
        out_of_time = False
        if (step + 1) % run.log_every == 0 or step + 1 >= last_step:
            summed, seen = accelerator.reduce(totals), accelerator.reduce(tokens)
            now = time.perf_counter()
            pace = (now - since) / (step + 1 - since_step)  # seconds a step
            if log:
                row = {
                    "step": step + 1,
                    "tokens": int(seen),
                    "tokens_per_s": round(int(seen) / (now - since)),
                    "lr": optimizer.param_groups[0]["lr"],
                    "grad_norm": round(float(norm), 4),
                }
                log.trained(row | means(summed), min((last_step - step - 1) * pace, began + max_seconds - now))
            # All processes have to agree on when to end.
            left = (deadline - (now - began)) / pace
            told = torch.tensor([now - began > max_seconds, min(left, run.steps)], device=device)
            late, left = (accelerator.reduce(told) / accelerator.num_processes).tolist()
            out_of_time, last_step = late > 0, min(run.steps, step + 1 + max(0, int(left)))
            since, since_step = now, step + 1
            totals.zero_()
            tokens.zero_()
        ends = step + 1 >= last_step or out_of_time
        if validation and ((step + 1) % run.validate_every == 0 or ends):
            scores = validation(model, accelerator)
            if log:
                log.validated({"step": step + 1} | scores)
        if (step + 1) % run.save_every == 0 or ends:
            if accelerator.is_main_process:
                checkpoint.save(folder, model, optimizer, Cursor(step + 1, run.seed))
            accelerator.wait_for_everyone()
        if log and ends:
            log.end()
            if step + 1 < run.steps:
                why = "as --max-seconds says; the same command goes on from there" if out_of_time else "for --deadline"
                report(f"Stopped after step {step + 1:,} of {run.steps:,}, {why}.")
        if ends:
            break
    return model.adapter()


def _backward(
    model: TrainingModel, wrapped: torch.nn.Module, batches: Iterator[Any], run: TrainingConfig, step: int,
    accelerator: Accelerator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """Add up the gradients of a step, and yield the record (kinds, 3) and the source tokens of each micro-batch."""
    for turn in range(run.accumulate):
        drawn = next(batches)
        if run.strategy == "packed":
            batch = drawn.to(accelerator.device)
            last = turn == run.accumulate - 1
            with accelerator.no_sync(wrapped) if not last else nullcontext():
                loss, record = wrapped(batch)
                accelerator.backward(loss / run.accumulate)
            yield record.detach(), batch.source_tokens
        else:
            number = (step * run.accumulate + turn) * accelerator.num_processes + accelerator.process_index
            draw = np.random.default_rng((run.seed, number, 1)).integers
            segments = [batch.to(accelerator.device) for batch in drawn]
            record = backward_documents(model, segments, strategy=run.strategy, reservoir=run.reservoir, draw=draw)
            yield record, torch.stack([batch.source_tokens for batch in segments]).sum()
    if run.strategy != "packed":
        average_gradients(model, accelerator, run.accumulate)


def _groups(model: TrainingModel, run: TrainingConfig) -> list[dict[str, Any]]:
    """List the parameters that learn, by learning rate relative to the run's."""
    learning = [(name, p) for name, p in model.trainable.items() if p.requires_grad]
    slow = [p for name, p in learning if name.startswith("decoder__")]
    rest = [p for name, p in learning if not name.startswith("decoder__")]
    both = ((rest, 1.0), (slow, run.decoder_rate))
    return [{"params": params, "relative": relative} for params, relative in both if params]


def _batches(
    data: TrainingData, config: CCFConfig, run: TrainingConfig, first: int, accelerator: Accelerator
) -> Iterator[Any]:
    """Iterate over this process's share of the batches from step ``first`` on: with n processes, every n-th.

    A Batch each, or where segments are decoded one after the other a list of them.
    """
    world, rank = accelerator.num_processes, accelerator.process_index
    numbers = range(first * run.accumulate * world + rank, run.steps * run.accumulate * world, world)
    fixed = accelerator.device.type == "cuda"  # where layers are compiled
    source: Dataset = (
        Batches(data, config, run.mix, run.tokens_per_batch, run.seed)
        if run.strategy == "packed"
        else Documents(data, config, run.mix, run.segments, run.tokens_per_batch, run.seed, fixed=fixed)
    )
    loader = DataLoader(
        source, sampler=numbers, batch_size=None, num_workers=run.workers,
        pin_memory=accelerator.device.type == "cuda", prefetch_factor=4 if run.workers else None,
    )  # fmt: skip
    return iter(loader)
