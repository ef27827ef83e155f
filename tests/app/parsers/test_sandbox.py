"""A file of which nothing is known is read in another process, which ends with the call, whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.parsers import Limits, ReadingStopped, UnsupportedDocument, read, read_in_sandbox
from app.parsers.sandbox_worker import GRACE_S
from app.workbench import Workbench
from ccf_core import Cancelled
from tests.app.parsers.hostile import pdf_of, shown

ROOT = Path(__file__).parents[3]
#: Putting the marks of a letter in order takes the square of their number, here about an hour.
ENDLESS = ("a" + "\u0301\u0316" * 1_000_000).encode()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[psutil.Process]:
    """The processes that were started, by the operating system's own account."""
    seen: list[psutil.Process] = []

    class Watched(subprocess.Popen):
        def __init__(self, *args: object, **named: object) -> None:
            super().__init__(*args, **named)  # type: ignore[call-overload]
            seen.append(psutil.Process(self.pid))

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return seen


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


def test_text_pages_title_and_notes_come_through() -> None:
    data = pdf_of([shown("One."), b"", shown("Three \\(3\\).")])
    document = read_in_sandbox(data, "kept.pdf")
    assert document == read(data, "kept.pdf")
    assert [page.number for page in document.pages] == [1, 3]
    assert document.notes == ("Page 2 holds no text (perhaps a scan).",)


def test_an_error_comes_through_with_its_sentence() -> None:
    with pytest.raises(UnsupportedDocument, match="a PNG image, whatever its name says; choose"):
        read_in_sandbox(b"\x89PNG\r\n\x1a\n" + bytes(40), "x.pdf")


def test_too_long_is_ended_and_said(started: list[psutil.Process]) -> None:
    with pytest.raises(ReadingStopped, match=r"takes longer than 1.5 s; save its text alone"):
        read_in_sandbox(ENDLESS, "marks.txt", Limits(seconds=1.5))
    assert len(started) == 1
    assert not started[0].is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its address space")
def test_too_much_memory_is_refused_and_said(started: list[psutil.Process]) -> None:
    with pytest.raises(ReadingStopped, match=r"takes more than 0.2 GB of memory; save its text alone"):
        read_in_sandbox(("😀" * 9_000_000).encode(), "big.txt", Limits(memory=200_000_000))
    assert not started[0].is_running()


def test_cancelling_ends_it(started: list[psutil.Process]) -> None:
    looks = 0

    def cancel() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        read_in_sandbox(ENDLESS, "marks.txt", watch=cancel)
    assert looks == 3
    assert not started[0].is_running()


def test_a_process_that_breaks_down_is_a_sentence(started: list[psutil.Process], caplog) -> None:
    with pytest.raises(ReadingStopped, match="brought its reader down; save its text alone"):
        read_in_sandbox(ENDLESS, "marks.txt", watch=lambda: started[0].kill())
    assert "A parser ended with" in caplog.text


def test_a_large_file_comes_through_whole() -> None:
    """More than a pipe holds, in and out, while the caller looks at the clock."""
    words = "word " * 1_900_000
    assert read_in_sandbox(words.encode(), "words.txt").text == words.rstrip()


def test_it_ends_by_itself_if_nobody_is_left_to_end_it() -> None:
    """A reader whose caller was killed: the time it has is over some seconds after the caller's."""
    script = "import sys; sys.path[:] = sys.argv[1:]; from app.parsers.sandbox_worker import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script, *sys.path], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as left:
        assert left.stdin is not None
        left.stdin.write(json.dumps({"filename": "x.txt", "limits": {"seconds": 0.5 - GRACE_S + 1}}).encode() + b"\n")
        left.stdin.write(ENDLESS)
        left.stdin.close()
        assert left.wait(timeout=60) == 1


def test_the_process_has_no_use_for_torch_or_the_rest_of_the_app() -> None:
    """What makes it start at once: nothing but the readers and one library is imported."""
    script = (
        "import sys; import app.parsers.pdf.reader; import app.parsers.sandbox_worker; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert not {"torch", "transformers", "gradio", "sqlite3", "docx", "bs4", "markdown_it"} & set(loaded.split())


def test_a_job_is_cancelled_while_its_file_is_read(workbench: Workbench, started, tmp_path: Path) -> None:
    path = tmp_path / "marks.txt"
    path.write_bytes(ENDLESS)
    with pytest.raises(Cancelled, match="nothing was changed"):
        workbench.intake.ingest_file(path, cancelled=lambda: len(started) > 0)
    assert not started[0].is_running()
    assert workbench.library.documents() == []


def test_a_file_that_stops_its_reader_leaves_the_next_one_alone(
    workbench: Workbench, started: list[psutil.Process], tmp_path: Path, prose
) -> None:
    for name, data in (("marks.txt", ENDLESS), ("log.txt", prose(60).encode())):
        (tmp_path / name).write_bytes(data)
        workbench.queue.add_file(tmp_path / name)
    threading.Thread(target=lambda: until(lambda: bool(started)) or started[0].kill()).start()
    while workbench.queue.work():
        pass
    first, second = workbench.queue.list()
    assert (first.state, second.state) == ("failed", "stored")
    assert "brought its reader down" in first.reason
