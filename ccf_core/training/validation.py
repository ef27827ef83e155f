"""Held-out nats and accuracies of a model under training, each ratio by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from accelerate import Accelerator

from ccf_core.config import CCFConfig
from ccf_core.training.capacity import Capacity, draw_examples
from ccf_core.training.data import TrainingData
from ccf_core.training.examples import Kind, Mix, Sampler
from ccf_core.training.model import TrainingModel
from ccf_core.training.packing import Batch, pack

SEED = 2_000_003


class Validation:
    """Fixed batches of held-out rows, ``batches`` for each ratio, drawn with the run's mix and shape."""

    def __init__(self, data: TrainingData, config: CCFConfig, mix: Mix, tokens_per_batch: int, batches: int) -> None:
        self.config = config
        capacity = Capacity.for_tokens(tokens_per_batch)
        self.batches: list[tuple[int, Batch]] = []
        for index in range(len(config.ratios)):
            only = tuple(float(i == index) for i in range(len(config.ratios)))
            sampler = Sampler(data, config, dataclasses.replace(mix, ratios=only))
            for number in range(batches):
                rng = np.random.default_rng((SEED, number))  # the same documents at every ratio
                examples = draw_examples(sampler, capacity, rng)
                self.batches.append((index, pack(examples, config, capacity, mix)))

    def __call__(self, model: TrainingModel, accelerator: Accelerator) -> dict[str, float]:
        """{"reconstruct_acc_4": …}: teacher-forced; processes share the batches.

        Gradients stay enabled, though unused: compiled layers would be compiled a second time without them.
        """
        totals = torch.zeros(len(self.config.ratios), len(Kind), 3, device=accelerator.device)
        for number, (index, batch) in enumerate(self.batches):
            if number % accelerator.num_processes == accelerator.process_index:
                totals[index] += model(batch.to(accelerator.device))[1].detach()
        totals = accelerator.reduce(totals)
        told = {}
        for ratio, of_ratio in zip(self.config.ratios, totals.tolist(), strict=True):
            for kind, (nats, hits, count) in zip(Kind, of_ratio, strict=True):
                if count:
                    told[f"{kind.name.lower()}_nats_{ratio}"] = round(nats / count, 4)
                    told[f"{kind.name.lower()}_acc_{ratio}"] = round(hits / count, 4)
        return told
