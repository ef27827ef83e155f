"""The workbench as its users start it, ``python app.py``, in a process of its own on data that go with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.settings import Settings
from tests.peak_memory import tiny

ROOT = Path(__file__).parents[2]
SAMPLE_EVERY_S = 2.0
PATIENCE_S = 900.0
HEADER = "x-ccf-visitor"


@dataclass
class Server:
    """``started`` is on the clock of ``time.monotonic``; ``memory`` are (seconds since then, resident MB)."""

    address: str
    folder: Path
    process: psutil.Process
    started: float
    memory: list[tuple[float, float]] = field(default_factory=list)

    def until(self, done: Any, what: str) -> float:
        """Seconds since the start at which ``done()`` was true for the first time."""
        while time.monotonic() - self.started < PATIENCE_S:
            if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
                raise RuntimeError(f"The server ended: {(self.folder / 'server.log').read_text()[-2000:]}")
            try:
                if done():
                    return time.monotonic() - self.started
            except httpx.TransportError:
                pass  # not there yet
            time.sleep(0.05)
        raise RuntimeError(f"After {PATIENCE_S:.0f} s still no {what}.")

    def page(self) -> float:
        """Seconds until the page was served."""
        return self.until(lambda: httpx.get(f"{self.address}/", timeout=60).status_code == 200, "page")

    def megabytes_at(self, seconds: float) -> float:
        """Resident memory then, of the sample next to it."""
        return min(self.memory, key=lambda sample: abs(sample[0] - seconds))[1]

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SAMPLE_EVERY_S):
            try:
                self.memory.append((time.monotonic() - self.started, self.process.memory_info().rss / 1e6))
            except psutil.NoSuchProcess:
                return


@contextmanager
def serving(random_model: bool, **environment: str) -> Iterator[Server]:
    """A server on an empty data folder; with a random model of two layers, or the one of the settings."""
    # Ended from outside, it takes the server with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="ccf-load-", ignore_cleanup_errors=True) as made:
        folder, port = Path(made), _free_port()
        own = {
            "CCF_DATA": str(folder / "data"),
            "GRADIO_TEMP_DIR": str(folder / "uploads"),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
        }
        if random_model:
            settings = tiny(Settings.from_env({}), folder)
            own |= {"CCF_BASE": str(settings.base), "CCF_ADAPTER": str(settings.adapter), "CCF_DTYPE": "float32"}
        with (folder / "server.log").open("w") as log:
            started = time.monotonic()
            command = [sys.executable, "app.py"]
            process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own | environment, stdout=log, stderr=log)
        server = Server(f"http://127.0.0.1:{port}", folder, psutil.Process(process.pid), started)
        over = threading.Event()
        watching = threading.Thread(target=server._watch, args=(over,))
        watching.start()
        try:
            yield server
        finally:
            over.set()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            watching.join()


def call(address: str, name: str, *values: Any, token: str = "") -> Any:
    """What an endpoint returns, past the queue."""
    headers = {HEADER: token} if token else {}
    url = f"{address}/gradio_api/run/{name}"
    answer = httpx.post(url, json={"data": values}, headers=headers, timeout=PATIENCE_S)
    if answer.status_code != 200:
        raise RuntimeError(f"/{name}: {json.dumps(answer.json())}")
    return answer.json()["data"][0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
