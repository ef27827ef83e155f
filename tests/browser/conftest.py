"""The app as a user starts it, and a page on it that takes note of every error and every host."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.documents.examples import MARK, examples
from tests.browser import steps
from tests.load.server import call

ROOT = Path(__file__).parents[2]
START_S = 300
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
#: A page may ask for data: and blob: addresses too; they are no hosts.
HOME = {"127.0.0.1", "localhost", None}
expect.set_options(timeout=steps.PATIENCE)


@contextlib.contextmanager
def served(folder: Path, **settings: str) -> Iterator[str]:
    """Address of ``python app.py``, which keeps all it writes in ``folder`` and ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "CCF_DATA": str(folder / "data"),
        "CCF_DEVICE": "cpu",
        "CCF_DTYPE": "float32",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "PYTHONUNBUFFERED": "1",
    }
    kept = {name: value for name, value in os.environ.items() if not re.match("CCF_|GRADIO_", name)}
    address = f"http://127.0.0.1:{port}/"
    log = folder / "app.log"
    with log.open("wb") as out:
        command = [sys.executable, "app.py"]
        app = subprocess.Popen(command, cwd=ROOT, env=kept | own | settings, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_for(address, app, log)
            yield address
        finally:
            app.kill()
            app.wait()


def without_examples(folder: Path) -> Path:
    """Let the app that is served in ``folder`` begin with no document: its model is free at once."""
    (folder / "data").mkdir()
    (folder / "data" / MARK).write_text("\n".join(example["file"] for example in examples()), encoding="utf-8")
    return folder


def _wait_for(address: str, app: subprocess.Popen[bytes], log: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if app.poll() is not None:
            break
        try:
            direct.open(address, timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RuntimeError(f"The app does not answer; it said:\n{log.read_text(errors='replace')}")


Serve = Callable[..., contextlib.AbstractContextManager[str]]


@pytest.fixture(scope="session")
def serve_tiny(tiny_model_folders: tuple[Path, Path]) -> Serve:
    """``with serve_tiny(folder, NAME=value) as address``: the app on a tiny random model, killed at the block's end."""
    base, adapter = tiny_model_folders
    return lambda folder, **settings: served(folder, CCF_BASE=str(base), CCF_ADAPTER=str(adapter), **settings)


@pytest.fixture(scope="session")
def tiny_server(serve_tiny: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of one such app for all tests of a run."""
    with serve_tiny(tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="module")
def tiny_app(tiny_server: str) -> Iterator[str]:
    """The same address; of what a module adds nothing is left for the next one but conversations."""
    yield tiny_server
    came_with_it = {example["title"] for example in examples()}
    for document in call(tiny_server.rstrip("/"), "documents"):
        if document["title"] not in came_with_it:
            call(tiny_server.rstrip("/"), "delete", document["sha256"])


@pytest.fixture(scope="session")
def shipped_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app as it is shipped: default base, trained adapter; for tests marked ``model``."""
    with served(tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page; afterwards: no errors in its console, and no request to another host.

    The same holds for further pages of its context. A page that is left for another address drops its open
    streams, which its console calls errors: to come back to the app, open a further page.
    """
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.set_default_timeout(steps.PATIENCE)
    errors: list[str] = []
    hosts: set[str | None] = set()
    context.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: hosts.add(urllib.parse.urlsplit(request.url).hostname))
    yield context.new_page()
    found = list(errors)
    for opened in context.pages:  # a handler that outlives its page fails the next test
        opened.unroute_all(behavior="wait")
    context.close()
    assert not found
    assert hosts <= HOME


@pytest.fixture
def screenshot(page: Page, tmp_path: Path) -> Callable[[str], None]:
    """``screenshot(name)``: the whole page as a picture in ``CCF_SCREENSHOTS``, or in the test's own folder."""
    folder = Path(os.environ.get("CCF_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return take
