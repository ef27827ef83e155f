"""``python -m tests.browser.pictures``: take the pictures of docs/images of the page as it is shipped."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from app.documents.examples import examples
from tests.browser import steps
from tests.browser.conftest import FLAGS, ROOT, served
from tests.conftest import chromium_path

IMAGES = ROOT / "docs" / "images"
STORY, REPORT = "The Last Crossing", "Battery Storage at Kelsa Ferry Terminal: Final Report of the Pilot"
NOTES = b"The ferry leaves at nine. On Sundays it leaves at ten, and in a storm it stays in the harbour.\n\n" * 24


def take(page: Page, name: str, begins: Locator | None = None) -> None:
    """Save what the window shows from the page's head on, or from an element, in few colours: the file stays small."""
    shown = begins or page.locator("#head")
    shown.evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + window.scrollY - 30)")
    page.mouse.move(0, 0)
    steps.settle(page)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def readme(page: Page) -> None:
    steps.tick(page, STORY)
    steps.ask(page, "Who was the first passenger that Friday?")
    steps.ask(page, "What is the telephone number of Marta Quill?")
    take(page, "ask")
    page.click("#new-chat")
    steps.reconstruct(page, STORY, 8)
    take(page, "inspect")
    page.click("#look")
    expect(page.locator("#heat .js-plotly-plot .main-svg").first).to_be_visible()
    take(page, "attention", page.get_by_role("heading", name="What each slot looks at"))


def rooms(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    steps.open_tab(page, "Ask")
    steps.tick(page, REPORT)
    steps.ask(page, "When did the container arrive by barge?")
    steps.ask(page, "Who painted the container?")
    take(page, "tab-ask")
    steps.reconstruct(page, REPORT, 8)
    take(page, "tab-inspect", page.locator("#diff"))
    steps.see_savings(page, REPORT)
    take(page, "tab-savings")
    steps.open_tab(page, "Compare")
    page.fill("#compare-question textarea", "When did the container arrive by barge?")
    page.click("#compare-start")
    expect(page.locator("#compare-cards [role=status]").first).to_contain_text("5 of 5")
    take(page, "tab-compare", page.locator("#compare-settings"))
    steps.open_tab(page, "Lab")
    expect(page.locator("#lab-introduction")).to_contain_text("Measured beforehand")
    expect(page.locator("#lab-reconstruction .js-plotly-plot .main-svg").first).to_be_visible()
    take(page, "tab-lab")
    steps.open_tab(page, "Ask")
    page.click("#new-chat")
    steps.upload(page, ("notes.md", "text/markdown", NOTES), ("broken.pdf", "application/pdf", b"%PDF-1.7\nbroken"))
    take(page, "tab-library")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        with served(Path(folder), CCF_DTYPE="") as address:
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            steps.visit(page, address)
            expect(page.locator("#listing .doc", has_text="stored")).to_have_count(len(examples()))
            readme(page)
            rooms(page)
