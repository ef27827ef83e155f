"""``python -m ccf_core train``: rows in, adapter out. Run it under ``accelerate launch`` for several devices."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ccf_core.base.load import Base, load_base
from ccf_core.config import CCFConfig
from ccf_core.errors import AdapterError
from ccf_core.model.adapter import Adapter
from ccf_core.rows import read_rows
from ccf_core.training.checkpoint import load_portable
from ccf_core.training.data.dataset import TrainingData, tokenize_rows
from ccf_core.training.data.examples import Kind, Mix
from ccf_core.training.loop import STRATEGIES, TrainingConfig, train

_RUN_OPTIONS = (
    "steps", "tokens_per_batch", "accumulate", "learning_rate", "warmup", "seed", "workers", "log_every", "save_every",
    "validate_every", "validation_batches", "train", "decoder_rate", "strategy", "reservoir", "segments",
)  # fmt: skip
_CCF_OPTIONS = (
    "segment_length",
    "slot_window",
    "compressor",
    "targets",
    "encoder_rank",
    "decoder_rank",
    "repeat_rank",
    "lora_scale",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", nargs="*", type=Path, default=[], help='JSON lines with "text"; plain, .gz or .xz')
    parser.add_argument(
        "--qa", nargs="*", type=Path, default=[], help='JSON lines with "context", "question", "answers"'
    )
    parser.add_argument("--made-up", type=int, default=20_000, help="facts to put into texts and ask for")
    parser.add_argument("--tokens", type=Path, help="file to keep the tokenized rows in, or to read them from")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and the adapter")
    parser.add_argument("--base", help="folder or hub id of the base model")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--start", type=Path, help="adapter folder to start a new run from")
    begin.add_argument("--resume", type=Path, help="portable checkpoint (a run's folder portable/) to go on from")
    parser.add_argument("--reader", type=Path, help="adapter whose decoder reads raw text and teaches")
    parser.add_argument("--decoder", type=Path, help="adapter to start from with its decoder, the rest from --start")
    parser.add_argument(
        "--held-out", nargs="+", type=Path, default=[],
        help="rows of either kind to validate on; or one .npz as --tokens writes it",
    )  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, mps")
    parser.add_argument("--dtype", help="bfloat16 or float32")
    parser.add_argument("--max-seconds", type=float, default=math.inf, help="checkpoint and stop after so long")
    parser.add_argument(
        "--deadline", type=float, default=math.inf, help="shorten the schedule to end after so many seconds"
    )
    for name in _RUN_OPTIONS:
        default = getattr(TrainingConfig(), name)
        choices = {"strategy": STRATEGIES, "train": ("encoder", "decoder", "repeat")}.get(name)
        many, kind = ("+", str) if isinstance(default, tuple) else (None, type(default))
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, nargs=many, default=default, choices=choices)
    for name in _CCF_OPTIONS:
        default = getattr(CCFConfig(), name)
        many = "+" if isinstance(default, tuple) else None
        kind = str if many else type(default)
        told = f"{default}, or that of the adapter to start from"
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, nargs=many, help=told)
    for option in dataclasses.fields(Mix):
        kind = type(option.default[0] if isinstance(option.default, tuple) else option.default)
        count = len(Kind) if option.name == "weights" else "+" if isinstance(option.default, tuple) else None
        if kind is not bool:  # that is told by --reader
            name = f"--mix-{option.name.replace('_', '-')}"
            parser.add_argument(name, type=kind, nargs=count, default=option.default)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _held_out(paths: list[Path], base: Base) -> TrainingData:
    if paths[0].suffix == ".npz":
        return TrainingData.load(paths[0])
    rows = [row for path in paths for row in read_rows(path)]
    texts, questions = ([row for row in rows if key in row] for key in ("text", "question"))
    return tokenize_rows(texts, questions, base.tokenizer, end_token=base.tokenizer.eos_token_id)


def main(args: argparse.Namespace) -> int:
    accelerator = Accelerator(cpu=args.device == "cpu")
    base = load_base(args.base, device=accelerator.device, dtype=args.dtype)
    if args.tokens and args.tokens.exists():
        data = TrainingData.load(args.tokens)
    else:
        text, questions = ((row for path in paths for row in read_rows(path)) for paths in (args.text, args.qa))
        end = base.tokenizer.eos_token_id
        data = tokenize_rows(text, questions, base.tokenizer, end_token=end, made_up=args.made_up)
        if args.tokens and accelerator.is_main_process:
            data.save(args.tokens)
    given = vars(args)
    mix = {o.name: _tupled(given[f"mix_{o.name}"]) for o in dataclasses.fields(Mix) if o.name != "reader"}
    options = {name: _tupled(given[name]) for name in _RUN_OPTIONS}
    run = TrainingConfig(**options, mix=Mix(**mix, reader=args.reader is not None))
    start, cursor = load_portable(args.resume) if args.resume else (None, None)
    if args.start:
        start = Adapter.load(args.start)
    changes = {name: _tupled(given[name]) for name in _CCF_OPTIONS if given[name] is not None}
    if args.decoder:
        shape = CCFConfig(**changes, base=base.fingerprint, tokenizer=base.tokenizer_fingerprint)
        start = start or Adapter.zero(base.model, shape, args.seed)
        start = start.with_decoder(Adapter.load(args.decoder))
    config = dataclasses.replace(start.config if start else CCFConfig(), **changes)
    if start:
        if config.repeat_rank and not start.config.repeat_rank:
            start = start.with_repeat(config.repeat_rank, base.model, args.seed)
        for name in ("encoder_rank", "decoder_rank", "repeat_rank", "targets"):
            if getattr(config, name) != getattr(start.config, name):
                raise AdapterError(f"The adapter to start from has {name} {getattr(start.config, name)}: leave it out.")
        start = dataclasses.replace(start, config=config)
    reader = Adapter.load(args.reader) if args.reader else None
    if reader:
        reader.check(base.model)
    adapter = train(
        base, data, config, run, args.out, start=start, reader=reader, cursor=cursor, max_seconds=args.max_seconds,
        deadline=args.deadline, accelerator=accelerator,
        held_out=_held_out(args.held_out, base) if args.held_out else None,
    )  # fmt: skip
    if accelerator.is_main_process:
        adapter.save(args.out / "adapter")
        print(f"adapter {adapter.fingerprint[:12]} in {args.out / 'adapter'}", file=sys.stderr)
    return 0
