"""The tasks of ``python -m ccf_core evaluate`` by name, each a module that is imported when it is first used.

A task has the attributes of ``Task``; its results can be reported and shown without a line anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ccf_core.registry import Registry

if TYPE_CHECKING:
    from ccf_core.evaluation.rows import Row
    from ccf_core.evaluation.subject import Options, Subject


class Task(Protocol):
    """The attributes of a module in this folder.

    ABOUT : what is measured, in a sentence or two.  DATA : its file of rows in ``rows.DATA``.
    FIELDS : what a row must have.  READERS : who can be measured.
    METRIC : the score that figures draw, LABEL on their axis, SHORT_LABEL in a table.  COUNTED : what a row of data is.
    DRAWN : keys and values of the result rows that figures draw.  MAIN : of those that tell the main score.
    A module may have LINES, the key that tells lines of one reader apart.
    """

    ABOUT: str
    DATA: str
    FIELDS: tuple[str, ...]
    READERS: tuple[str, ...]
    METRIC: str
    LABEL: str
    SHORT_LABEL: str
    COUNTED: str
    DRAWN: Mapping[str, Any]
    MAIN: Mapping[str, Any]

    def evaluate(self, subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
        """Measure: (how much was measured, result rows with ``reader``, ``ratio``, ``n``, ``metrics``, ``ci95``)."""


_HERE = "ccf_core.evaluation.tasks"

TASKS: Registry[Task] = Registry(
    {
        "reconstruct": f"{_HERE}.reconstruct",
        "perplexity": f"{_HERE}.perplexity",
        "stream": f"{_HERE}.stream",
        "qa": f"{_HERE}.qa",
        "longqa": f"{_HERE}.longqa",
        "needle": f"{_HERE}.needle",
        "evidence": f"{_HERE}.evidence",
        "peers": f"{_HERE}.peers",
    }
)


def readers_of(name: str) -> tuple[str, ...]:
    """List the readers that a task measures: its own list, and those that name it in ``Reader.tasks``."""
    from ccf_core.evaluation.readers import READERS

    listed = TASKS[name].READERS
    return (*listed, *(each for each, reader in READERS.items() if name in reader.tasks and each not in listed))
