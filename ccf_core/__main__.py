"""``python -m ccf_core train | evaluate | report | bench | info | push``: one JSON object on stdout, logs on stderr."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ccf_core.assets import DEFAULT_ADAPTER, NO_ADAPTER
from ccf_core.cli import CommandParser, yes
from ccf_core.errors import CCFError

#: Command -> (module with ``add_arguments`` and ``main``, help). Imported only when called.
COMMANDS = {
    "train": ("ccf_core.training.train", "train an adapter"),
    "evaluate": ("ccf_core.evaluation.cli", "measure an adapter on rows of text or questions"),
    "report": ("ccf_core.evaluation.report.page", "results of evaluate as a page with figures"),
    "bench": ("ccf_core.evaluation.bench.bench", "time compression, answering and decoding on this machine"),
    "info": ("ccf_core.evaluation.report.info", "what would be used: base, adapter, device, dtype"),
    "push": ("ccf_core.evaluation.report.push", "publish an adapter on the model hub"),
}


def main(argv: Sequence[str] | None = None, prog: str = "python -m ccf_core") -> int:
    """Exit code 2, and one sentence on stderr, for anything that the caller can mend."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = CommandParser(prog=prog, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=CommandParser)
    for name, (module, about) in COMMANDS.items():
        subparser = commands.add_parser(name, help=about, description=about)
        # Only the command that is called is imported: training and evaluation each bring much with them.
        if name in argv[:1]:
            importlib.import_module(module).add_arguments(subparser)
            if name not in ("train", "report", "push"):
                _common(subparser)
    args = parser.parse_args(argv)
    args.argv, args.out = argv, getattr(args, "out", None)
    run = importlib.import_module(COMMANDS[args.command][0]).main
    try:
        if args.command == "train":
            return int(run(args))
        if args.out and not args.out.parent.is_dir():
            parser.error(f"there is no folder for {args.out.name}, make it first")
        printed = json.dumps(run(args), indent=2, ensure_ascii=False)
    except CCFError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}." if error.filename else error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which help need not wait for
            raise
        option = "--tokens-per-batch" if args.command == "train" else "--batch-size"
        print(f"The device ran out of memory: give a smaller {option}.", file=sys.stderr)
        return 2
    print(printed)
    if args.out and args.command != "report":
        args.out.write_text(printed + "\n", encoding="utf-8")
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    # An empty variable says that there is none; without one it is ours, if it is of the base.
    default = os.environ.get("CCF_ADAPTER", "").strip() or (NO_ADAPTER if "CCF_ADAPTER" in os.environ else None)
    shown = default or f"{DEFAULT_ADAPTER}, none for another base"
    parser.add_argument("--adapter", default=default, help=f"folder or hub id of the adapter, or none ({shown})")
    parser.add_argument("--base", default=os.environ.get("CCF_BASE") or None, help="folder or hub id of the base")
    allowed = yes(os.environ.get("CCF_ALLOW_OTHER_BASE") or "0")
    parser.add_argument(
        "--allow-other-base", action="store_true", default=allowed, help="use an adapter of another base all the same"
    )
    parser.add_argument("--device", help="cuda, mps or cpu")
    parser.add_argument("--dtype", help="bfloat16 or float32")
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")


if __name__ == "__main__":
    sys.exit(main())
