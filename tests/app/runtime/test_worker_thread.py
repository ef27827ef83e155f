"""The thread on which a model computes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.runtime.worker_thread import WorkerThread
from app.workbench import Workbench
from ccf_core import CCF

TEXT = b"Ann Baker lives in Oslo and mends clocks."


def test_all_callers_compute_on_one_thread(workbench: Workbench, monkeypatch) -> None:
    threads: list[int] = []
    encode = CCF.encode

    def noted(self: CCF, *args: object, **options: object) -> object:
        threads.append(threading.get_ident())
        return encode(self, *args, **options)

    monkeypatch.setattr(CCF, "encode", noted)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda i: workbench.intake.ingest(b"%d " % i + TEXT, f"{i}.txt"), range(6)))
    assert len(threads) >= 6
    assert len(set(threads)) == 1


def test_pieces_are_made_when_they_are_asked_for_and_their_work_is_ended_where_it_began() -> None:
    made: list[tuple[object, int]] = []

    def work() -> Iterator[int]:
        try:
            for i in range(9):
                made.append((i, threading.get_ident()))
                yield i
        finally:
            made.append(("end", threading.get_ident()))

    worker = WorkerThread()
    pieces = worker.pieces(work)
    assert [next(pieces), next(pieces)] == [0, 1]
    assert [what for what, _ in made] == [0, 1]
    pieces.close()
    assert [what for what, _ in made] == [0, 1, "end"]
    assert len({thread for _, thread in made}) == 1
    assert made[0][1] != threading.get_ident()
    assert list(worker.pieces(lambda: [])) == []


def test_errors_arrive_and_the_next_work_is_done() -> None:
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("of the work")

    worker = WorkerThread()
    pieces = worker.pieces(fails)
    assert next(pieces) == 1
    with pytest.raises(ValueError, match="of the work"):
        next(pieces)
    assert list(worker.pieces(lambda: range(3))) == [0, 1, 2]
