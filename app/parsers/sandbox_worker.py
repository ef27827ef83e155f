"""The other end of `read_in_sandbox`: a file comes in; how far it is, its text or why there is none go out, as JSON."""

import contextlib
import faulthandler
import json
import sys
from dataclasses import astuple

from app.parsers import read
from app.parsers.errors import ReadError
from app.parsers.progress import listen
from app.parsers.types import Limits, ReadDocument

#: Beyond the time that whoever waits gives: it has the sentence to say.
GRACE_S = 5


def main() -> None:
    """Read one file from stdin; anything but a `ReadError` and want of memory ends the process with a traceback."""
    request = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**request["limits"])
    confine(limits)
    listen(lambda step: _say({"step": step}))
    try:
        answer = _packed(read(sys.stdin.buffer.read(), request["filename"], limits))
    except ReadError as error:
        answer = {"error": type(error).__name__, "sentence": str(error)}
    except MemoryError:
        answer = {
            "error": "ReadingStopped",
            "sentence": f"Reading the document takes more than {limits.memory / 1e9:g} GB of memory; save its text "
            "alone, as plain text, or split it into parts, and try again.",
        }
    _say(answer)


def _say(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def confine(limits: Limits) -> None:
    """Bound this process's time, even if whoever started it is gone, and, where the platform can, its memory."""
    # A thread of C, which needs no turn from a library that keeps the interpreter's lock.
    faulthandler.dump_traceback_later(limits.seconds + GRACE_S, exit=True)
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):  # macOS; or the system allows less than this already
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _packed(document: ReadDocument) -> dict[str, object]:
    return {
        "title": document.title,
        "text": document.text,
        "media_type": document.media_type,
        "pages": [astuple(page) for page in document.pages],
        "notes": document.notes,
        "left_out": [astuple(part) for part in document.left_out],
    }
