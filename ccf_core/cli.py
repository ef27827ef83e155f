"""What the commands of this package share; importing it brings no torch with it."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint to stderr and exit with code 2."""
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.\n")


def positive(value: str) -> int:
    """Parse a whole number above 0, as the ``type`` of an argument; ValueError for anything else."""
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it: "40 s", "7 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def yes(value: str) -> bool:
    """Tell whether a variable of the environment says yes: anything but 0, false and no."""
    return value.strip() not in ("0", "false", "no")


def report(message: str) -> None:
    """Print a line to stderr, where progress goes; stdout is for results."""
    print(message, file=sys.stderr, flush=True)
