"""Library and conversation in a browser, on a tiny random model: what is kept through reload and restart."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests import papers
from tests.browser import steps
from tests.browser.conftest import served, without_examples

TEXT = "text/plain"
FOG = "The fog hid seven ships. The harbour master counted them again in the evening light. "
#: Segments compressed of "long", once ten are and "later" waits behind it.
COMPRESSING_LONG = """() => {
    const queue = document.querySelector('#progress');
    const row = [...document.querySelectorAll('#listing .doc')].find(one => one.textContent.includes('long'));
    const done = Number(/compressing (\\d+) of/.exec(row?.textContent)?.[1] ?? 0);
    const waits = queue.textContent.includes('later.txt');
    return done >= 10 && waits && queue.querySelector('.stages .now')?.textContent === 'memory' && done;
}"""
#: Segments compressed of "long", all if it is stored.
LONG_GOES_ON = """() => {
    const row = [...document.querySelectorAll('#listing .doc')].find(one => one.textContent.includes('long'));
    const found = /compressing (\\d+) of|stored/.exec(row?.textContent);
    return found && (found[1] ? Number(found[1]) : 1e9);
}"""

DISMISSED = """() => {
    document.querySelector('#progress button[data-act=dismiss]')?.click();
    return !document.querySelector('#progress').textContent.includes('torn.pdf');
}"""


def notes(name: str, sentences: int = 40) -> steps.Upload:
    body = "".join(f"Ship {i} of {name} carried {i * 13} crates. " for i in range(sentences))
    return f"{name}.txt", TEXT, body.encode()


def test_three_files_at_once_are_queued_compressed_and_stored(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, notes("alpha"), notes("beta"), notes("gamma"))
    for name in ("alpha", "beta", "gamma"):
        expect(page.locator("#listing .doc", has_text=name)).to_contain_text("stored")
    page.locator("#progress").get_by_role("button", name="Clear what is stored").click()
    expect(steps.outcomes(page)).to_have_count(0)


def test_what_another_page_adds_and_deletes_is_followed_here(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    page.fill("#search input", "quaystone")
    expect(page.locator("#hits")).to_contain_text("Nothing holds all of these words")
    other = page.context.new_page()
    steps.visit(other, tiny_app)
    # There what was chosen gives way to what is added, and the questions that were suggested of it go.
    steps.tick(other, steps.titles(other)[-1])
    steps.open_tab(other, "Compare")
    suggested = other.locator("#compare-suggested label")
    expect(suggested).not_to_have_count(0)
    steps.upload(other, ("quay.txt", TEXT, b"The quaystone is wet. " * 8))
    expect(suggested).to_have_count(0)
    # Here it is listed, found and offered, but not ticked.
    box = page.locator("#listing").get_by_role("checkbox", name="quay", exact=True)
    expect(box).not_to_be_checked()
    expect(page.locator("#hits .hit")).to_have_count(1)
    box.click()
    steps.open_tab(page, "Inspect")
    expect(page.locator("#inspect-document input")).to_have_value("quay")
    steps.delete(other, "quay")
    expect(page.locator("#inspect-document input")).not_to_have_value("quay")
    expect(page.locator("#hits .hit")).to_have_count(0)
    expect(steps.listed(page).filter(has_text="quay")).to_have_count(0)
    # What was chosen of it here is let go without a word.
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_failed_file_says_why_can_be_tried_again_and_survives_a_reload(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("torn.pdf", "application/pdf", b"%PDF-1.7 and no more"))
    again = page.context.new_page()
    steps.visit(again, tiny_app)
    failure = again.locator("#progress [role=alert]")
    expect(failure).to_contain_text("torn.pdf: ")
    again.get_by_role("button", name="Try again torn.pdf").click()
    expect(failure).to_contain_text("torn.pdf: ")
    # Dismissed while it is tried again, a file is stopped and stays listed: that has to be dismissed, too.
    again.wait_for_function(DISMISSED, polling=5000)


def test_pasted_text_is_found_by_its_words_and_opened_at_them(
    page: Page, tiny_app: str, screenshot: Callable[[str], None]
) -> None:
    steps.visit(page, tiny_app)
    page.get_by_role("button", name="Paste text").click()
    page.fill("#paste-title input", "Heron diary")
    page.fill("#paste-text textarea", FOG * 5 + "A heron stood in the reeds. " + FOG * 5)
    page.click("#paste-go")
    expect(page.locator("#listing .doc", has_text="Heron diary")).to_contain_text("stored")
    page.fill("#search input", "herons reeds")
    hit = page.locator("#hits .hit")
    expect(hit.locator("mark")).to_have_text(["heron", "reeds"])
    screenshot("search")
    hit.click()
    original = page.get_by_role("dialog", name="Heron diary")
    expect(original.locator("mark")).to_have_text("heron")
    expect(original.locator("mark")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(original).to_have_count(0)


def test_a_document_is_renamed_and_put_into_a_collection(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, notes("delta"))
    steps.manage(page, "delta")
    expect(page.locator("#manage-title input")).to_be_focused()
    page.fill("#manage-title input", "Delta of the river")
    page.locator("#manage-collections input").press_sequentially("Rivers")
    page.locator("#manage-collections input").press("Enter")
    page.click("#manage-save")
    row = page.locator("#listing .doc", has_text="Delta of the river")
    expect(row.locator(".doc-tag")).to_have_text("Rivers")
    page.locator("#collection input").click()
    page.get_by_role("option", name="Rivers").click()
    expect(steps.listed(page)).to_have_text(["Delta of the river"])
    steps.manage(page, "Delta of the river")
    page.click("#manage-again")
    expect(steps.outcomes(page)).to_contain_text([re.compile("Delta of the river: .*tokens/s")])


def test_evidence_opens_the_page_with_the_segment_marked(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    lines = [f"Lamp number {i} burned for {i * 7} hours." for i in range(90)]
    steps.upload(page, ("lamps.pdf", "application/pdf", papers.paper(lines, "Lamps")))
    steps.tick(page, "Lamps")
    steps.ask(page, "How long did lamp 7 burn?")
    chip = page.locator("#chat .chip").first
    number = re.search(r"page (\d+)", chip.inner_text())
    assert number
    chip.press("Enter")
    original = page.get_by_role("dialog", name="Lamps")
    expect(original).to_contain_text(f"page {number[1]}")
    expect(original.locator("header")).to_contain_text("characters")
    assert "".join(original.locator("mark").all_inner_texts()).strip() in " ".join(lines)
    original.get_by_role("button", name="Close").click()
    expect(original).to_have_count(0)


def test_answers_stay_in_a_conversation_that_survives_a_reload(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, notes("epsilon"))
    steps.tick(page, "epsilon")
    steps.ask(page, "How many crates did ship 7 carry?")
    page.locator("#ratio").get_by_label("16x", exact=True).check()
    page.locator("#chat").get_by_role("button", name="Ask again").click()
    expect(steps.costs(page)).to_contain_text(["memory at 16x"])
    expect(steps.costs(page)).to_have_count(1)
    steps.ask(page, "And when did it sail?")
    said = page.locator("#chat .turns").inner_text()

    with page.expect_download() as download:
        page.click("#export-json")
    assert '"evidence"' in Path(download.value.path()).read_text(encoding="utf-8")

    again = page.context.new_page()
    steps.visit(again, tiny_app)
    expect(steps.costs(again)).to_have_count(2)
    assert again.locator("#chat .turns").inner_text() == said
    expect(again.locator("#listing input:checked")).to_have_count(1)
    again.click("#new-chat")
    expect(steps.costs(again)).to_have_count(0)
    again.locator("#conversation input").click()
    again.get_by_role("option", name="How many crates did ship 7 carry?").click()
    expect(steps.costs(again)).to_have_count(2)
    steps.delete(again, "epsilon")
    expect(again.locator("#chat .chip")).to_have_count(0)


def test_a_restart_in_the_middle_goes_on_where_it_stopped(
    page: Page, tiny_folder: Callable[..., Path], tiny_adapter: Callable[[Path], Path], tmp_path: Path,
    screenshot: Callable[[str], None],
) -> None:  # fmt: skip
    # Of so many layers that "long" is still being compressed when a slow page has seen ten segments of it.
    base = tiny_folder(num_hidden_layers=24)
    model = {"CCF_BASE": str(base), "CCF_ADAPTER": str(tiny_adapter(base))}
    with served(without_examples(tmp_path), **model) as address:
        page.goto(address)
        chooser = page.locator("#upload input[type=file]")
        chooser.wait_for(state="attached")
        files = [notes("long", 3_000), notes("later")]
        chooser.set_input_files([{"name": n, "mimeType": t, "buffer": b} for n, t, b in files])
        reached = steps.wait_to_read(page, COMPRESSING_LONG)
        screenshot("queue")
        context = page.context
        page.close()
    with served(tmp_path, **model) as address:
        later = context.new_page()
        later.goto(address)
        assert steps.wait_to_read(later, LONG_GOES_ON) >= reached
        steps.be_at_rest(later)
        expect(later.locator("#progress .ccf-success")).to_have_count(2)
        for name in ("long", "later"):
            expect(later.locator("#listing .doc", has_text=name)).to_contain_text("stored")
        later.close()
