"""``python -m ccf_core info``: what would be used, without using it."""

from __future__ import annotations

import argparse

import ccf_core
from ccf_core.evaluation.subject import Subject


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def main(args: argparse.Namespace) -> dict:
    return {
        "version": ccf_core.__version__,
        **Subject.load(args.adapter, args.base, args.device, args.dtype).described(),
    }
