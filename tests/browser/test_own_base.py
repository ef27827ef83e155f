"""The page on a base of one's own, shaped like Qwen3 and without an adapter, as a visitor uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import served, without_examples

TEXT = " ".join(f"Ship number {i} carried {i * 13} crates of apples to the town." for i in range(1, 40)).encode()


def test_a_base_without_an_adapter_is_asked_compared_and_inspected(
    page: Page, tiny_folder: Callable[..., Path], tmp_path: Path, screenshot: Callable[[str], None]
) -> None:
    base = tiny_folder("qwen3", max_position_embeddings=4096)
    with served(without_examples(tmp_path), CCF_BASE=str(base), CCF_ADAPTER="") as address:
        page.goto(address)
        expect(page.locator("#foot")).to_contain_text("no adapter: parts of its own cache")
        expect(page.locator("#ratio label")).to_have_text(["1x", "2x", "4x", "8x", "16x", "32x"])
        steps.upload(page, ("apples.txt", "text/plain", TEXT))
        steps.tick(page, "apples")
        page.locator("#ratio").get_by_label("2x", exact=True).check()
        steps.ask(page, "How many crates did ship number 7 carry?")
        expect(page.locator("#chat .chips .chip").first).to_be_visible()
        steps.open_tab(page, "Savings")
        expect(page.locator("#savings-table")).to_contain_text("Memory 1x")
        steps.open_tab(page, "Compare")
        for choice in page.locator("#compare-settings label").all():
            choice.locator("input").set_checked(choice.inner_text().strip() in ("full context", "memory 1x"))
        page.fill("#compare-question textarea", "How many crates did ship number 7 carry?")
        page.click("#compare-start")
        expect(page.locator(".cmp-card h4")).to_have_text(["full context", "memory 1x"])
        expect(page.locator("#compare-cards p[role=status]")).to_contain_text("2 of 2")
        steps.open_tab(page, "Inspect")
        expect(page.locator("#sliced")).to_contain_text("needs a trained adapter")
        screenshot("own-base")
