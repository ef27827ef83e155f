"""``python -m tests.kill_points BASE ADAPTER``: the workbench killed at seeded points of ingest and answer.

Every point is a process of its own that queues two texts, compresses them and asks, beside a document that was stored
before. A quarter of them is killed (SIGKILL) as it begins a seeded SQL statement of the ingest, a quarter at one of
the answer, and half by the kernel (SIGXFSZ) as they write a seeded byte of a file, in the middle of a page. The next
process has to find what the killed one had told as done, and going on it has to come to what an undisturbed process
comes to. One JSON object is printed; the exit code is 1 if anything is wrong.

Processes are forked from one that has only imported; POSIX alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from app.settings import Settings
from app.workbench import Workbench
from ccf_core.model.encoder import Encoder
from tests.tiny_models import WORDS

QUESTION = "How many ships are there?"
#: Below it nothing but SQLite's shared index is written: 32 KB before the first page.
FIRST_BYTE = 40_000
#: Statements until all is stored, statements in all, bytes of the longest file: of an undisturbed process.
MEASURED = ("ingest", "statements", "bytes")

Tell = Callable[..., None]
Told = list[list[Any]]


@dataclass(frozen=True)
class Point:
    """``at``: a statement by its number, or the size in bytes that no file outgrows."""

    kind: str
    at: int

    def arm(self) -> None:
        """From here on this process dies when it gets there."""
        if self.kind == "byte":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.at, self.at))
        else:
            count_statements(self.at)


def count_statements(last: int = 0) -> list[str]:
    """The SQL statements that this process begins, on any connection; it is killed as it begins number ``last``."""
    begun: list[str] = []

    def trace(statement: str) -> None:
        begun.append(statement[:60])
        if len(begun) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(trace)
        return connection

    connect, sqlite3.connect = sqlite3.connect, traced  # type: ignore[assignment]
    return begun


def text_of(name: str, words: int) -> str:
    return f"Log of {name}. " + " ".join(random.Random(name).choices(WORDS, k=words)) + "."


TEXTS = {name: text_of(name, words) for name, words in (("old", 150), ("first", 300), ("second", 120))}
NEW = ("first", "second")


def forked(work: Callable[[Tell], None]) -> tuple[int, Told]:
    """(exit code, or less the signal that killed it; what it told) of a process that does ``work``."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                work(lambda *words: print(json.dumps(words), file=pipe, flush=True))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        told = [json.loads(line) for line in pipe]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def shas(workbench: Workbench) -> dict[str, str]:
    return {view.title: view.sha256 for view in workbench.library.documents()}


def before(settings: Settings, tell: Tell) -> None:
    """One document, whole, with a conversation about it."""
    with Workbench(settings) as workbench:
        old = workbench.intake.ingest_text(TEXTS["old"], "old").document.sha256
        chat = workbench.conversations.new("Ships", [old])
        list(workbench.asking.ask(QUESTION, [old], chat=chat.id, max_new_tokens=8))
        tell("chat", chat.id)


def use(settings: Settings, chat: int, point: Point | None, tell: Tell) -> None:
    """What is killed. Whatever was told must outlive it."""
    begun = [] if point else count_statements()
    if point:
        point.arm()
    with Workbench(settings) as workbench:
        for name in NEW:
            workbench.queue.add_text(TEXTS[name], name)
            tell("queued", name)
        while workbench.queue.work():
            tell("stored", sum(job.state == "stored" for job in workbench.queue.list()))
        tell("ingest", len(begun))
        found = shas(workbench)
        list(workbench.asking.ask(QUESTION, [found[name] for name in TEXTS], chat=chat, max_new_tokens=8))
        tell("answered")
        tell("statements", len(begun))
        tell("bytes", workbench.store.path.with_name(workbench.store.path.name + "-wal").stat().st_size)


def go_on(settings: Settings, chat: int, told: Told, tell: Tell) -> None:
    """The next start: what was kept, what was lost, and what all comes to once the rest is done."""
    encoded: list[int] = []
    encode = Encoder.begin

    def counting(self: Encoder, segments: Any, *how: Any) -> Any:
        encoded.extend(map(len, segments))
        return encode(self, segments, *how)

    Encoder.begin = counting  # type: ignore[method-assign]
    with Workbench(settings) as workbench:
        with workbench.store.transaction() as db:
            tell(
                "integrity",
                db.execute("PRAGMA integrity_check").fetchall(),
                db.execute("PRAGMA foreign_key_check").fetchall(),
            )
        jobs = workbench.queue.list()
        names = {job.name for job in jobs} | shas(workbench).keys()
        lost = [word for kind, *rest in told if kind == "queued" for word in rest if word not in names]
        stored = max((rest[0] for kind, *rest in told if kind == "stored"), default=0)
        if sum(job.state == "stored" for job in jobs) < stored:
            lost.append("a finished job")
        if len(workbench.conversations.messages(chat)) < (4 if ["answered"] in told else 2):
            lost.append("an answer")
        tell("lost", lost)
        workbench.model.load()
        for name in NEW:
            if name not in names:
                workbench.queue.add_text(TEXTS[name], name)
        kept = sum(view.compressed_segments for view in workbench.library.documents())
        workbench.queue.start()
        while any(job.state in ("queued", "running") for job in workbench.queue.list()):
            time.sleep(0.01)
        views = {view.title: view for view in workbench.library.documents()}
        tell("again", kept + len(encoded) - sum(view.segments or 0 for view in views.values()))
        tell(
            "documents",
            {name: (v.sha256, v.state, v.segments, *digests(workbench, v.sha256)) for name, v in views.items()},
        )
        if len(workbench.conversations.messages(chat)) == 2:
            list(workbench.asking.ask(QUESTION, [views[name].sha256 for name in TEXTS], chat=chat, max_new_tokens=8))
        tell("jobs", [(job.name, job.state, job.reason) for job in workbench.queue.list()])
        tell("chat", [(message.role, message.content) for message in workbench.conversations.messages(chat)])
        tell("asked", [*workbench.asking.ask(QUESTION, [views["old"].sha256], 4, max_new_tokens=8)][-1].text)


def digests(workbench: Workbench, document: str) -> Iterator[str]:
    """Of a document's text, of its memory, and what had to be mended in it."""
    yield sha256(workbench.library.text(document).encode()).hexdigest()
    recalled = workbench.memories.recall(document, workbench.model.ratios[0])
    tensors = (t for _, _, block in recalled.memory.parts() for t in block.tensors().values())
    yield sha256(b"".join(t.contiguous().view(torch.uint8).numpy().tobytes() for t in tensors)).hexdigest()
    yield " ".join(recalled.notes)


def points(count: int, ingest: int, statements: int, nbytes: int, rng: random.Random) -> Iterator[Point]:
    """Statements of ingest, statements of the answer, bytes: each spread evenly over the whole."""
    answers, written = count // 4, count // 2
    for kind, first, last, number in (
        ("statement", 1, ingest, count - answers - written),
        ("statement", ingest, statements, answers),
        ("byte", FIRST_BYTE, nbytes, written),
    ):
        for index in range(number):
            step = (last - first) / number
            yield Point(kind, int(first + step * (index + rng.random())))


def run(base: Path, adapter: Path, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """See the module's docstring."""
    started = time.perf_counter()
    torch.set_num_threads(1)
    os.environ["CCF_CACHE"] = str(folder / "cache")

    def settings(name: str) -> Settings:
        return Settings(folder / name, adapter=adapter, base=str(base), device="cpu", dtype="float32")

    def copy(name: str) -> Settings:
        shutil.copytree(folder / "before", folder / name)
        return settings(name)

    status, told = forked(partial(before, settings("before")))
    assert status == 0, "the document of before could not be stored"
    chat = told[-1][1]
    whole = copy("whole")
    status, told = forked(partial(use, whole, chat, None))
    assert status == 0, "the undisturbed process failed"
    measured = {kind: rest[0] for kind, *rest in told if rest}
    status, expected = forked(partial(go_on, whole, chat, told))
    assert status == 0, "what comes after the undisturbed process failed"
    wrong: list[str] = []
    stages = dict.fromkeys(("nothing", "queued", "stored", "ingest", "answered"), 0)
    done = 0
    for point in points(count, *(measured[name] for name in MEASURED), random.Random(seed)):
        own = copy("killed")
        status, told = forked(partial(use, own, chat, point))
        if status not in (-signal.SIGKILL, -signal.SIGXFSZ):
            wrong.append(f"{point}: not killed, but {status}")
        stages[told[-1][0] if told else "nothing"] += 1
        status, found = forked(partial(go_on, own, chat, told))
        if (status, found) != (0, expected):
            differing = [one for one in found if one not in expected]
            wrong.append(f"{point} after {told[-1:]}: exit {status}, {differing}")
        shutil.rmtree(own.data_dir)
        done += 1
    return {
        "points": done,
        "seed": seed,
        **{name: measured[name] for name in MEASURED},
        "killed_after": stages,
        "wrong": wrong,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_points", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=6)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(args.base, args.adapter, args.points, args.seed, Path(folder))
    print(json.dumps(report, indent=2))
    return int(bool(report["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
