"""``python -m ccf_core info``: print the version, adapter, base, dtype and device that a command would use."""

from __future__ import annotations

import argparse

from ccf_core.evaluation.subject import Subject
from ccf_core.version import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: the common ones are enough."""


def main(args: argparse.Namespace) -> dict:
    subject = Subject.load(args.adapter, args.base, args.device, args.dtype, allow_other_base=args.allow_other_base)
    return {"version": __version__, **subject.described()}
