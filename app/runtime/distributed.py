"""Deal work out among the processes that ``accelerate launch`` started.

The first one, the main process, deals shares out and takes the results in; the others work on what they are
given. Everything goes in rounds of one share a process, as bytes over gloo, so that GPUs need no link to one another.
Started without a launcher there is one process, and the same code deals to it alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from app.errors import ProcessFailed
from ccf_core.device import choose_device
from ccf_core.errors import CCFError

#: The main process may read files for long while the others wait; one that is gone is noticed by its closed socket.
PATIENCE = timedelta(days=7)

Share = TypeVar("Share")
Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """What a process sends instead of its result."""

    reason: str


class Processes:
    """All processes of this launch, seen from this one; to be closed.

    device : where this one's model runs: as asked for, on the GPU of its own if there are several.

    Raises DeviceUnavailable.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device
        self.index, self.count = 0, 1
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            chosen = choose_device(device)
            state = PartialState(cpu=chosen.type != "cuda", backend="gloo", timeout=PATIENCE)
            self.index, self.count = state.process_index, state.num_processes
            self.device = str(state.device if chosen.type == "cuda" else chosen)

    @property
    def main(self) -> bool:
        return self.index == 0

    def close(self) -> None:
        if self.count > 1:
            from torch import distributed

            distributed.destroy_process_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def agree(self, value: Callable[[], str]) -> None:
        """Check that ``value()`` is the same in all processes, each of which calls this.

        Raises ProcessFailed, and what ``value`` raises.
        """
        values = self._gather(value() if self.main else _attempt(value))
        if any(one != values[0] for one in values):
            raise ProcessFailed(
                "The processes do not have the same model: give every host the same base, adapter and version."
            )

    def deal(
        self, work: Callable[[Given], Result], shares: Iterable[Share], given: Callable[[Share], Given]
    ) -> Iterator[list[tuple[Share, Result]]]:
        """Yield shares with their results, in order, a round at a time; for the main process.

        ``work(given(share))`` is what is done, in whichever process. Raises ProcessFailed when another process
        fails or is gone, and what ``work`` raises in this one.
        """
        remaining = iter(shares)
        while dealt := list(islice(remaining, self.count)):
            sent = [(given(share),) for share in dealt]
            self._scatter([*sent, *[()] * (self.count - len(dealt))])
            results = self._gather(work(*sent[0]))
            yield list(zip(dealt, results, strict=False))

    def dismiss(self) -> None:
        """Let the other processes go, whose ``serve`` then returns; for the main process."""
        self._scatter([None] * self.count)

    def serve(self, work: Callable[[Any], object]) -> None:
        """Work off what the main process deals out until it says that this is all; for the other processes.

        Raises ProcessFailed when the main process is gone.
        """
        while (dealt := self._scatter([])) is not None:
            self._gather(_attempt(partial(work, *dealt)) if dealt else None)

    def _scatter(self, dealt: list[tuple[Any, ...] | None]) -> tuple[Any, ...] | None:
        """Receive from the main process a share, () for none in this round, or None if there are no more."""
        if self.count == 1:
            return None
        given: list[Any] = [None]
        with _linked() as group:
            group.scatter_object_list(given, dealt or None, src=0)
        return given[0]

    def _gather(self, value: object) -> list[Any]:
        """Collect in the main process what every process passed; the others get nothing."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count if self.main else []
        with _linked() as group:
            group.gather_object(value, values if self.main else None, dst=0)
        for index, one in enumerate(values):
            if isinstance(one, Failed):
                raise ProcessFailed(
                    f"Process {index} of {self.count} failed ({one.reason}): mend that and run the command again; "
                    "what is stored is kept."
                )
        return values


def _attempt(work: Callable[[], object]) -> object:
    """Return what ``work`` returns, and a failure as a value, for another process has to hear of it."""
    try:
        return work()
    except Exception as error:
        return Failed(str(error).rstrip(".") if isinstance(error, CCFError) else f"{type(error).__name__}: {error}")


@contextmanager
def _linked() -> Iterator[Any]:
    """Yield ``torch.distributed``; raise ProcessFailed if a process that it reaches has ended."""
    from torch import distributed

    try:
        yield distributed
    except RuntimeError as error:
        raise ProcessFailed(
            "Another process has ended before its time: see what it said, and run the command again; "
            "what is stored is kept."
        ) from error
