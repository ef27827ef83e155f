"""Progress on stderr: on a terminal one line that is rewritten, elsewhere a line for every step worth one."""

from __future__ import annotations

import shutil
from typing import TextIO

from app.types import IngestProgress

#: Where stderr is no terminal, a line for each tenth of the way.
TENTHS = 10


class Meter:
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._terminal = stream.isatty()
        self._last: object = None

    def step(self, progress: IngestProgress) -> None:
        """Show a step of an ingest."""
        if progress.stage == "memory":
            self.count("memory", progress.done, progress.total, progress.seconds_left)
        else:
            self._show(f"{progress.stage}: {progress.message}" if progress.message else progress.stage)

    def loading(self, fraction: float, message: str) -> None:
        """Show a step of loading the model."""
        self._show(message)

    def count(self, what: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """Show ``done`` of ``total`` tokens or segments."""
        left = "" if seconds_left is None else f", about {seconds_left:.0f} s left"
        self._show(f"{what}: {done:,} of {total:,}{left}", (what, done * TENTHS // max(total, 1)))

    def say(self, sentence: str) -> None:
        """Print a line that stays."""
        self.clear()
        print(sentence, file=self.stream, flush=True)

    def clear(self) -> None:
        """Take the rewritten line away."""
        if self._terminal and self._last is not None:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
        self._last = None

    def _show(self, line: str, step: object = None) -> None:
        step = step or line
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=self.stream, flush=True)
        elif step != self._last:
            print(line, file=self.stream, flush=True)
        self._last = step
