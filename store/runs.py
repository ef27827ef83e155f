"""Runs: what was measured (evaluation, bench, training), with which settings, and what came out."""

import builtins
import json
from dataclasses import dataclass
from typing import Any

from .connections import Connections
from .rows import now, parsed


@dataclass(frozen=True)
class Run:
    """`config` and `results` are JSON objects; `created_at` is ISO 8601, UTC."""

    id: int
    kind: str
    config: dict[str, Any]
    results: dict[str, Any]
    created_at: str


class Runs:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, kind: str, config: dict[str, Any], results: dict[str, Any]) -> Run:
        """Record a run; NaN and infinities in the numbers survive."""
        row = {
            "kind": kind,
            "config": json.dumps(config),
            "results": json.dumps(results),
            "created_at": now(),
        }
        with self._connections.transaction() as db:
            return _run(row | {"id": db.table("runs").insert(row).last_pk})

    def list(self, kind: str | None = None) -> builtins.list[Run]:
        """Newest first; of one kind, or all."""
        with self._connections.reading() as db:
            rows = db.table("runs").rows_where("? IS NULL OR kind = ?", [kind, kind], order_by="id DESC")
            return [_run(row) for row in rows]


def _run(row: dict[str, Any]) -> Run:
    return Run(**row | {"config": parsed(row["config"]), "results": parsed(row["results"])})
