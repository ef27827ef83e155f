"""``python -m app compress | read | reconstruct | ask | compare | ingest``: the use cases without a browser.

They work on the data of the page. With ``--json`` stdout holds one JSON object, otherwise words for people; progress
and notes go to stderr.
Exit code 2 and one sentence on stderr for what the caller can mend, 130 after Ctrl-C. ``accelerate launch -m app
ingest`` spreads the work over processes; the first one alone opens the database and prints.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.progress import Meter
from app.errors import BadSetting, WorkbenchError
from app.limits import KVBudget
from app.parsers.kinds import WORDS
from app.settings import Settings
from app.types import reader_names
from ccf_core.cli import CommandParser
from ccf_core.memory.dtypes import MEMORY_DTYPES

if TYPE_CHECKING:
    from app.cli.commands import Result


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run(command_parser("python -m app")[0].parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Run the command of parsed arguments; returns the exit code."""
    # Of several processes of a launch the first one speaks for all.
    speaks = os.environ.get("RANK", "0") == "0"
    meter = Meter(sys.stderr if speaks else io.StringIO())
    try:
        result = _run(args, meter)
    except KeyboardInterrupt:
        meter.say("Interrupted; what was stored until now is kept, and the same command goes on from there.")
        return 130
    if result is None:
        return 0
    if isinstance(result, str):
        meter.say(result)
        return 2
    for note in result.notes:
        meter.say(note)
    print(json.dumps(result.data, indent=2) if args.json else result.text)
    return 0


def _run(args: argparse.Namespace, meter: Meter) -> Result | str | None:
    """Run a command; return its outcome, the sentence that says what to mend, or None from a process that helped."""
    # Help and wrong arguments are answered without waiting for torch.
    from app.cli import commands
    from app.documents.bulk_ingest import assist
    from app.parsers import ReadError
    from app.runtime.distributed import Processes
    from app.workbench import Workbench
    from ccf_core import CCFError
    from store import StoreError

    try:
        settings = settings_of(args)
        with Processes(settings.device) as args.processes:
            if args.processes.count > 1 and args.command != "ingest":
                return f"Only ingest is spread over processes: run {args.command} without a launcher."
            settings = dataclasses.replace(settings, device=args.processes.device)
            if not args.processes.main:
                assist(settings, args.processes)
                return None
            settings.check_folders()
            with Workbench(settings) as workbench:
                return getattr(commands, args.command)(workbench, args, meter)
    except OSError as error:
        return f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error)
    except (WorkbenchError, ReadError, StoreError, CCFError) as error:
        return str(error)
    finally:
        meter.clear()


def settings_of(args: argparse.Namespace) -> Settings:
    """Read the settings, those of the environment where no option is given. Raises BadSetting."""
    options = ("data_dir", "adapter", "base", "allow_other_base", "device", "dtype", "kv_budget", "memory_dtype")
    given = {name: getattr(args, name, None) for name in options}
    return dataclasses.replace(
        Settings.from_env(), **{name: value for name, value in given.items() if value is not None}
    )


def common_parser() -> CommandParser:
    """Make the parser of options that stand for settings."""
    common = CommandParser(add_help=False)
    common.add_argument("--data-dir", type=_path, metavar="DIR", help="folder of the database (CCF_DATA)")
    common.add_argument(
        "--adapter", type=_path, metavar="NAME", help="folder or hub id of the adapter, or none (CCF_ADAPTER)"
    )
    common.add_argument("--base", help="folder or hub id of the base model (CCF_BASE)")
    common.add_argument(
        "--allow-other-base", action="store_true", default=None,
        help="use an adapter of another base all the same (CCF_ALLOW_OTHER_BASE=1)",
    )  # fmt: skip
    common.add_argument("--device", help="cpu, cuda or mps (CCF_DEVICE)")
    common.add_argument("--dtype", help="bfloat16, float16 or float32 (CCF_DTYPE)")
    common.add_argument("--memory-dtype", choices=MEMORY_DTYPES, help="how memories are stored (CCF_MEMORY_DTYPE)")
    return common


def command_parser(prog: str) -> tuple[CommandParser, argparse._SubParsersAction[CommandParser]]:
    """Make the parser of these commands, and what further ones are added to."""
    common = common_parser()
    common.add_argument("--json", action="store_true", help="print one JSON object")
    parser = CommandParser(prog=prog, description="Compress documents into memories, and ask them.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=CommandParser, metavar="COMMAND")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=about, description=f"{about.capitalize()}.")

    compress = command("compress", "compress a file into a stored memory")
    compress.add_argument("file", type=_path, metavar="FILE", help=WORDS)
    compress.add_argument("--out", type=_path, metavar="F", help="also write the memory, every level, to this file")

    read = command("read", "print the text that is read of a file, and what of the file is left out of it")
    read.add_argument("file", type=_path, metavar="FILE")

    reconstruct = command("reconstruct", "decode a file's segments from their memory and compare")
    reconstruct.add_argument("file", type=_path, metavar="FILE", help=WORDS)
    _ratio(reconstruct)
    reconstruct.add_argument("--segments", type=int, nargs="+", metavar="N", help="only these, counted from 0")

    ask = command("ask", "ask a question about a file")
    ask.add_argument("file", type=_path, metavar="FILE", help=WORDS)
    ask.add_argument("question", metavar="QUESTION")
    _ratio(ask)
    ask.add_argument("--reader", default="memory", choices=reader_names(), help="default: memory")
    ask.add_argument("--kv-budget", type=_budget, metavar="B", help="positions (4096) or MB (200MB) to hold at most")
    ask.add_argument(
        "--in-full", type=int, default=0, metavar="N", help="focus: segments read as text at most (0: no limit)"
    )
    ask.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="longest answer (default 64)")

    compare = command("compare", "ask a question about a file under several settings")
    compare.add_argument("file", type=_path, metavar="FILE", help=WORDS)
    compare.add_argument("question", metavar="QUESTION")
    compare.add_argument("--settings", nargs="+", metavar="S", help="full, 4x, 8x, 16x, 32x, focus, truncated, none")

    ingest = command("ingest", "compress every file of a folder and of the folders in it")
    ingest.add_argument("dir", type=_path, metavar="DIR", help=f"holds files of these kinds: {WORDS}")
    return parser, commands


def _ratio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ratio", type=int, default=8, metavar="R", help="text tokens a slot (default 8)")


def _budget(value: str) -> KVBudget:
    try:
        return KVBudget.parse(value)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def _path(value: str) -> Path:
    return Path(value).expanduser()
