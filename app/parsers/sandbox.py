"""Read a file in a process of its own, which ends when its time or memory is used up, whatever the file does to it.

The process is handed the file's bytes and hands back JSON: nothing that a file brings about in there runs out here.
"""

import json
import logging
import subprocess
import sys
import time
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
    data: bytes, filename: str, limits: Limits = DEFAULT_LIMITS, watch: Callable[[], object] = lambda: None
) -> ReadDocument:
    """Run `read` in a process of its own, for files of which nothing is known.

    `watch` is called several times a second; what it raises ends the process and is raised here. The process never
    outlives this call, nor for long the one that it was started by.

    Raises:
        ReadingStopped: time or memory was used up, or the process broke down.
        The other errors of `read`.
    """
    limits.check_size(len(data))
    request = json.dumps({"filename": filename, "limits": asdict(limits)}).encode() + b"\n" + data
    command = [sys.executable, "-I", "-S", "-c", _START, *sys.path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process, ThreadPoolExecutor(1) as pool:
        # On a thread: given a timeout, communicate forgets what it has not sent yet.
        conversation = pool.submit(process.communicate, request)
        try:
            answer, complaint = _outcome(conversation, limits, watch)
        finally:
            process.kill()
    if process.returncode != 0:
        logger.warning("A parser ended with %s: %s", process.returncode, complaint.decode(errors="replace")[-2000:])
        raise errors.ReadingStopped(
            "The document brought its reader down; save its text alone, as plain text, and try again."
        )
    return _unpacked(json.loads(answer))


def _outcome(
    conversation: Future[tuple[bytes, bytes]], limits: Limits, watch: Callable[[], object]
) -> tuple[bytes, bytes]:
    """Wait for what the process writes to its output and its error output."""
    deadline = time.monotonic() + limits.seconds
    while True:
        try:
            return conversation.result(timeout=min(LOOK_EVERY_S, limits.seconds))
        except TimeoutError as error:
            watch()
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
