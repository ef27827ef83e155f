"""The page on a tiny random model: its answers mean nothing, everything else is real."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests import papers
from tests.browser import steps

PDF = "application/pdf"
PAPER = papers.paper([f"Ship number {i} carried {i * 13} crates of apples to the town." for i in range(1, 50)], "Cargo")
SHORT = ["The fog hid seven ships.", "The harbour master counted them again in the evening light."]


def test_a_paper_is_taken_in_asked_inspected_and_kept(
    page: Page, tiny_app: str, screenshot: Callable[[str], None]
) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("cargo.pdf", PDF, PAPER))
    expect(page.locator("#progress .ccf-success")).to_contain_text("Cargo")
    expect(page.locator("#listing .doc", has_text="Cargo")).to_contain_text("stored")
    screenshot("library")

    steps.tick(page, "Cargo")
    steps.ask(page, "How many crates did ship number 7 carry?")
    expect(page.locator("#chat")).to_contain_text("How many crates did ship number 7 carry?")
    expect(steps.answer(page)).not_to_be_empty()
    expect(steps.costs(page)).to_contain_text("memory at 4x")
    expect(page.locator("#chat .chip").first).to_contain_text("Cargo")
    screenshot("ask")

    assert 0 <= steps.reconstruct(page, "Cargo", 4) <= 1
    screenshot("inspect")
    steps.see_savings(page, "Cargo")
    expect(page.locator("#savings-table")).to_contain_text("Memory 32x")
    screenshot("savings")

    before = steps.titles(page)
    again = page.context.new_page()
    steps.visit(again, tiny_app)
    expect(steps.listed(again)).to_have_text(list(before))


def test_a_question_goes_to_what_was_just_added(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    example = steps.titles(page)[-1]
    steps.tick(page, example)
    steps.upload(page, ("lamps.txt", "text/plain", b"Lamps\n\nThe keeper lit nine lamps at dusk. " * 8))
    expect(page.locator("#listing .docs-head")).to_contain_text("1 ticked")
    steps.ask(page, "How many lamps did the keeper light?")
    looked = page.locator("#chat .chips .chip").evaluate_all("chips => chips.map(chip => chip.dataset.of)")
    assert set(looked) == {page.locator("#listing input:checked").get_attribute("data-of")}
    # Several at once are asked together.
    oils = [(f"oil{n}.txt", "text/plain", f"Oil {n}. The oil was {n} days old. ".encode() * 8) for n in "123"]
    steps.upload(page, *oils)
    expect(page.locator("#listing .docs-head")).to_contain_text("3 ticked")
    # Ticked faster than the page can be told of one, none is lost.
    steps.tick(page)
    page.locator("#listing input").evaluate_all(
        """async boxes => {
            for (const box of boxes.slice(0, 3)) { box.click(); await new Promise(done => setTimeout(done, 10)); }}"""
    )
    expect(page.locator("#listing .docs-head")).to_contain_text("3 ticked")


def test_a_question_of_no_document_stays_in_its_field(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.tick(page)
    page.fill("#question textarea", "Who counted the ships?")
    page.press("#question textarea", "Enter")
    expect(page.locator("#chat [role=alert]")).to_contain_text("There is no document to ask")
    expect(page.locator("#question textarea")).to_have_value("Who counted the ships?")


def test_a_kv_budget_bounds_what_is_read(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    page.fill("#kv-budget textarea, #kv-budget input", "lots")
    page.fill("#question textarea", "Who counted the ships?")
    page.press("#question textarea", "Enter")
    expect(page.locator("#chat [role=alert]")).to_contain_text("must be a number of positions")
    expect(page.locator("#question textarea")).to_have_value("Who counted the ships?")
    page.fill("#kv-budget textarea, #kv-budget input", "64")
    steps.ask(page, "Who counted the ships?")
    expect(page.locator("#chat .ccf-info").first).to_contain_text("the KV budget is 64 positions")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("empty.pdf", b"", "The file is empty"),
        ("renamed.pdf", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8, "whatever its name says"),
        ("locked.pdf", papers.paper(SHORT, password="secret"), "needs a password"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(page: Page, tiny_app: str, name: str, data: bytes, sentence: str) -> None:
    steps.visit(page, tiny_app)
    before = steps.titles(page)
    steps.upload(page, (name, PDF, data))
    expect(page.locator("#progress [role=alert]")).to_contain_text(f"{name}: ")
    expect(page.locator("#progress [role=alert]")).to_contain_text(sentence)
    expect(steps.listed(page)).to_have_text(list(before))


def test_good_and_bad_files_of_one_drop_each_have_their_outcome(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("broken.pdf", PDF, b"%PDF-1.7 and no more"), ("fog.pdf", PDF, papers.paper(SHORT, "Fog")))
    expect(page.locator("#progress .ccf-error")).to_contain_text("broken.pdf")
    expect(page.locator("#progress .ccf-success")).to_contain_text("Fog")
    expect(steps.listed(page).filter(has_text="Fog")).to_have_count(1)


def test_a_document_is_deleted_after_a_second_click(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("doomed.pdf", PDF, papers.paper([*SHORT, "It was the last day."], "Doomed")))
    expect(steps.listed(page).filter(has_text="Doomed")).to_have_count(1)
    steps.tick(page, "Doomed")
    steps.delete(page, "Doomed")
    again = page.context.new_page()
    steps.visit(again, tiny_app)
    assert "Doomed" not in steps.titles(again)


def test_a_phone_shows_the_page_without_scrolling_sideways(
    page: Page, tiny_app: str, screenshot: Callable[[str], None]
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    steps.visit(page, tiny_app)
    for tab in ("Ask", "Inspect", "Savings"):
        steps.open_tab(page, tab)
        screenshot(f"phone-{tab.lower()}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
