"""What a user does on the page, one step each; every step waits for what it leads to."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from playwright.sync_api import Locator, Page, expect

#: A slow machine's patience, in milliseconds: where 45 processes wanted two cores, 256 tokens took more than 300 s.
PATIENCE = 1_200_000
Upload = tuple[str, str, bytes]


def visit(page: Page, address: str) -> None:
    """Open the page, with the model ready and every document in the list at rest."""
    page.goto(address)
    be_at_rest(page)


def be_at_rest(page: Page) -> None:
    """Wait until the model is ready and every document is stored."""
    expect(page.locator("#head")).to_contain_text("Model ready")
    documents = page.locator("#listing .doc")
    expect(documents).not_to_have_count(0)
    expect(documents.filter(has_not_text="stored")).to_have_count(0)


def upload(page: Page, *files: Upload) -> None:
    """Hand in (name, media type, bytes) files at once, and wait until each has its outcome: who is stored is ticked."""
    payload = [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files]
    failed = page.locator("#progress").get_by_role("button", name=re.compile("^Dismiss"))
    for left in range(failed.count() - 1, -1, -1):
        failed.first.click()
        expect(failed).to_have_count(left)
    stored = page.locator("#progress").get_by_role("button", name="Clear what is stored")
    if stored.count():
        stored.click()
    expect(outcomes(page)).to_have_count(0)
    chooser = page.locator("#upload input[type=file]")
    chooser.wait_for(state="attached")
    chooser.set_input_files(payload)  # type: ignore[arg-type]
    expect(outcomes(page)).to_have_count(len(files))
    for said in page.locator("#progress .ccf-success").all_inner_texts():
        title = said.removeprefix("✓").strip().partition(": ")[0]
        expect(page.locator("#listing").get_by_role("checkbox", name=title, exact=True)).to_be_checked()


def wait_to_read(page: Page, script: str) -> int:
    """The number that a script reads off the page, once it reads one: a later look might find it changed."""
    return int(page.wait_for_function(script).json_value())


def outcomes(page: Page) -> Locator:
    """What became of the files of the last drop."""
    return page.locator("#progress .ccf-success, #progress .ccf-error")


def settle(page: Page) -> None:
    """Wait until nothing is under way: what Gradio waits for is dimmed, and comes back in a transition."""
    expect(page.locator(".pending, .generating")).to_have_count(0)
    page.wait_for_function(
        """() => document.getAnimations().every(
            one => one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)"""
    )


def tick(page: Page, *titles: str) -> None:
    """Choose exactly these documents."""
    untick = page.locator("#listing").get_by_role("button", name="Untick", exact=True)
    if untick.count():
        untick.click()
    expect(page.locator("#listing input:checked")).to_have_count(0)
    for number, title in enumerate(titles, 1):
        box = page.locator("#listing").get_by_role("checkbox", name=title, exact=True)
        chosen = page.locator("#listing .docs-head", has_text=f"{number} ticked")
        # A refresh that was under way shows the boxes as they were, for a moment, and a click then unticks.
        until = time.monotonic() + PATIENCE / 1_000
        while not chosen.count() and time.monotonic() < until:
            if not box.is_checked():
                box.click()
            page.wait_for_timeout(200)
        expect(chosen).to_have_count(1)


def listed(page: Page) -> Locator:
    """Titles in the library."""
    return page.locator("#listing .doc-title")


def titles(page: Page) -> Sequence[str]:
    return listed(page).all_inner_texts()


def ask(page: Page, question: str) -> None:
    """Ask and wait for the answer with its cost."""
    before = costs(page).count()
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    expect(costs(page)).to_have_count(before + 1)


def ask_and_stop(page: Page, question: str) -> bool:
    """Ask, press Stop in the very frame in which two words are written, and tell whether the answer was cut off.

    A page that is slow to draw may see the whole answer at once.
    """
    before = costs(page).count()
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")
    page.wait_for_function(
        """before => {
            const stop = document.querySelector('#stop'), written = document.querySelector('#chat .streaming');
            if (/\\w+ \\w+/.test(written?.textContent) && stop?.checkVisibility()) return stop.click(), true;
            return document.querySelectorAll('#chat .wb-cost').length > before;
        }""",
        arg=before,
    )
    expect(costs(page)).to_have_count(before + 1)
    return "stopped before its end" in page.locator("#chat .turns").inner_text()


def costs(page: Page) -> Locator:
    """The costs under the answers of the conversation, each of which is complete."""
    return page.locator("#chat .wb-cost")


def answer(page: Page) -> Locator:
    """The last answer."""
    return page.locator("#chat .said").last


def manage(page: Page, title: str) -> None:
    """Open what can be done to a stored document."""
    page.locator("#listing").get_by_role("button", name=f"Manage {title}", exact=True).click()
    expect(page.locator("#manage")).to_be_visible()


def delete(page: Page, title: str) -> None:
    """Delete a document, with the second click that this takes."""
    manage(page, title)
    page.click("#delete")
    page.click("#confirm-delete")
    expect(listed(page).filter(has_text=title)).to_have_count(0)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def reconstruct(page: Page, document: str, ratio: int) -> float:
    """Reconstruct the first segment of a document; the ROUGE-L that is shown."""
    open_tab(page, "Inspect")
    expect(page.locator("#inspect-document input")).to_have_value(re.compile(f"^{re.escape(document)}"))
    expect(page.locator("#inspect-segment input")).to_have_value(re.compile("^0"))
    page.locator("#inspect-ratio").get_by_label(f"{ratio}x", exact=True).check()
    page.click("#reconstruct")
    expect(page.locator("#diff .ccf-diff")).to_be_visible()
    score = page.locator("#diff dl div", has_text="ROUGE-L").locator("dd").inner_text()
    return float(score)


def see_savings(page: Page, document: str) -> None:
    """Open the savings of a document, with figure and table."""
    open_tab(page, "Savings")
    expect(page.locator("#savings-document input")).to_have_value(re.compile(f"^{re.escape(document)}"))
    expect(page.locator("#savings-plot .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#savings-table tbody tr")).not_to_have_count(0)


def open_evaluation(page: Page) -> None:
    """Open the form of an evaluation, with all its readers: what comes in late moves the button from under a click."""
    open_tab(page, "Lab")
    page.locator("#evaluation button.label-wrap").click()
    expect(page.locator("#evaluation-about")).to_contain_text("Segments are written again")
    expect(page.locator("#evaluation-readers input")).not_to_have_count(0)
    settle(page)


def start_evaluation(page: Page, rows: int) -> None:
    page.fill("#evaluation-limit input", str(rows))
    page.click("#evaluation-start")
