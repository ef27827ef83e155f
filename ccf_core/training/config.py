"""The settings of one training run, and its learning-rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from ccf_core.errors import TrainingError
from ccf_core.training.data.examples import Mix
from ccf_core.training.reservoir import Strategy

STRATEGIES = ("packed", *get_args(Strategy))
#: Parts of an adapter.
SIDES = ("encoder", "decoder", "repeat")
_COUNTS = (
    "steps", "tokens_per_batch", "accumulate", "log_every", "save_every", "validate_every", "validation_batches",
    "reservoir", "segments",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig:
    """One run. ``tokens_per_batch`` source tokens a process and micro-batch; ``accumulate`` micro-batches a step.

    train : the parts of the adapter that learn; decoder_rate : learning rate of the decoder's own LoRA, relative to
        the others'.
    strategy : ``packed`` draws the whole mix; the others decode texts of up to ``segments`` segments one after the
        other (``ccf_core.training.reservoir``), ``reservoir`` with so many encoder graphs alive.

    Raises TrainingError for numbers that no run can have.
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
    train: tuple[str, ...] = SIDES
    decoder_rate: float = 1.0
    strategy: Literal["packed", Strategy] = "packed"
    reservoir: int = 2
    segments: int = 8
    mix: Mix = field(default_factory=Mix)

    def __post_init__(self) -> None:
        least = dict.fromkeys(_COUNTS, 1) | dict.fromkeys(("warmup", "seed", "workers", "decoder_rate"), 0)
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise TrainingError(f"--{name.replace('_', '-')} must be {low} or more, not {getattr(self, name)}.")
        if self.strategy not in STRATEGIES or not self.train or not set(self.train) <= set(SIDES):
            raise TrainingError(
                f"--strategy must be one of {', '.join(STRATEGIES)}, and --train some of {', '.join(SIDES)}."
            )
        if not 0 < self.learning_rate < math.inf:
            raise TrainingError(f"--learning-rate must be a number above 0, not {self.learning_rate}.")

    def rate(self, step: int, steps: int | None = None) -> float:
        """Set the learning rate at ``step`` of ``steps``: linear warm-up, then cosine to ``final_learning_rate``."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, (steps or self.steps) - self.warmup))
        low = self.final_learning_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))
