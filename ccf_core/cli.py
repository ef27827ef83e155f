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


def report(message: str) -> None:
    """Print a line to stderr, where progress goes; stdout is for results."""
    print(message, file=sys.stderr, flush=True)
