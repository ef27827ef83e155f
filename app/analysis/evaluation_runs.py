"""Run evaluations from the Lab: the very command of the command line, in a process of its own.

So the workbench stays usable meanwhile, Stop is immediate, and the run names a command that makes it again. It needs
memory for a second model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.errors import CannotEvaluate, NotInDemo
from app.runtime.model import Model
from app.types import CancelCheck, never
from ccf_core import Cancelled
from ccf_core.assets import ranking_of
from ccf_core.evaluation.tasks import TASKS, readers_of
from store import Store

ROOT = Path(__file__).parents[2]
#: Seconds between two looks at how far the process is.
PAUSE_S = 0.3
#: Tokens of the documents of tasks that go up to long ones, for which a laptop takes very long.
LENGTHS = {"needle": ("1000", "2000"), "stream": ("2048",)}
#: Ticked beforehand: what a share of full context needs.
USUAL = ("memory", "full", "none")

Result = dict[str, Any]


def readers(task: str) -> tuple[str, ...]:
    """List the readers to choose from; mean-pooled memories are of other adapters than the workbench uses."""
    return tuple(reader for reader in readers_of(task) if reader != "mean_pool")


class EvaluationRuns:
    def __init__(self, store: Store, model: Model, allowed: bool = True) -> None:
        self.store = store
        self.model = model
        self.allowed = allowed

    def run(
        self, task: str, limit: int, ratios: Sequence[int], readers: Sequence[str], cancelled: CancelCheck = never
    ) -> Iterator[str | Result]:
        """Yield what is being done, line by line, then the result of the evaluation, which is recorded as a run.

        It reads half B of the rows that come with the project; ``limit`` is the command's.

        Raises:
            CannotEvaluate: no such task, nothing chosen, or the evaluation's own sentence.
            NotInDemo: of a visitor, whose evaluations would take the machine from all others.
            Cancelled: of ccf_core; nothing is recorded.
        """
        if not self.allowed:
            raise NotInDemo("Evaluations are off in this demo: run the workbench on a machine of your own for them.")
        if task not in TASKS:
            raise CannotEvaluate(f"There is no evaluation {task!r}: choose from {', '.join(TASKS)}.")
        if limit < 1 or not ratios or not readers:
            raise CannotEvaluate("Choose how many rows to measure, a ratio and a reader.")
        settings, adapter = self.model.settings, str(self.model.adapter)
        if not ranking_of(adapter):
            adapter = str(self.model.folder.resolve())
        given = {"--base": settings.base, "--device": settings.device, "--dtype": settings.dtype}
        given |= {"--memory-dtype": settings.memory_dtype}
        optional = [part for name, value in given.items() if value for part in (name, value)]
        short = ("--lengths", *LENGTHS[task]) if task in LENGTHS else ()
        command = [
            *(sys.executable, "-m", "ccf_core", "evaluate", task, "--half", "B", "--limit", str(limit), *short),
            *("--ratio", *map(str, ratios), "--reader", *readers, "--adapter", adapter),
            *optional,
        ]
        yield "Starting"
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
            try:
                said = ""
                while process.poll() is None:
                    if cancelled():
                        raise Cancelled("The evaluation was stopped; nothing was recorded.")
                    time.sleep(PAUSE_S)
                    if (last := _last_line(log)) and last != said:
                        yield (said := last)
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                raise CannotEvaluate(_last_line(log) or f"The evaluation ended with exit code {process.returncode}.")
            out.seek(0)
            result: Result = json.load(out)
        config = {key: value for key, value in result.items() if key not in ("rows", "seconds")}
        self.store.runs.add(task, config, {key: result[key] for key in ("rows", "seconds")})
        yield result


def _last_line(log: Any) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return lines[-1] if lines else ""
