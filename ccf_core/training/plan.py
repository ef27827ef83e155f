"""Estimate what a training run will take, before it begins: parameters, tokens, memory and time.

The time is counted, not tried: the operations of all steps by the rate of matrix products that this device was just
measured at, and by the share of that rate which training has been measured to reach (docs/training.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ccf_core.base.load import Base
from ccf_core.base.spec import StackSpec
from ccf_core.cli import duration
from ccf_core.config import CCFConfig
from ccf_core.device import device_name
from ccf_core.model.layers import embedding_table, layer_weights
from ccf_core.training.config import TrainingConfig
from ccf_core.training.data.batch_size import Capacity
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.packing import Batches
from ccf_core.training.losses import CHUNK

#: Share of the rate of square matrix products that a training step reaches in its layers and output head.
SHARE = {"cuda": 0.35, "cpu": 0.5, "mps": 0.3}


@dataclass(frozen=True)
class Size:
    """What goes through the model in a batch: tokens through its layers, those without gradients (of a frozen reader)
    apart, targets, and tokens of text that this stands for; share of examples that fit."""

    tokens: float
    frozen: float
    targets: float
    source: float
    fitting: float = 1.0

    @classmethod
    def of(cls, capacity: Capacity, source: int, fitting: float) -> Size:
        tokens = capacity.encoder + capacity.read + capacity.repeat
        return cls(tokens, capacity.teacher, capacity.taught + capacity.targets, source, fitting)


@dataclass(frozen=True)
class Plan:
    """``trained`` of ``parameters`` learn from ``tokens`` tokens of text in ``steps`` steps; ``bytes`` of memory at the
    peak of a process and ``seconds`` are estimates. ``rate``: measured FLOP/s of matrix products on ``device``.
    ``left_out``: share of examples, of the ordinary or long batch with more of them, that are larger than a batch.
    ``room``: bytes that a GPU has in all, infinity elsewhere."""

    steps: int
    trained: int
    parameters: int
    tokens: int
    bytes: int
    seconds: float
    rate: float
    device: str
    left_out: float
    room: float

    @classmethod
    def of(
        cls, base: Base, data: TrainingData, config: CCFConfig, run: TrainingConfig, *, steps: int, processes: int = 1
    ) -> Plan:
        """Count what ``steps`` steps of a run take on each of ``processes`` devices like the base's."""
        sizes = _sizes(data, config, run)
        place = base.model.device
        rate = matrix_rate(place, base.model.dtype)
        often = [1.0] if len(sizes) == 1 else [1 - 1 / run.mix.long_every, 1 / run.mix.long_every]
        per_batch = sum(share * _operations(base, size) for share, size in zip(often, sizes, strict=True))
        source = sum(share * size.source for share, size in zip(often, sizes, strict=True))
        batches = steps * run.accumulate
        return cls(
            steps=steps,
            trained=trained_parameters(base, config, run),
            parameters=sum(p.numel() for p in base.model.parameters()),
            tokens=round(source * batches * processes),
            bytes=max(_bytes(base, config, run, size) for size in sizes),
            seconds=per_batch * batches / (rate * SHARE.get(place.type, min(SHARE.values()))),
            rate=rate,
            device=device_name(place),
            left_out=max(1 - size.fitting for size in sizes),
            room=torch.cuda.mem_get_info(place)[1] if place.type == "cuda" else math.inf,
        )

    def __str__(self) -> str:
        more = ""
        if self.left_out > 0.1:
            more += f" {self.left_out:.0%} of examples are larger than a batch and left out."
        if self.bytes > self.room:
            more += " That is more memory than the device has: give a smaller --tokens-per-batch."
        return (
            f"{_millions(self.trained)} parameters are trained, beside {_millions(self.parameters)} of the base, on "
            f"{_millions(self.tokens)} tokens in {self.steps:,} steps: about {duration(self.seconds)} and "
            f"{self.bytes / 2**30:,.1f} GiB of memory on {self.device}, which multiplies matrices at "
            f"{self.rate / 1e12:,.2f} TFLOP/s.{more}"
        )


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M" if count >= 1e6 else f"{count:,}"


def trained_parameters(base: Base, config: CCFConfig, run: TrainingConfig) -> int:
    """Count the numbers of an adapter that learn."""
    layers = layer_weights(base.model)
    wide = sum(sum(layers[0][f"{target}.weight"].shape) for target in config.targets) * len(layers)
    hidden = embedding_table(base.model).shape[1]
    pairs = sum(rank * wide for side, rank in config.ranks.items() if side in run.train)
    levels = len(config.ratios) * hidden * ("encoder" in run.train and config.compressor != "mean_pool")
    return pairs + levels + hidden * bool({"decoder", "repeat"} & set(run.train))


def matrix_rate(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> float:
    """Measure the FLOP/s of products of square matrices."""
    size = 8192 if device.type == "cuda" else 512
    a = torch.randn(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        for _ in range(10):
            a @ a

    multiply()
    return 20 * size**3 / seconds_of(multiply, device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Time a piece of work to its end on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _sizes(data: TrainingData, config: CCFConfig, run: TrainingConfig) -> list[Size]:
    if run.strategy == "packed":
        batches = Batches(data, config, run.mix, run.tokens_per_batch, run.seed)
        both = zip(batches.capacities, batches.fitting, strict=True)
        return [Size.of(capacity, run.tokens_per_batch, share) for capacity, share in both]
    # Every segment is encoded with its slots, reconstructed, and but for the first one continued.
    source = max(1, run.tokens_per_batch // (run.segments * config.segment_length)) * run.segments
    source *= config.segment_length
    return [Size(source * (3 + 1 / config.finest), 0, 2 * source, source)]


def _operations(base: Base, size: Size) -> float:
    """Count multiplications and additions: 6 a weight and token in the layers (2 without gradients), 4 a weight and
    target in the frozen head. Attention, merging and what is elementwise are left out, as they are in ``SHARE``."""
    layers = sum(w.numel() for layer in layer_weights(base.model) for w in layer.values() if w.ndim == 2)
    head = base.model.get_output_embeddings().weight.numel()
    return layers * (6 * size.tokens + 2 * size.frozen) + head * 4 * size.targets


def _bytes(base: Base, config: CCFConfig, run: TrainingConfig, size: Size) -> int:
    """Estimate the peak: the base; the weights that a LoRA changes, once more in one piece, and for each side merged
    and, if it learns, their gradients; the trained numbers in float32 with gradient and two moments; what the layers
    keep of every token; and logits in float32 while one chunk of targets is scored."""
    layers = layer_weights(base.model)
    width = base.model.dtype.itemsize
    changed = sum(layers[0][f"{target}.weight"].numel() for target in config.targets) * len(layers) * width
    copies = 1 + sum(2 if side in run.train else 1 for side in config.ranks) + run.mix.reader
    spec, hidden = StackSpec.of(base.model), embedding_table(base.model).shape[1]
    inner = layers[0]["gate_proj.weight"].shape[0]
    kept = 4 * hidden + 2 * spec.head_dim * (spec.heads + 2 * spec.kv_heads) + 4 * inner
    logits = min(size.targets, CHUNK) * base.model.get_output_embeddings().weight.shape[0] * 4 * 4
    return int(
        sum(p.nbytes for p in base.model.parameters())
        + copies * changed
        + 16 * trained_parameters(base, config, run)
        + size.tokens * len(layers) * kept * width
        + logits
    )
