"""Write the log of a training run: its settings, and rows of losses and scores, in files and on stdout."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ccf_core.cli import duration
from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from ccf_core.training.config import TrainingConfig
from ccf_core.training.validation import mixed


def describe(folder: Path, run: TrainingConfig, config: CCFConfig, start: Adapter | None, *, resumed: bool) -> None:
    """Write all settings, and what adapter of which base the run began from, to ``run.json``.

    A run that is resumed keeps what stands there of its beginning.
    """
    path = folder / "run.json"
    began = None
    if resumed:
        # Damaged, it tells nothing of a beginning, and is written anew.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            began = json.loads(path.read_text(encoding="utf-8")).get("start")
    elif start:
        began = {"adapter": start.fingerprint, "base": start.config.base, "tokenizer": start.config.tokenizer}
    told = {"run": dataclasses.asdict(run), "ccf": config.as_dict()} | ({"start": began} if began else {})
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


class RunLog:
    """``log.jsonl`` and ``validation.jsonl`` of a run; one process writes them.

    Rows after step ``first``, written by a run that was stopped before its next checkpoint, are taken out: the run
    will write them again. Where a person watches, on a terminal, one line tells how far the run is; rows are printed
    for whoever else reads stdout.
    """

    def __init__(self, folder: Path, first: int, run: TrainingConfig) -> None:
        self.folder, self.run = folder, run
        self.watched = sys.stderr.isatty()
        self._held_out = ""
        for path in (folder / "log.jsonl", folder / "validation.jsonl"):
            if path.exists():
                kept = [line for line in path.read_text("utf-8").splitlines() if _step(line) <= first]
                part = path.with_suffix(".part")
                part.write_text("".join(f"{line}\n" for line in kept), "utf-8")
                part.replace(path)

    def trained(self, row: dict[str, Any], seconds_left: float) -> None:
        """Write a row of what was trained, and show how far the run is."""
        row = row | {"loss": mixed(row, self.run.mix)}
        self._write("log.jsonl", row)
        if self.watched:
            told = f"step {row['step']:,} of {self.run.steps:,}, {duration(seconds_left)} left, loss {row['loss']:.3f}"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{(told + self._held_out)[:width]}", end="", file=sys.stderr, flush=True)

    def validated(self, row: dict[str, Any]) -> None:
        """Write a row of held-out scores."""
        row = row | {"loss": mixed(row, self.run.mix)}
        self._held_out = f", held out {row['loss']:.3f}"
        self._write("validation.jsonl", row)

    def end(self) -> None:
        """Leave the line that was shown."""
        if self.watched:
            print(file=sys.stderr)

    def _write(self, name: str, row: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        if not (self.watched and sys.stdout.isatty()):
            print(json.dumps(row), flush=True)


def _step(line: str) -> float:
    """Read the step of a row; infinity for one that was not written to its end."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
