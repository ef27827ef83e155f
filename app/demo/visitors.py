"""Keep the visitors of a public demo apart: a folder and a workbench for each, one model for all.

Data of two visitors are never in one file: no query can forget to tell them apart, and what one visitor stored makes
nothing faster for another. A visitor is known by a token alone, of which the folder holds the SHA-256.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from app.documents.examples import MARK, take_in
from app.errors import DemoFull, UnknownVisitor
from app.limits import Demo
from app.runtime import malloc
from app.workbench import Workbench

FOLDER = "visitors"
#: File in a visitor's folder: SHA-256 of the token, in hex; its modification time is the visitor's last request.
OWNER = "owner"
SWEEP_EVERY_S = 60.0
#: An unused workbench is closed after this time; its folder stays.
IDLE_S = 600.0
TOUCH_EVERY_S = 60.0
#: Uploads are deleted after this time: the document is in the database long before.
UPLOADED_S = 1800.0

FULL = "This demo has as many visitors as it can take: come back later, or run it yourself."

logger = logging.getLogger(__name__)


@dataclass
class _Visitor:
    folder: Path
    digest: str
    seen: float
    #: When the owner file was last touched.
    touched: float
    workbench: Workbench | None = None


class Visitors:
    """The visitors of a demo. Each begins with a copy of the data of ``template``; all share its model.

    May be called from any thread. ``uploads`` has a folder for each visitor's uploads. ``clock`` tells seconds since
    1970.
    """

    def __init__(self, template: Workbench, demo: Demo, uploads: Path, clock: Callable[[], float] = time.time) -> None:
        self.template = template
        self.demo = demo
        self.uploads = uploads.resolve()
        self._clock = clock
        self._home = template.settings.data_dir / FOLDER
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._sweeper: threading.Thread | None = None
        self._known: dict[str, _Visitor] = {}
        #: How many visitors' data are being copied.
        self._arriving = 0
        self._home.mkdir(parents=True, exist_ok=True)
        for folder in self._home.iterdir():
            self._find(folder)

    # Tokens

    def issue(self) -> str:
        """Make a token for a new visitor: 256 random bits, to be kept by the visitor alone.

        Raises:
            DemoFull: there are as many visitors as there may be, and all of them were here lately.
            StoreUnavailable: there is no room for their data.
        """
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._make_room()
            self._arriving += 1
        folder = self._home / secrets.token_hex(8)
        try:
            # Copying takes long beside a busy model, and nobody else has to wait for it.
            folder.mkdir()
            self.template.store.copy_to(folder / self.template.settings.database.name)
            mark = self.template.settings.data_dir / MARK
            if mark.exists():
                shutil.copy(mark, folder / MARK)
            _write(folder, _digest(token))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with self._lock:
                self._arriving -= 1
                if folder.exists():
                    self._find(folder)
        return token

    def knows(self, token: str) -> bool:
        with self._lock:
            return _digest(token) in self._known

    def rotate(self, token: str) -> str:
        """Replace a visitor's token; the old one is nobody's from now on. Raises UnknownVisitor."""
        new = secrets.token_urlsafe(32)
        with self._lock:
            visitor = self._visitor(token)
            _write(visitor.folder, _digest(new))
            del self._known[visitor.digest]
            visitor.digest = _digest(new)
            self._known[visitor.digest] = visitor
        return new

    def forget(self, token: str) -> None:
        """Delete all that a visitor has. Raises UnknownVisitor."""
        with self._lock:
            visitor = self._known.pop(self._visitor(token).digest)
        self._delete(visitor)

    # Their data

    def name(self, token: str) -> str:
        """Name the visitor's folder, which identifies the visitor without the token. Raises UnknownVisitor.

        Waits for no lock: every request asks for it, in the one thread that serves them all.
        """
        return self._visitor(token).folder.name

    def workbench(self, token: str) -> Workbench:
        """Open the visitor's workbench, start its queue, and note the visit. Raises UnknownVisitor."""
        with self._lock:
            visitor = self._visitor(token)
            self._touch(visitor)
            if visitor.workbench is None:
                settings = self.template.settings
                own = replace(
                    settings, data_dir=visitor.folder, demo=None, caps=self.demo.caps, login=(), snapshot=None
                )
                visitor.workbench = self.template.beside(own)
                visitor.workbench.queue.start()
                # What the template did not have yet; nothing, unless this is the first minute of the demo.
                intake = visitor.workbench.intake
                threading.Thread(target=take_in, args=(intake, visitor.folder), daemon=True).start()
            return visitor.workbench

    # Their end

    def start(self) -> None:
        """Sweep every minute, on a thread of its own; free memory then goes back to the system."""
        self._sweeper = threading.Thread(target=self._sweep_on, daemon=True)
        self._sweeper.start()

    def sweep(self) -> None:
        """Delete visitors whose time is over; close workbenches that nobody uses and that have nothing to do."""
        now = self._clock()
        with self._lock:
            over = [v for v in self._known.values() if now - v.seen > self.demo.ttl_s]
            for visitor in over:
                del self._known[visitor.digest]
            resting = []
            for visitor in self._known.values():
                used = visitor.workbench
                if used is not None and now - visitor.seen > IDLE_S and not _busy(used):
                    visitor.workbench = None
                    resting.append(used)
        for visitor in over:
            self._delete(visitor)
        for workbench in resting:
            workbench.close()
        for kept in self.uploads.glob("*/*"):
            if now - kept.stat().st_mtime > UPLOADED_S:
                shutil.rmtree(kept, ignore_errors=True)

    def close(self) -> None:
        """Close every workbench but the template; nothing is deleted."""
        self._ending.set()
        if self._sweeper is not None:
            self._sweeper.join()
        with self._lock:
            for visitor in self._known.values():
                if visitor.workbench is not None:
                    visitor.workbench.close()
            self._known.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _visitor(self, token: str) -> _Visitor:
        visitor = self._known.get(_digest(token))
        if visitor is None:
            raise UnknownVisitor("This demo does not know you, or no longer: reload the page, or ask for a new token.")
        return visitor

    def _find(self, folder: Path) -> None:
        """Register a visitor's folder, or delete it if it is not whole."""
        owner = folder / OWNER
        if not owner.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            return
        digest = owner.read_text(encoding="ascii")
        seen = owner.stat().st_mtime
        self._known[digest] = _Visitor(folder, digest, seen, seen)

    def _touch(self, visitor: _Visitor) -> None:
        visitor.seen = self._clock()
        if visitor.seen - visitor.touched > TOUCH_EVERY_S:
            os.utime(visitor.folder / OWNER, (visitor.seen, visitor.seen))
            visitor.touched = visitor.seen

    def _make_room(self) -> None:
        if len(self._known) + self._arriving < self.demo.visitors:
            return
        if not self._known:
            raise DemoFull(FULL)
        longest = min(self._known.values(), key=lambda visitor: visitor.seen)
        if self._clock() - longest.seen < self.demo.spared_s:
            raise DemoFull(FULL)
        del self._known[longest.digest]
        self._delete(longest)

    def _delete(self, visitor: _Visitor) -> None:
        if visitor.workbench is not None:
            visitor.workbench.close()
        shutil.rmtree(visitor.folder, ignore_errors=True)
        shutil.rmtree(self.uploads / visitor.folder.name, ignore_errors=True)

    def _sweep_on(self) -> None:
        while not self._ending.wait(SWEEP_EVERY_S):
            try:
                self.sweep()
            except Exception:  # a full or failing disk: another try in a minute
                logger.exception("Visitors could not be swept")
            malloc.give_back()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _write(folder: Path, digest: str) -> None:
    partial = folder / f"{OWNER}.partial"
    partial.write_text(digest, encoding="ascii")
    partial.replace(folder / OWNER)


def _busy(workbench: Workbench) -> bool:
    return any(job.state in ("queued", "running") for job in workbench.queue.list())
