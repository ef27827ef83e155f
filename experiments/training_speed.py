"""``python -m experiments.training_speed``: source tokens a second of the training step, beside what the card can do.

The task is fixed so that versions compare: texts of four whole segments, each reconstructed, the last three also
continued, at one ratio, no teacher. Tokens are random, which costs what text costs.
"""

from __future__ import annotations

import json

import numpy as np
import torch

from ccf_core.base.load import load_base
from ccf_core.cli import CommandParser
from ccf_core.config import CCFConfig
from ccf_core.device import device_name
from ccf_core.model.adapter import Adapter
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.batch_size import Capacity, size_of
from ccf_core.training.data.cloze import Vocabulary
from ccf_core.training.data.dataset import Ragged, TrainingData
from ccf_core.training.data.examples import LONGEST, Mix
from ccf_core.training.data.packing import pack
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.model import TrainingModel
from ccf_core.training.plan import matrix_rate, seconds_of


def task(config: CCFConfig, vocabulary: Vocabulary, tokens: int, ratio: int) -> Batch:
    rng = np.random.default_rng(0)
    length = 4 * config.segment_length
    texts = Ragged.of([rng.integers(10, len(vocabulary.digit), 64 * length).tolist()])
    nothing = Ragged.of([])
    data = TrainingData(texts, nothing, nothing, nothing, np.zeros(1, np.int64), vocabulary)
    mix = Mix(
        ratios=tuple(float(r == ratio) for r in config.ratios), window=length,
        ragged=0, continue_share=1, cloze_share=0, raw_share=0, full_share=0, distil_share=0, distil_text=0,
        strides=(1.0,),
    )  # fmt: skip
    sampler = Sampler(data, config, mix)
    examples = [sampler.draw(rng) for _ in range(max(1, tokens // length))]
    capacity = Capacity.holding(np.sum([size_of(example, config) for example in examples], axis=0), LONGEST[0])
    return pack(examples, config, capacity, mix)


def flops_of(model: TrainingModel, batch: Batch) -> float:
    """Count the products of one step: 6 a weight and token in the layers, 4 a weight and target in the frozen head.

    Attention, merging and what is elementwise are left out, so the share of the matrix rate is a lower bound.
    """
    layers = sum(stack.numel() for stack in model.stacked.values())
    tokens = len(batch.encoder_ids) + len(batch.read.ids)
    return 6.0 * layers * tokens + 4.0 * model.head.numel() * len(batch.targets)


def main(argv: list[str] | None = None) -> None:
    parser = CommandParser(prog="python -m experiments.training_speed", description=__doc__)
    parser.add_argument("--base", help="folder or hub id of the base model")
    parser.add_argument("--device", help="cpu, cuda")
    parser.add_argument("--tokens-per-batch", type=int, default=32768)
    parser.add_argument("--ratio", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--segment-length", type=int, default=256)
    args = parser.parse_args(argv)
    config = CCFConfig(segment_length=args.segment_length)
    base = load_base(args.base, device=args.device)
    device = base.model.device
    model = TrainingModel(base.model, Adapter.zero(base.model, config), compiled=device.type == "cuda").to(device)
    optimizer = torch.optim.AdamW(model.trainable.parameters(), lr=1e-4, fused=device.type == "cuda")
    vocabulary = Vocabulary.of(base.tokenizer, int(base.tokenizer.eos_token_id))
    batch = task(config, vocabulary, args.tokens_per_batch, args.ratio).to(device)

    def run(steps: int) -> None:
        for _ in range(steps):
            model(batch)[0].backward()
            optimizer.step()
            optimizer.zero_grad()

    run(4)
    seconds = seconds_of(lambda: run(args.steps), device) / args.steps
    tokens, flops = int(batch.source_tokens), flops_of(model, batch)
    rate = matrix_rate(device)
    told = {
        "tokens_per_s": round(tokens / seconds),
        "step_s": round(seconds, 4),
        "source_tokens": tokens,
        "ratio": args.ratio,
        "gflop_per_token": round(flops / tokens / 1e9, 3),
        "tflop_per_s": round(flops / seconds / 1e12, 2),
        "matrix_tflop_per_s": round(rate / 1e12, 2),
        "share_of_matrix_rate": round(flops / seconds / rate, 3),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if device.type == "cuda" else None,
        "device": device_name(device),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
