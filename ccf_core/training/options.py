"""The options of ``python -m ccf_core train``: in groups, each with what it is for and its default."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from ccf_core.cli import CommandParser
from ccf_core.config import TARGETS, TRAINED, CCFConfig
from ccf_core.training.config import SIDES, STRATEGIES, TrainingConfig
from ccf_core.training.data.examples import Kind, Mix

#: Options for a look whether all works, for a first adapter, and for as many tokens as the shipped one was trained on.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 5, "tokens_per_batch": 1024, "warmup": 1, "log_every": 1, "validation_batches": 1, "made_up": 1000,
        "mix_window": 256, "mix_long_every": 0,
    },
    "short": {"steps": 1000},
    "full": {"steps": 12_000},
}  # fmt: skip

RUN = {
    "steps": "optimiser steps",
    "tokens_per_batch": "tokens of text in a micro-batch of each process",
    "accumulate": "micro-batches a step",
    "learning_rate": "highest rate: linear warm-up, then a cosine down to 5%% of it",
    "warmup": "steps of warm-up",
    "decoder_rate": "learning rate of the decoder's LoRA, relative to the others'",
    "train": "parts of the adapter that learn",
    "seed": "of all that is drawn",
    "workers": "processes that make batches",
    "log_every": "steps to a row of log.jsonl",
    "save_every": "steps to a checkpoint",
    "validate_every": "steps to a row of validation.jsonl",
    "validation_batches": "held-out batches at each ratio",
    "strategy": "draw the whole mix, or decode long texts segment by segment with so many graphs kept",
    "segments": "segment by segment: most of a text",
    "reservoir": "strategy reservoir: encoder graphs that are kept",
}
ADAPTER = {
    "segment_length": "tokens of text a segment",
    "ratios": "tokens of text a slot of each level, finest first; coarser ones can be added to an adapter",
    "slot_window": "tokens whose embeddings are averaged into a slot's input",
    "compressor": "what a slot is: an appended token, or the mean of a block of text",
    "targets": "linear layers that get a LoRA",
    "encoder_rank": "LoRA rank of the encoder",
    "decoder_rank": "LoRA rank of the decoder",
    "repeat_rank": "rank of a LoRA for repeating alone; 0: none",
    "lora_scale": "what B·A is multiplied with",
}
MIX = {
    "ratios": "how often each ratio is drawn, finest first",
    "window": "most tokens of a document in an ordinary batch",
    "long_window": "most tokens of a document in a long batch",
    "long_every": "one batch of so many is long; 0: none",
    "ragged": "share of texts whose segments have random lengths",
    "reconstructed": "most segments of an example that are reconstructed",
    "continue_share": "share of texts that are continued",
    "continuations": "continuations of such a text",
    "cloze_share": "share of texts of which words are asked that were blanked out",
    "clozes": "blanks of such a text",
    "fact_share": "share of texts into which made-up facts are put and asked for",
    "facts": "most facts of such a text",
    "question_share": "share of examples that are from question rows",
    "questions": "most questions of one context",
    "joined_share": "share of question examples that read several contexts",
    "joined": "most contexts of such an example",
    "unanswerable": "share of questions put to documents that do not hold the answer",
    "raw_share": "share of continuations and answers that read a segment or two as text",
    "full_share": "share of examples that read raw text only",
    "copy_share": "share of those, from texts, that repeat it",
    "distil_share": "share of answers that also learn from what raw text predicts",
    "distil": "weight of that prediction in a target",
    "distil_text": "share of continuations that learn likewise",
    "distil_all": "longest context, in tokens, of which all questions learn so",
    "held_share": "with --reader: share of raw text that the decoder in training reads too",
    "match": "weight of the distance of hidden states to the teacher's",
    "balance": "a token of an answer of n tokens weighs n^-balance",
    "emphasis": "weight of digits and capitalised words in reconstructions",
    "strides": "how often positions are squeezed by 1, 1/2, 1/4, …",
    "weights": f"of the targets of each kind: {', '.join(kind.name.lower() for kind in Kind)}",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all options, in groups."""
    group = parser.add_argument_group("data", "JSON lines, plain, .gz or .xz").add_argument
    group("--text", nargs="*", action="extend", type=Path, default=[], help='rows with "text"')
    group("--qa", nargs="*", type=Path, default=[], help='rows with "context", "question" and "answers"')
    group(
        "--data",
        type=Path,
        help="folder of plain text and Markdown files, each a text; with `ccf train` of any documents",
    )
    group("--made-up", type=int, default=20_000, help="facts to put into texts and ask for (%(default)s)")
    group("--tokens", type=Path, help="NAME.npz to keep the tokenized rows in, or to read them from")
    group("--held-out", nargs="+", type=Path, default=[], help="rows of either kind to validate on, or one NAME.npz")

    model = parser.add_argument_group("model")
    group = model.add_argument
    group("--base", help="folder or hub id of the base model (the default base)")
    group("--device", help="cpu, cuda or mps (the first that there is)")
    group("--dtype", help="bfloat16 or float32 (bfloat16 where it is fast)")
    begin = model.add_mutually_exclusive_group()
    begin.add_argument("--start", type=Path, help="adapter folder to start a new run from")
    begin.add_argument("--resume", type=Path, help="portable checkpoint (a run's folder portable/) to go on from")
    group("--decoder", type=Path, help="adapter to start from with its decoder, the rest from --start")
    group("--reader", type=Path, help="adapter whose decoder reads raw text and teaches")
    group(
        "--allow-other-base",
        action="store_true",
        help="let --start, --resume and --reader be of another base of the same shape; run.json tells which",
    )

    group = parser.add_argument_group("run", "The same command again goes on from the last checkpoint.").add_argument
    group("--out", type=Path, required=True, help="folder for checkpoints, log and the adapter")
    told = ", ".join(f"{name} ({values['steps']:,} steps)" for name, values in PRESETS.items())
    group("--preset", choices=PRESETS, help=f"{told}; what is given beside it counts")
    group("--dry-run", action="store_true", help="tell what a run would take, and end")
    group("--yes", action="store_true", help="begin without asking; without a terminal nothing is asked")
    group("--max-seconds", type=float, default=math.inf, help="checkpoint and stop after so long (never)")
    group("--deadline", type=float, default=math.inf, help="shorten the schedule to end after so many seconds (none)")
    choices = {"strategy": STRATEGIES, "train": SIDES, "compressor": TRAINED, "targets": TARGETS}
    for name, about in RUN.items():
        _add(group, name, getattr(TrainingConfig(), name), about, choices=choices.get(name))

    group = parser.add_argument_group(
        "adapter", "Defaults give way to what the adapter to start from has."
    ).add_argument
    for name, about in ADAPTER.items():
        _add(group, name, getattr(CCFConfig(), name), about, choices=choices.get(name), keep=False)

    group = parser.add_argument_group(
        "mix", "What is drawn: numbers, shares and weights (docs/training.md)."
    ).add_argument
    for name, about in MIX.items():
        _add(group, f"mix_{name}", getattr(Mix(), name), about)


def _add(add: Any, name: str, default: Any, about: str, *, choices: Any = None, keep: bool = True) -> None:
    """Add an option of the type of its default; unless that is to ``keep``, what is not given is None."""
    many = isinstance(default, tuple)
    told = " ".join(map(str, default)) if many else default
    add(
        f"--{name.replace('_', '-')}", type=type(default[0] if many else default), nargs="+" if many else None,
        choices=choices, default=default if keep else None, help=f"{about} ({told})", metavar=None if choices else "N",
    )  # fmt: skip


def with_preset(args: argparse.Namespace) -> argparse.Namespace:
    """Parse the arguments again with the defaults of the preset that they name, if any."""
    if not args.preset:
        return args
    parser = CommandParser()
    add_arguments(parser)
    parser.set_defaults(**PRESETS[args.preset])
    return parser.parse_args(args.argv[1:])


def run_of(args: argparse.Namespace) -> TrainingConfig:
    """Make the settings of a run. Raises TrainingError for numbers that no run can have."""
    mix = {name: _tupled(getattr(args, f"mix_{name}")) for name in MIX}
    run = {name: _tupled(getattr(args, name)) for name in RUN}
    return TrainingConfig(**run, mix=Mix(**mix, reader=args.reader is not None))


def changes_of(args: argparse.Namespace) -> dict[str, Any]:
    """List the settings of the adapter that were given."""
    return {name: _tupled(getattr(args, name)) for name in ADAPTER if getattr(args, name) is not None}


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
