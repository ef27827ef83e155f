"""Copy the database to a disk that lasts, every few minutes and at the end, and fetch it from there at the start.

For places whose own disk is emptied at every restart and that mount a slower one, as Spaces do at /data. The live
database stays on the local disk.
"""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from typing import Self

from app.documents.examples import MARK
from app.settings import Settings
from app.workbench import Workbench
from store import StoreError

EVERY_S = 600.0

logger = logging.getLogger(__name__)


def restore(settings: Settings) -> bool:
    """Fetch the database from ``settings.snapshot`` unless there is one here; return whether it did. Raises OSError."""
    kept = settings.snapshot and settings.snapshot / settings.database.name
    if not kept or not kept.is_file() or settings.database.exists():
        return False
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _copy(kept, settings.database)
    if kept.with_name(MARK).is_file():
        _copy(kept.with_name(MARK), settings.data_dir / MARK)
    return True


class Snapshots:
    """Keep ``settings.snapshot`` up to date until the block ends; do nothing without one."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self._ending = threading.Event()
        self._worker = threading.Thread(target=self._run, daemon=True)
        self._last: object = None

    def save(self) -> bool:
        """Write the database to the lasting disk; return whether anything was new. Raises StoreError, OSError."""
        settings = self.workbench.settings
        if settings.snapshot is None:
            return False
        now = self.workbench.store.version()
        if now == self._last:
            return False
        # Made here and then carried over: a mounted bucket is no place for SQLite to work in.
        local = settings.data_dir / "snapshot.db"
        self.workbench.store.copy_to(local)
        settings.snapshot.mkdir(parents=True, exist_ok=True)
        _copy(local, settings.snapshot / settings.database.name)
        local.unlink()
        if (settings.data_dir / MARK).is_file():
            _copy(settings.data_dir / MARK, settings.snapshot / MARK)
        self._last = now
        return True

    def _run(self) -> None:
        while not self._ending.wait(EVERY_S):
            self._try()

    def _try(self) -> None:
        try:
            self.save()
        except (StoreError, OSError):  # the disk may be back in ten minutes
            logger.exception("The snapshot could not be written")

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._worker.join()
        self._try()


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(target.name + ".partial")
    shutil.copyfile(source, partial)
    partial.replace(target)
