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

from ccf_core.base.load import Base
from ccf_core.config import CCFConfig
from ccf_core.errors import CCFError
from ccf_core.model.adapter import Adapter
from ccf_core.training import checkpoint
from ccf_core.training.checkpoint import Cursor
from ccf_core.training.data.batch_size import Capacity
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.examples import Kind, Mix
from ccf_core.training.data.long_documents import Documents
from ccf_core.training.data.packing import Batches
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.model import TrainingModel
from ccf_core.training.reservoir import Strategy, average_gradients, backward_documents
from ccf_core.training.validation import Validation, means

STRATEGIES = ("packed", *get_args(Strategy))


class PackedOnly(CCFError):
    """The strategy can train neither with a reader nor with a LoRA for repeating."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run. ``tokens_per_batch`` source tokens a process and micro-batch; ``accumulate`` micro-batches a step.

    train : the parts of the adapter that learn; decoder_rate : learning rate of the decoder's own LoRA, relative to
        the others'.
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
    train: tuple[str, ...] = ("encoder", "decoder", "repeat")
    decoder_rate: float = 1.0
    strategy: Literal["packed", Strategy] = "packed"
    reservoir: int = 2
    segments: int = 8
    mix: Mix = field(default_factory=Mix)

    def rate(self, step: int, steps: int | None = None) -> float:
        """Set the learning rate at ``step`` of ``steps``: linear warm-up, then cosine to ``final_learning_rate``."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, (steps or self.steps) - self.warmup))
        low = self.final_learning_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


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
) -> Adapter:
    """Train an adapter, from ``start`` or from zero, and write checkpoints and ``log.jsonl`` into ``folder``.

    With ``mix.reader`` the decoder of the adapter ``reader`` teaches, and stays as it is. Raises PackedOnly for a
    strategy that takes neither a reader nor a LoRA for repeating.

    Resumes from the checkpoint in ``folder`` if there is one; else, with a ``cursor``, goes on at its step from the
    adapter ``start``, the learning rate warming up once more for the new moments. Stops early, after a checkpoint, at
    ``max_seconds``. With a ``deadline`` (seconds) the schedule is shortened by the measured speed to end there; such a
    run cannot be repeated exactly. The scores of ``held_out`` rows go into ``validation.jsonl``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = accelerator or Accelerator()
    set_seed(run.seed)
    device = accelerator.device
    config = dataclasses.replace(config, base=base.fingerprint, tokenizer=base.tokenizer_fingerprint)
    adapter = start or Adapter.zero(base.model, config, run.seed)
    if run.mix.reader and reader is None:
        raise ValueError("mix.reader needs the adapter of a reader")
    if run.strategy != "packed" and (run.mix.reader or config.repeat_rank):
        raise PackedOnly(
            "--reader and --repeat-rank work with --strategy packed alone: choose that, or leave them out."
        )
    model = TrainingModel(
        base.model.to(device), adapter, compiled=device.type == "cuda", reader=reader if run.mix.reader else None,
        sides=run.train, match=run.mix.match,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        _groups(model, run), lr=run.learning_rate, betas=(0.9, 0.98), weight_decay=0.0,
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
    validation = None
    if held_out:
        # Layers are compiled for the shape of the run's own batches, where those are packed.
        shaping = data if run.strategy == "packed" else held_out
        capacity = Capacity.measured(Sampler(shaping, config, run.mix), run.tokens_per_batch)
        validation = Validation(held_out, config, run.mix, capacity, run.validation_batches)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    if accelerator.is_main_process:
        described = {"run": dataclasses.asdict(run), "ccf": config.as_dict()}
        (folder / "run.json").write_text(json.dumps(described, indent=2) + "\n")

    began = time.perf_counter()
    totals = torch.zeros(len(Kind), 3, device=device)
    tokens = torch.zeros((), device=device, dtype=torch.long)
    since, last_step = began, run.steps
    batches = _batches(data, config, run, first, accelerator)
    for step in range(first, run.steps):
        for group in optimizer.param_groups:
            warmed = min(1.0, (step - warm_from + 1) / run.warmup if warm_from else 1.0)
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


def _log(folder: Path, step: int, totals: torch.Tensor, tokens: int, seconds: float, norm: float, rate: float) -> None:
    row: dict[str, float | int] = {"step": step, "tokens": tokens, "tokens_per_s": round(tokens / seconds)}
    row |= {"lr": rate, "grad_norm": round(norm, 4)}
    _append(folder / "log.jsonl", row | means(totals))


def _append(path: Path, row: dict) -> None:
    with path.open("a") as log:
        log.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
