"""``ccf COMMAND``: the page, its use cases without a browser, and the commands of ``ccf_core``, from any folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from app.cli.main import command_parser, common_parser, run, settings_of
from app.cli.train import with_rows
from app.errors import WorkbenchError
from ccf_core import __main__ as core


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0] in core.COMMANDS:
        try:
            argv = with_rows(argv) if argv[0] == "train" else argv
        except (WorkbenchError, OSError) as error:
            print(error, file=sys.stderr)
            return 2
        return core.main(argv, prog="ccf")
    parser, commands = command_parser("ccf")
    about = "Serve the page; what no option says is as the CCF_* variables say."
    commands.add_parser("app", parents=[common_parser()], help="serve the page", description=about)
    for name, (_, about) in core.COMMANDS.items():
        commands.add_parser(name, help=about)
    args = parser.parse_args(argv)
    if args.command != "app":
        return run(args)
    from app.start import main as serve

    return serve(partial(settings_of, args))
