"""A page that is left while an answer is written finds it when it comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.errors import NotAnswerable
from app.settings import Settings
from app.ui.page import build
from app.ui.server import serve
from app.workbench import Workbench

TEXT = "The fog hid seven ships. The harbour master counted them again in the evening light. " * 20


class Held:
    """Answers as they are, but held after the first words until ``go`` is set, or failing then with ``trouble``."""

    def __init__(self, workbench: Workbench) -> None:
        self.asked = workbench.asking.ask
        self.go, self.trouble = threading.Event(), ""

    def ask(self, *arguments: Any, **settings: Any) -> Iterator[Any]:
        yield "Seven ships "
        cancelled = settings["cancelled"]
        while not self.go.wait(0.05) and not cancelled():
            pass
        if self.trouble:
            raise NotAnswerable(self.trouble)
        yield from self.asked(*arguments, **settings)


@pytest.fixture
def app(
    tiny_model_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Held]]:
    base, adapter = tiny_model_folders
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    settings = Settings(tmp_path / "data", adapter=adapter, base=str(base), device="cpu", dtype="float32")
    with Workbench(settings) as workbench:
        workbench.intake.ingest_text(TEXT, "Log")
        held = Held(workbench)
        monkeypatch.setattr(workbench.asking, "ask", held.ask)
        page = build(workbench)
        _, address, _ = serve(page, settings, prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
        yield address, held
        held.go.set()
        page.close(verbose=False)


def ask(page: Page, address: str, question: str) -> None:
    page.goto(address)
    expect(page.locator("#listing input:checked")).to_have_count(1)
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(page.locator("#chat .streaming")).to_have_text("Seven ships")
    page.wait_for_function("localStorage.getItem('ccf-chat')")


def test_an_answer_comes_to_the_page_that_was_loaded_anew(
    page: Page, app: tuple[str, Held], screenshot: Callable[[str], None]
) -> None:
    address, held = app
    ask(page, address, "How many ships were hidden?")
    again = page.context.new_page()
    page.close()
    again.goto(address)
    expect(again.locator("#chat .asked")).to_have_text("How many ships were hidden?")
    expect(again.locator("#chat .streaming")).to_have_text("Seven ships")
    expect(again.locator("#stop")).to_be_visible()
    held.go.set()
    expect(again.locator("#chat .wb-cost")).to_have_count(1)
    expect(again.locator("#chat .asked")).to_have_count(1)
    expect(again.locator("#chat .streaming")).to_have_count(0)
    expect(again.locator("#stop")).to_be_hidden()
    # The conversation goes on.
    again.fill("#question textarea", "Who counted them?")
    again.press("#question textarea", "Enter")
    expect(again.locator("#chat .wb-cost")).to_have_count(2)


def test_stop_ends_an_answer_that_was_asked_for_before_a_reload(page: Page, app: tuple[str, Held]) -> None:
    address, _ = app
    ask(page, address, "How many ships were hidden?")
    again = page.context.new_page()
    page.close()
    again.goto(address)
    again.locator("#stop").click()
    expect(again.locator("#chat .streaming")).to_have_count(0)
    expect(again.locator("#stop")).to_be_hidden()


def test_why_there_is_no_answer_is_said_to_the_page_that_comes_back(page: Page, app: tuple[str, Held]) -> None:
    address, held = app
    ask(page, address, "How many ships were hidden?")
    again = page.context.new_page()
    page.close()
    again.goto(address)
    expect(again.locator("#chat .streaming")).to_have_count(1)
    held.trouble = "The fog is too thick; ask again."
    held.go.set()
    expect(again.locator("#chat [role=alert]")).to_contain_text("The fog is too thick; ask again.")
    expect(again.locator("#question textarea")).to_have_value("How many ships were hidden?")
