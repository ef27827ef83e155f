"""``python -m ccf_core train``: rows in, adapter out. Run it under ``accelerate launch`` for several devices."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from itertools import chain
from pathlib import Path

from accelerate import Accelerator

from ccf_core.base.load import Base, load_base
from ccf_core.base.tokenizer import with_template
from ccf_core.cli import report
from ccf_core.device import choose_device
from ccf_core.errors import TrainingError
from ccf_core.model.adapter import Adapter
from ccf_core.rows import QUESTION, TEXT, read_folder, read_rows
from ccf_core.training.checkpoint import load_portable
from ccf_core.training.checks import beginning
from ccf_core.training.data.dataset import TrainingData, tokenize_rows
from ccf_core.training.loop import train
from ccf_core.training.options import add_arguments, changes_of, run_of, with_preset
from ccf_core.training.plan import Plan

__all__ = ["add_arguments", "main"]


def _tokenized(path: Path, base: Base) -> TrainingData:
    """Load tokenized rows. Raises TrainingError if another tokenizer made them."""
    data = TrainingData.load(path)
    known = data.tokenizer or base.tokenizer_fingerprint
    if known != base.tokenizer_fingerprint or len(data.vocabulary.digit) != len(base.tokenizer):
        raise TrainingError(f"The tokens in {path.name} are of another base's tokenizer: give another file.")
    return data


def _data(args: argparse.Namespace, base: Base, speaks: bool) -> TrainingData:
    if args.tokens and args.tokens.exists():
        return _tokenized(args.tokens, base)
    text = chain.from_iterable(read_rows(path, TEXT) for path in args.text)
    folder = read_folder(args.data) if args.data else []
    questions = chain.from_iterable(read_rows(path, QUESTION) for path in args.qa)
    end = base.tokenizer.eos_token_id
    data = tokenize_rows(
        chain(text, folder), questions, base.tokenizer, end_token=end, made_up=args.made_up,
        report=report if speaks else None,
    )  # fmt: skip
    if args.tokens and speaks:
        dataclasses.replace(data, tokenizer=base.tokenizer_fingerprint).save(args.tokens)
    return data


def _held_out(paths: list[Path], base: Base, speaks: bool) -> TrainingData | None:
    if not paths:
        return None
    if paths[0].suffix == ".npz":
        return _tokenized(paths[0], base)
    rows = [row for path in paths for row in read_rows(path, TEXT, QUESTION)]
    texts, questions = ([row for row in rows if key in row] for key in ("text", "question"))
    return tokenize_rows(
        texts, questions, base.tokenizer, end_token=base.tokenizer.eos_token_id,
        report=(lambda said: report(f"--held-out: {said}")) if speaks else None,
    )  # fmt: skip


def _check_files(args: argparse.Namespace) -> None:
    """Complain of files before the base is loaded. Raises TrainingError."""
    if not (args.text or args.qa or args.data or (args.tokens and args.tokens.exists())):
        raise TrainingError("There is nothing to train on: give rows as --text or --qa, or a folder as --data.")
    for path in (*args.text, *args.qa, *args.held_out):
        if not path.is_file():
            raise TrainingError(f"There is no file {path}: give JSON lines, plain or packed as .gz or .xz.")
    if args.out.exists() and not args.out.is_dir():
        raise TrainingError(f"{args.out} is a file: give a folder as --out.")
    if args.tokens and (args.tokens.suffix != ".npz" or not args.tokens.parent.is_dir()):
        raise TrainingError(f"{args.tokens} cannot be written: give --tokens a name.npz in a folder that is there.")


def _agreed(plan: Plan, ask: bool) -> bool:
    report(str(plan))
    if not ask:
        return True
    print("Begin? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def main(args: argparse.Namespace) -> int:
    """Train as asked and return the exit code; TrainingError or another CCFError for what the caller can mend."""
    try:
        return _main(with_preset(args))
    except KeyboardInterrupt:
        report("\nInterrupted: the same command goes on from the last checkpoint, or begins anew before the first.")
        return 130


def _main(args: argparse.Namespace) -> int:
    _check_files(args)
    if args.device:
        choose_device(args.device)
    run = run_of(args)
    start, cursor = load_portable(args.resume) if args.resume else (None, None)
    if args.start:
        start = Adapter.load(args.start)
    reader = Adapter.load(args.reader) if args.reader else None
    accelerator = Accelerator(cpu=args.device == "cpu")
    base = load_base(args.base, device=accelerator.device, dtype=args.dtype)
    changes = changes_of(args)
    try:
        if args.decoder:
            start = start or Adapter.zero(base.model, base.new_config(**changes), args.seed)
            start = start.with_decoder(Adapter.load(args.decoder))
        config = dataclasses.replace(start.config if start else base.new_config(), **changes)
    except ValueError as error:
        raise TrainingError(f"Such an adapter cannot be: {error}.") from error
    base = dataclasses.replace(base, tokenizer=with_template(base.tokenizer, config.chat_template))
    if start and config.repeat_rank and not start.config.repeat_rank:
        start = start.with_repeat(config.repeat_rank, base.model, args.seed)
    start = start.with_ratios(config.ratios) if start else None
    given = {
        "start": start, "reader": reader, "cursor": cursor, "allow_other_base": args.allow_other_base,
    }  # fmt: skip
    steps = run.steps - beginning(base, config, run, args.out, **given).first
    speaks, alone = accelerator.is_main_process, accelerator.num_processes == 1
    data, held_out = _data(args, base, speaks), _held_out(args.held_out, base, speaks)
    if speaks and steps > 0:
        plan = Plan.of(base, data, config, run, steps=steps, processes=accelerator.num_processes)
        if not _agreed(plan, alone and sys.stdin.isatty() and not (args.yes or args.dry_run)):
            return 0
    if args.dry_run:
        return 0
    adapter = train(
        base, data, config, run, args.out, held_out=held_out, max_seconds=args.max_seconds, deadline=args.deadline,
        accelerator=accelerator, **given,
    )  # fmt: skip
    if speaks:
        adapter.save(args.out / "adapter")
        saved = Adapter.load(args.out / "adapter")  # rounded to int8, as whoever uses it has it
        report(f"adapter {saved.fingerprint[:12]} in {args.out / 'adapter'}")
    return 0
