"""Compare times on a busy machine: in a turn every piece of work is done once, and ratios are taken within a turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix

#: Does a piece of work and returns the seconds that one unit of it took.
Work = Callable[[], float]
Clock = Callable[[], float]


@dataclass(frozen=True)
class TurnTimes:
    """Seconds that each piece of work took in each turn, by the name of the work."""

    seconds: Mapping[str, Sequence[float]]

    @property
    def count(self) -> int:
        return min(map(len, self.seconds.values()))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Median over turns of seconds of ``name`` ÷ seconds of ``other``."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def time_in_turns(works: Mapping[str, Work], runs: int, limit_s: float) -> TurnTimes:
    """Time ``runs`` turns of all works, after one to warm up; no turn begins after ``limit_s`` seconds.

    If the limit ends the run early, the first turn counts like the others.
    """
    started = time.perf_counter()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    taken = 0
    while taken == 0 or (taken <= runs and time.perf_counter() - started < limit_s):
        for name, work in works.items():
            seconds[name].append(work())
        taken += 1
    return TurnTimes({name: of_work[taken > runs :] for name, of_work in seconds.items()})


def clock_of(device: torch.device, cpu_time: bool = False) -> Clock:
    """Make a clock of seconds that waits for the device; with ``cpu_time`` of those that a CPU gave to this process.

    On a machine shared with others the second kind is steadier; with several threads it is their sum.
    """
    if device.type == "cuda":

        def synchronized() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return synchronized
    return time.process_time if cpu_time else time.perf_counter


def timed(clock: Clock, work: Callable[[], object]) -> Work:
    """Time ``work`` with ``clock``."""

    def run() -> float:
        started = clock()
        work()
        return clock() - started

    return run


def per_token(
    clock: Clock, decoder: Decoder, prefix: Prefix, prompt: Sequence[int], new: int, between: Work
) -> dict[str, list[float]]:
    """Time each of ``new`` tokens after the first one, and ``between``, which is done before each: seconds.

    The tokens are watched as those of an answer are.
    """
    seconds: dict[str, list[float]] = {"token": [], "between": []}
    steps = decoder.steps([prefix], [prompt], max_new_tokens=new + 1, exactly=True)
    next(steps)
    for _ in range(new):
        seconds["between"].append(between())
        since = clock()
        tokens, _ = next(steps)
        tokens.tolist()
        seconds["token"].append(clock() - since)
    return seconds


def peak(device: torch.device, make: Callable[[], Prefix], work: Callable[[Prefix], object]) -> int:
    """Measure the bytes held for a prefix while ``work`` decodes after it.

    On CUDA the most that was allocated above what was before, copies and activations too; elsewhere the prefix alone.
    """
    if device.type != "cuda":
        return make().nbytes
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work(make())
    return torch.cuda.max_memory_allocated(device) - before
