"""A ZeroGPU Space on a machine without one: a plugin of pytest, loaded before anything imports torch or gradio.

Real, from the platform's package ``spaces``, are how functions are wrapped, arguments and results pickled, processes
forked, kept and stopped, and GPUs asked for, given back and refused over HTTP. Played are who lends (``Lender``) and
the GPU: a lent process computes on the CPU, and may not touch a database.
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit


class Lender(BaseHTTPRequestHandler):
    """Lends one GPU to all who ask, unless ``refuses``; keeps what was asked for, by which processes, how it ended."""

    asked: ClassVar[list[dict[str, str]]] = []
    processes: ClassVar[set[int]] = set()
    failed: ClassVar[list[bool]] = []
    refuses: ClassVar[bool] = False

    def do_POST(self) -> None:
        split = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(split.query).items()}
        status, answer = 200, {}
        if split.path == "/schedule":
            self.asked.append(given)
            status = 503 if self.refuses else 200
            answer = {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "allowed"}
        elif split.path == "/allow":
            self.processes.add(int(given["pid"]))
        elif split.path == "/release":
            self.failed.append(given["fail"] == "true")
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest shows what matters."""


_server = ThreadingHTTPServer(("127.0.0.1", 0), Lender)
threading.Thread(target=_server.serve_forever, daemon=True).start()
os.environ |= {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{_server.server_port}"}

import torch  # noqa: E402

# The package wants torch's build for GPUs, which this may not be.
torch.version.cuda = torch.version.cuda or "12.8"
torch.cuda._is_in_bad_fork = bool
for _name in ("_cuda_init", "_cuda_exchangeDevice", "_cuda_maybeExchangeDevice"):
    if not hasattr(torch._C, _name):
        setattr(torch._C, _name, lambda *_: None)

import spaces.zero.torch  # noqa: E402
from sqlite_utils import Database  # noqa: E402

from app.runtime import zero_gpu  # noqa: E402


def _begin(_: str) -> None:
    """What a lent process does first."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a lent process touched the database")

    Database.__init__ = Database.execute = Database.query = never


spaces.zero.torch.init = _begin
spaces.zero.torch.move = lambda callback: None
spaces.zero.torch.size = lambda: 0
zero_gpu.DEVICE = "cpu"
