"""Read a file in a process of its own, which ends when its time or memory is used up, whatever the file does to it.

The process is handed the file's bytes and hands back JSON, a line for each step that it tells and the last for the
text: nothing that a file brings about in there runs out here.
"""

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

from app.parsers import errors
from app.parsers.types import DEFAULT_LIMITS, LeftOut, Limits, Page, ReadDocument

LOOK_EVERY_S = 0.1
# The packages of this process by its own path: without Python's site module the other one starts sooner.
_START = "import sys; sys.path[:] = sys.argv[1:]; from app.parsers.sandbox_worker import main; main()"

logger = logging.getLogger(__name__)


def read_in_sandbox(
    data: bytes,
    filename: str,
    limits: Limits = DEFAULT_LIMITS,
    watch: Callable[[], object] = lambda: None,
    progress: Callable[[str], object] = lambda step: None,
) -> ReadDocument:
    """Run `read` in a process of its own, for files of which nothing is known.

    `watch` is called several times a second; what it raises ends the process and is raised here. `progress` is told
    how far a long reading is. The process never outlives this call, nor for long the one that it was started by.

    Raises:
        ReadingStopped: time or memory was used up, or the process broke down.
        The other errors of `read`.
    """
    limits.check_size(len(data))
    request = json.dumps({"filename": filename, "limits": asdict(limits)}).encode() + b"\n" + data
    command = [sys.executable, "-I", "-S", "-c", _START, *sys.path]
    pipe = subprocess.PIPE
    steps: deque[str] = deque(maxlen=1)
    with (
        tempfile.TemporaryFile() as complaint,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaint) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        conversation = pool.submit(_converse, process, request, steps)

        def look() -> None:
            watch()
            if steps:
                progress(steps.pop())

        try:
            answer = _outcome(conversation, limits, look)
        finally:
            process.kill()
        if process.wait() != 0:
            complaint.seek(0)
            said = complaint.read()[-2000:].decode(errors="replace")
            logger.warning("A parser ended with %s: %s", process.returncode, said)
            raise errors.ReadingStopped(
                "The document brought its reader down; save its text alone, as plain text, and try again."
            )
    return _unpacked(answer)


def _converse(process: subprocess.Popen[bytes], request: bytes, steps: deque[str]) -> dict:
    """Hand the request over; keep the steps that are told, and return the answer, nothing if there is none."""
    assert process.stdin and process.stdout
    with contextlib.suppress(BrokenPipeError), process.stdin as given:  # the process broke down before it had read all
        given.write(request)
    answer: dict = {}
    for line in process.stdout:
        if line.endswith(b"\n"):  # what was cut off is no answer
            answer = json.loads(line)
        if "step" in answer:
            steps.append(answer["step"])
    process.wait()
    return answer


def _outcome(conversation: Future[dict], limits: Limits, look: Callable[[], object]) -> dict:
    """Wait for the process's answer."""
    deadline = time.monotonic() + limits.seconds
    while True:
        try:
            return conversation.result(timeout=min(LOOK_EVERY_S, limits.seconds))
        except TimeoutError as error:
            look()
            if time.monotonic() > deadline:
                raise errors.ReadingStopped(
                    f"Reading the document takes longer than {limits.seconds:g} s; save its text alone, as plain "
                    "text, or split it into parts, and try again."
                ) from error


def _unpacked(answer: dict) -> ReadDocument:
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["sentence"])
    pages = tuple(Page(*page) for page in answer["pages"])
    left_out = tuple(LeftOut(*part) for part in answer["left_out"])
    return ReadDocument(answer["title"], answer["text"], answer["media_type"], pages, tuple(answer["notes"]), left_out)
