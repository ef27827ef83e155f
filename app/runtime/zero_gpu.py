"""Borrow a GPU by the call: on a ZeroGPU Space another process, which has a GPU that long, does the model's work.

The model stays on the CPU of this process, where all that needs no GPU goes on, and where the work is done if none is
to be had. A lent process is a fork of this one: it finds the model in its memory, moves it to the GPU at its first
call, and keeps it there as long as it lives. What goes in and comes out is pickled: token ids, memories on the CPU,
pieces of answers. It opens no database.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import GPUTakenBack, WorkbenchError
from app.runtime.locks import LOOK_EVERY_S
from app.types import CancelCheck
from ccf_core import CCFError
from ccf_core.device import enough_memory

if TYPE_CHECKING:
    from ccf_core import CCF

try:
    from spaces import GPU
except ImportError:  # anywhere but on a Space

    def GPU(task: Any = None, *, duration: Any = None) -> Any:
        return task or (lambda task: task)


#: ``work(ccf, *args, cancelled=…, **options)``, a function of a module, gives its pieces one after the other.
Work = Callable[..., Iterable[Any]]
#: To which a lent process moves the model.
DEVICE = "cuda"
#: Seconds to move the model; tokens a second, read and written: less than half of what docs/speed.md has of an H200.
START_S, READ_A_S, WRITTEN_A_S = 5, 15_000, 20

logger = logging.getLogger(__name__)
#: What a fork of this process finds.
_offered: CCF | None = None


def offer(ccf: CCF) -> None:
    """Set the model that lent processes find, if they are begun from now on."""
    global _offered
    _offered = ccf


def borrow(
    ccf: CCF,
    work: Work,
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    tokens: tuple[int, int],
    cancelled: CancelCheck,
) -> Iterator[Any]:
    """Yield the pieces of ``work`` with ``ccf``, done by a lent process, or by this one if no GPU is to be had.

    tokens : how many are read and, at most, written: what a GPU is asked for so long.

    Raises what the work raises of ccf_core and of the use cases; GPUTakenBack if the process ends before the work does.
    """
    begun = False
    with _stop_file(cancelled) as stop:
        pieces = _lent(work, args, options, stop, tokens, ccf.adapter_fingerprint)
        try:
            for piece, error in pieces:
                if error is not None:
                    raise error
                begun = True
                yield piece
            return
        except (WorkbenchError, CCFError):
            raise
        except Exception as error:  # of the platform: it has no GPU to lend, or took it back
            if begun:
                raise GPUTakenBack("The GPU was taken back before the end: try again, or with less.") from error
            logger.warning("No GPU is lent (%s); the work is done on the CPU", error)
        finally:
            # First, for closing waits until the process has noticed.
            Path(stop).touch()
            pieces.close()
    yield from work(ccf, *args, cancelled=cancelled, **options)


def seconds(
    work: Work, args: tuple[Any, ...], options: Mapping[str, Any], stop: str, tokens: tuple[int, int], adapter: str
) -> int:
    """Estimate for how many seconds a GPU is needed."""
    read, written = tokens
    return START_S + read // READ_A_S + written // WRITTEN_A_S


@GPU(duration=seconds)
def _lent(
    work: Work, args: tuple[Any, ...], options: Mapping[str, Any], stop: str, tokens: tuple[int, int], adapter: str
) -> Iterator[tuple[Any, Exception | None]]:
    """Yield, in the lent process, (piece, None), or (None, why there are no more); of an exception the platform keeps
    but the name of its class."""
    ccf = _moved()
    if ccf.adapter_fingerprint != adapter:
        raise RuntimeError("this process was begun under another adapter")
    try:
        with enough_memory():
            for piece in work(ccf, *args, cancelled=Path(stop).exists, **options):
                yield piece, None
    except (WorkbenchError, CCFError) as error:
        yield None, error


def _moved() -> CCF:
    if _offered is None:
        raise RuntimeError("this process was begun before the model was loaded")
    if _offered.model.device.type != DEVICE:
        _offered.to(DEVICE)
    import torch

    # The threads of OpenMP do not survive a fork.
    torch.set_num_threads(1)
    return _offered


@contextmanager
def _stop_file(cancelled: CancelCheck) -> Iterator[str]:
    """Yield the path of a file that is created once ``cancelled()`` is true, for another process to look at."""
    over = threading.Event()
    with tempfile.TemporaryDirectory(prefix="ccf-") as folder:
        stop = Path(folder) / "stop"

        def watch() -> None:
            while not over.wait(LOOK_EVERY_S):
                if cancelled():
                    stop.touch()
                    return

        watching = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
        watching.start()
        try:
            yield str(stop)
        finally:
            over.set()
            watching.join()
