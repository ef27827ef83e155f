"""``python -m tests.load.cold``: seconds from ``python app.py`` on an empty data folder to the first answer.

The base model is in the cache already; with ``--wheel FILE`` the cache is empty but for the wheel that it is made of,
so that it is converted first. Prints a line of a Markdown table.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import httpx

from ccf_core.base.default import PIN
from tests.load.server import Server, call, serving
from tests.load.visitor import Page

HEAD = "| base model | page served, s | model ready, s | three examples stored, s | first answer, s |"


def measure(server: Server) -> list[float]:
    """Seconds since the start: page, model, examples, answer."""
    page_s = server.page()
    page = Page.of(httpx.get(f"{server.address}/config", timeout=60).json())

    def model_ready() -> bool:
        body = {"data": page.sent[page.look], "fn_index": page.look, "session_hash": "cold"}
        answer = httpx.post(f"{server.address}/gradio_api/run/predict", json=body, timeout=60)
        ready.append("Model ready" in answer.text)
        return any(ready)

    def examples_stored() -> bool:
        found = call(server.address, "documents")
        return len(found) == 3 and all(one["state"] == "ready" for one in found)

    ready: list[bool] = []
    model_s, examples_s = server.until(model_ready, "model"), server.until(examples_stored, "examples")
    shas = {one["title"]: one["sha256"] for one in call(server.address, "documents")}
    question = "What was the boat called?"
    said = call(server.address, "ask", question, [shas["The Last Crossing"]], 4, "memory", 0, "")["text"]
    print(f"{question} {said}", file=sys.stderr)
    return [page_s, model_s, examples_s, server.until(lambda: True, "")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load.cold", description=__doc__)
    parser.add_argument("--wheel", type=Path, help=PIN.wheel)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccf-cold-") as cache:
        if args.wheel:
            shutil.copy(args.wheel, Path(cache) / PIN.wheel)
        with serving(random_model=False, **{"CCF_CACHE": cache} if args.wheel else {}) as server:
            found = measure(server)
    print(f"{HEAD}\n|---|---:|---:|---:|---:|")
    how = "to be converted" if args.wheel else "in the cache"
    print(f"| {how} | " + " | ".join(f"{seconds:.0f}" for seconds in found) + " |")


if __name__ == "__main__":
    main()
