"""Read the rows of an evaluation, halve them by document and sample them evenly over sources."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from ccf_core.assets import asset
from ccf_core.errors import CCFError
from ccf_core.rows import read_rows

Row = dict[str, Any]
Half = Literal["A", "B"]
T = TypeVar("T")

#: Rows that come with the project; a task's own file is the default of ``--data``.
DATA = asset("evaluation")


class EvaluationError(CCFError):
    """An evaluation cannot run as asked; the message says what to change."""


def located(data: Path) -> Path:
    """Find a file of rows: the one given, or the one in ``DATA`` that a bare name stands for, such as ``qa_ood``."""
    shipped = DATA / f"{data.name}.jsonl.xz"
    return shipped if data == Path(data.name) and shipped.is_file() and not data.exists() else data


def load_rows(path: Path, fields: Sequence[str]) -> list[Row]:
    """Read all rows of a file, each with ``fields``; see ``read_rows``, which raises BadRows."""
    return list(read_rows(path, fields))


def half_of(row: Row) -> Half:
    """Tell a row's half: A if the SHA-256 of its title, else context, else text is an even number, B if odd."""
    name = row.get("title") or row.get("context") or row.get("text") or json.dumps(row, sort_keys=True)
    return "B" if hashlib.sha256(str(name).encode()).digest()[-1] % 2 else "A"


def choose(rows: Sequence[Row], half: Half | None, sources: Sequence[str]) -> list[Row]:
    """Choose the rows of one half and of some sources (all, if none are named); EvaluationError if none are left."""
    known = {source_of(row) for row in rows}
    for source in sources:
        if source not in known:
            raise EvaluationError(f"There is no source {source!r}: choose from {', '.join(sorted(known))}.")
    kept = [row for row in rows if (not half or half_of(row) == half) and (not sources or source_of(row) in sources)]
    if not kept:
        raise EvaluationError("No rows are left to evaluate: give more data, or both halves.")
    return kept


def source_of(row: Row) -> str:
    return str(row.get("source", "unnamed"))


def stratified(items: Sequence[T], source: Callable[[T], str], limit: int | None, seed: int) -> list[T]:
    """Draw at most ``limit`` items, sources taking turns until each has no more; shuffled within a source."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(source(item), []).append(item)
    for name, group in groups.items():
        random.Random(f"{seed}:{name}").shuffle(group)
    rounds = itertools.zip_longest(*(groups[name] for name in sorted(groups)))
    taken = (item for turn in rounds for item in turn if item is not None)
    return list(itertools.islice(taken, limit))
