"""Held-out nats and accuracies of a model under training, each ratio by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from accelerate import Accelerator

from ccf_core.config import CCFConfig
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.batch_size import Capacity, draw_examples
from ccf_core.training.data.dataset import TrainingData
from ccf_core.training.data.examples import Kind, Mix
from ccf_core.training.data.packing import pack
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.model import TrainingModel

SEED = 2_000_003


class Validation:
    """Fixed batches of held-out rows, ``batches`` for each ratio, drawn with the run's mix into its shape."""

    def __init__(self, data: TrainingData, config: CCFConfig, mix: Mix, capacity: Capacity, batches: int) -> None:
        self.config = config
        self.batches: list[tuple[int, Batch]] = []
        for index in range(len(config.ratios)):
            only = tuple(float(i == index) for i in range(len(config.ratios)))
            sampler = Sampler(data, config, dataclasses.replace(mix, ratios=only))
            for number in range(batches):
                rng = np.random.default_rng((SEED, number))  # the same documents at every ratio
                examples = draw_examples(sampler, capacity, rng)
                self.batches.append((index, pack(examples, config, capacity, mix)))

    def __call__(self, model: TrainingModel, accelerator: Accelerator) -> dict[str, float]:
        """Score the model, teacher-forced: {"reconstruct_acc_4": …}; processes share the batches.

        Gradients stay enabled, though unused: compiled layers would be compiled a second time without them.
        """
        totals = torch.zeros(len(self.config.ratios), len(Kind), 3, device=accelerator.device)
        for number, (index, batch) in enumerate(self.batches):
            if number % accelerator.num_processes == accelerator.process_index:
                totals[index] += model(batch.to(accelerator.device))[1].detach()
        scores: dict[str, float] = {}
        for ratio, record in zip(self.config.ratios, accelerator.reduce(totals), strict=True):
            scores |= means(record, f"_{ratio}")
        return scores


def mixed(scores: Mapping[str, float], mix: Mix) -> float:
    """Add up the nats in ``scores``, each kind's mean over ratios times its weight in the mix: one loss of a run."""
    total = 0.0
    for kind, weight in zip(Kind, mix.weights, strict=True):
        nats = [value for name, value in scores.items() if name.startswith(f"{kind.name.lower()}_nats")]
        total += weight * sum(nats) / max(1, len(nats))
    return round(total, 4)


def means(record: torch.Tensor, suffix: str = "") -> dict[str, float]:
    """Divide a record (kinds, 3) by its numbers of targets: {"reconstruct_nats": …, "reconstruct_acc": …, …}."""
    found = {}
    for kind, (nats, hits, count) in zip(Kind, record.tolist(), strict=True):
        if count:
            found[f"{kind.name.lower()}_nats{suffix}"] = round(nats / count, 4)
            found[f"{kind.name.lower()}_acc{suffix}"] = round(hits / count, 4)
    return found
