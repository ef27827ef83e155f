"""``python -m ccf_core evaluate``: run a task and print one JSON object with the scores, the data and the settings."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from ccf_core.assets import YARDSTICK
from ccf_core.cli import positive, report
from ccf_core.digests import sha256_of
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.report.page import markdown
from ccf_core.evaluation.rows import DATA, EvaluationError, choose, load_rows, located
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import TASKS, readers_of
from ccf_core.memory.dtypes import MEMORY_DTYPES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TASKS)
    parser.add_argument(
        "--data",
        type=Path,
        help="JSON lines: plain, .gz or .xz; or the name of rows that come with the project: qa_ood",
    )
    parser.add_argument("--markdown", type=Path, help="also write the result as a table to this file")
    parser.add_argument("--ratio", type=int, nargs="+", default=[4, 8, 16, 32])
    parser.add_argument("--limit", type=positive, help="rows (segments of each kind, questions) at most")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the bootstrap")
    parser.add_argument("--half", choices=("A", "B"), help="documents whose SHA-256 is even (A) or odd (B)")
    parser.add_argument("--sources", nargs="+", default=[], help="only rows of these sources")
    parser.add_argument("--reader", nargs="+", default=[], help="only these readers")
    parser.add_argument(
        "--yardstick",
        type=Path,
        default=YARDSTICK,
        help="adapter that was trained to read full text, to measure against (default: ours, if it fits the base)",
    )
    parser.add_argument("--memory-dtype", choices=MEMORY_DTYPES, default="int8", help="how memories are held")
    parser.add_argument("--batch-size", type=positive, help="rows decoded at once")
    default = Options(())
    parser.add_argument("--k", type=int, nargs="+", default=default.k, help="perplexity: on which segment")
    parser.add_argument(
        "--lengths", type=positive, nargs="+", default=default.lengths, help="needle, stream: tokens of a document"
    )
    parser.add_argument("--needles", type=positive, default=default.needles, help="needle: documents a cell")
    parser.add_argument(
        "--unanswerable", type=positive, default=0, help="qa, evidence: add questions that a document does not answer"
    )
    parser.add_argument(
        "--budget", type=share, default=default.budget, help="share of full KV that focus and bm25 hold (default 1/6)"
    )
    parser.add_argument(
        "--piece", type=positive, default=default.piece, help="focus: read text in pieces of so many tokens"
    )


def share(value: str) -> Fraction:
    """Parse an argument that is a number above 0 and up to 1, such as 1/6 or 0.25."""
    number = Fraction(value)
    if not 0 < number <= 1:
        raise ValueError(value)
    return number


def main(args: argparse.Namespace) -> dict:
    """Run a task; EvaluationError or another CCFError for what the caller can mend."""
    task = TASKS[args.task]
    offered = readers_of(args.task)
    for reader in args.reader:
        if reader not in offered:
            raise EvaluationError(f"{args.task} has no reader {reader!r}: choose from {', '.join(offered)}.")
    data = located(args.data) if args.data else DATA / task.DATA
    if args.markdown and not args.markdown.parent.is_dir():
        raise EvaluationError(f"There is no folder for {args.markdown.name}: make it first.")
    rows = choose(load_rows(data, task.FIELDS), args.half, args.sources)
    needed = any(READERS[reader].decoder_of == "yardstick" for reader in args.reader or offered)
    yardstick = args.yardstick if needed else None
    subject = Subject.load(
        args.adapter, args.base, args.device, args.dtype, yardstick, allow_other_base=args.allow_other_base
    )
    if needed and args.yardstick != YARDSTICK and not subject.yardstick:
        raise EvaluationError(
            f"{args.yardstick.name} was trained on another base: name a yardstick reader of this one."
        )
    ratios = tuple(dict.fromkeys(args.ratio))
    for ratio in ratios:
        if ratio not in subject.ccf.config.ratios:
            known = ", ".join(map(str, subject.ccf.config.ratios))
            raise EvaluationError(f"The adapter has no ratio {ratio}: choose from {known}.")
    options = Options(
        ratios=ratios,
        limit=args.limit,
        seed=args.seed,
        readers=tuple(args.reader),
        memory_dtype=args.memory_dtype,
        batch_size=args.batch_size,
        k=tuple(dict.fromkeys(args.k)),
        lengths=tuple(dict.fromkeys(args.lengths)),
        needles=args.needles,
        unanswerable=args.unanswerable,
        budget=args.budget,
        piece=args.piece,
        report=report,
    )
    started = time.perf_counter()
    n, measured = task.evaluate(subject, rows, options)
    result = {
        "task": args.task,
        "data": {"name": data.name, "sha256": sha256_of(data)},
        "half": args.half,
        "n": n,
        "seed": args.seed,
        **subject.described(),
        "memory_dtype": args.memory_dtype,
        "decoding": "greedy",
        "seconds": round(time.perf_counter() - started, 1),
        "command": command(args.argv),
        "rows": measured,
    }
    if args.markdown:
        args.markdown.write_text(markdown(result), encoding="utf-8")
    return result


def command(argv: Sequence[str]) -> str:
    """Write the command as it was typed, without the folders of this machine."""
    return shlex.join(["python", "-m", "ccf_core", *(_without_folders(a) for a in argv)])


def _without_folders(argument: str) -> str:
    path = Path(argument)
    return path.name if path.is_absolute() or ".." in path.parts else argument
