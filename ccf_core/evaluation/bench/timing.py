"""Times that can be set against one another on a busy machine: works take turns, and ratios are taken turn by turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ccf_core.decoder import Decoder, Prefix

#: What is timed returns its own seconds, for one unit of what it does.
Work = Callable[[], float]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Turns:
    """Seconds of every work in every turn, by name."""

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


def turns(works: Mapping[str, Work], runs: int, limit_s: float) -> Turns:
    """``runs`` turns of every work after one to warm up. None begins after ``limit_s``; if so, all of them count."""
    started = time.perf_counter()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    taken = 0
    while taken == 0 or (taken <= runs and time.perf_counter() - started < limit_s):
        for name, work in works.items():
            seconds[name].append(work())
        taken += 1
    return Turns({name: own[taken > runs :] for name, own in seconds.items()})


def clock_of(device: torch.device, cpu_time: bool = False) -> Clock:
    """Seconds gone by, told when the device is done; with ``cpu_time`` those that a CPU gave to this process.

    On a machine shared with others the second kind is steadier; with several threads it is their sum.
    """
    if device.type == "cuda":

        def told() -> float:
            torch.cuda.synchronize(device)
            return time.perf_counter()

        return told
    return time.process_time if cpu_time else time.perf_counter


def timed(clock: Clock, work: Callable[[], object]) -> Work:
    """Seconds that ``work`` takes."""

    def run() -> float:
        started = clock()
        work()
        return clock() - started

    return run


def per_token(
    clock: Clock, decoder: Decoder, prefix: Prefix, prompt: Sequence[int], new: int, between: Work
) -> dict[str, list[float]]:
    """Seconds of each of ``new`` tokens after the first one that is decoded, and of ``between``, done before each.

    The tokens are watched as those of an answer are.
    """
    seconds: dict[str, list[float]] = {"token": [], "between": []}
    since: list[float] = []

    def tell(ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        if since:
            seconds["token"].append(clock() - since.pop())
        if len(seconds["token"]) < new:
            seconds["between"].append(between())
            since.append(clock())
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    decoder.generate([prefix], [prompt], max_new_tokens=new + 1, exactly=True, stopping_criteria=[tell])
    return seconds


def peak(device: torch.device, make: Callable[[], Prefix], work: Callable[[Prefix], object]) -> int:
    """Bytes held for a prefix while ``work`` decodes after it.

    On CUDA the most that was allocated above what was before, copies and activations too; elsewhere the prefix alone.
    """
    if device.type != "cuda":
        return make().nbytes
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work(make())
    return torch.cuda.max_memory_allocated(device) - before
