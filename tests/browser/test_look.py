"""Looking into a memory on the page, on a tiny random model: everything but the meaning is real."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.documents.examples import examples
from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from ccf_core import Cancelled
from tests import papers
from tests.browser import steps
from tests.browser.conftest import Serve, served, without_examples

NOTES = [f"Ship number {i} carried {i * 13} crates of apples to the town. The fog was thick." for i in range(1, 12)]


@pytest.fixture
def inspected(page: Page, tiny_app: str) -> Page:
    """The tab Inspect with a document of several segments at 8x."""
    return inspect(page, tiny_app)


def inspect(page: Page, address: str) -> Page:
    steps.visit(page, address)
    if "Cargo" not in steps.titles(page):
        steps.upload(page, ("cargo.pdf", "application/pdf", papers.paper(NOTES, "Cargo")))
    expect(page.locator("#listing .doc", has_text="Cargo")).to_contain_text("stored")
    steps.tick(page, "Cargo")
    steps.open_tab(page, "Inspect")
    expect(page.locator("#inspect-document input")).to_have_value("Cargo")
    expect(page.locator("#sliced")).to_contain_text("At 8x: 4 slots for 32 tokens")
    expect(page.locator("#fidelity .ccf-cell")).not_to_have_count(0)
    return page


def ratio(page: Page, number: int) -> None:
    page.locator("#inspect-ratio").get_by_label(f"{number}x", exact=True).check()
    expect(page.locator("#sliced")).to_contain_text(f"At {number}x:")


def test_a_segment_is_looked_into_and_its_ratio_changed(inspected: Page, screenshot: Callable[[str], None]) -> None:
    page = inspected
    expect(page.locator("#pyramid .js-plotly-plot .main-svg").first).to_be_visible()
    page.click("#look")
    expect(page.locator("#heat .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#shaded .ccf-text span[title]")).not_to_have_count(0)
    rows = "document.querySelector('#heat .js-plotly-plot').data[0].y.length"
    assert page.evaluate(rows) == 4
    ratio(page, 4)
    page.wait_for_function(f"{rows} === 8")

    page.click("#which-slots input")
    page.get_by_role("option", name=re.compile("^slot 3 ")).click()
    expect(page.locator("#shaded .ccf-attention")).to_be_visible()
    page.click("#summarise")
    expect(page.locator("#summary .ccf-side")).to_have_count(2)
    page.click("#draw-map")
    expect(page.locator("#slot-map .js-plotly-plot .main-svg").first).to_be_visible()
    screenshot("look")


def test_a_figure_is_saved_by_keyboard_under_a_name_that_says_what_it_is(inspected: Page) -> None:
    page = inspected
    expect(page.locator("#pyramid .js-plotly-plot .main-svg").first).to_be_visible()
    for kind, begins in (("png", b"\x89PNG"), ("svg", b"<svg")):
        with page.expect_download() as saved:
            page.locator("#pyramid").get_by_role("button", name=f"Save {kind.upper()}").press("Enter")
        assert saved.value.suggested_filename == f"ccf-levels-8x.{kind}"
        assert Path(saved.value.path()).read_bytes().startswith(begins)


def test_the_strip_is_scored_remembered_and_chooses_segments(inspected: Page) -> None:
    page = inspected
    page.click("#score")
    cells = page.locator("#fidelity .ccf-cell")
    expect(page.locator("#fidelity .ccf-vnone")).to_have_count(0)
    expect(page.locator("#stop-score")).to_be_hidden()
    expect(page.locator("#fidelity")).to_contain_text(
        f"{cells.count()} of {cells.count()} segments reconstructed at 8x"
    )
    cells.nth(2).press("Enter")
    expect(page.locator("#inspect-segment input")).to_have_value(re.compile("^2"))
    expect(cells.nth(2)).to_have_attribute("aria-current", "true")
    # Its reconstruction was made for the strip, and is there without another run.
    expect(page.locator("#diff .ccf-diff")).to_be_visible()
    score = page.locator("#diff dl div", has_text="ROUGE-L").locator("dd").inner_text()
    assert cells.nth(2).get_attribute("title") == f"segment 2: ROUGE-L {score}"


def test_surgery_shows_both_memories(inspected: Page, screenshot: Callable[[str], None]) -> None:
    page = inspected
    page.locator("#surgery button.label-wrap").click()
    page.locator("#off-levels").get_by_label("8x", exact=True).check()
    page.fill("#off-layers input, #off-layers textarea", "0-1")
    page.locator("#off-heads").get_by_label("1", exact=True).check()
    page.click("#surgery-reconstruct")
    expect(page.locator("#operation")).to_contain_text("levels 8x; heads 1 of layers 0-1")
    expect(page.locator("#operation tbody tr")).to_have_count(2)
    expect(page.locator("#operation .ccf-side")).to_have_count(2)
    page.fill("#surgery-question textarea, #surgery-question input", "How many crates?")
    page.click("#surgery-ask")
    expect(page.locator("#operation")).to_contain_text("the intact answer")
    screenshot("surgery")
    page.fill("#off-layers input, #off-layers textarea", "99")
    page.click("#surgery-ask")
    expect(page.locator(".toast-body")).to_contain_text("no layer 99: choose from 0 to 1")


def test_two_adapters_are_compared(
    page: Page,
    serve_tiny: Serve,
    tiny_model_folders: tuple[Path, Path],
    tmp_path: Path,
    screenshot: Callable[[str], None],
) -> None:
    with serve_tiny(tmp_path) as address:
        inspect(page, address)
        surgery = page.locator("#surgery button.label-wrap")
        surgery.click()
        expect(page.locator("#adapters-note")).to_contain_text("Only the adapter in use is there")
        expect(page.locator("#pair-reconstruct")).to_be_hidden()
        surgery.click()
        shutil.copytree(tiny_model_folders[1], tmp_path / "data" / "adapters" / "second")
        surgery.click()
        expect(page.locator("#other-adapter input")).to_have_value("second")
        page.locator("#off-levels").get_by_label("8x", exact=True).check()
        page.click("#pair-reconstruct")
        result = page.locator("#operation")
        expect(result.locator("tbody th")).to_have_text([re.compile("in use"), "second"])
        expect(result).to_contain_text("Switched off in both: levels 8x")
        expect(page.locator("#stop-pair")).to_be_hidden()
        page.fill("#surgery-question textarea, #surgery-question input", "How many crates?")
        page.click("#pair-ask")
        expect(result).to_contain_text("the answer under the adapter in use")
        screenshot("two-adapters")


def test_a_memory_in_the_making_is_cancelled(
    page: Page, tiny_folder: Callable[..., Path], tiny_adapter: Callable[[Path], Path], tmp_path: Path
) -> None:
    # Of so many layers that the memory is still in the making when a slow page has seen it begin.
    base = tiny_folder(num_hidden_layers=48)
    long = {"name": "long.txt", "mimeType": "text/plain", "buffer": " ".join(NOTES * 250).encode()}
    with served(without_examples(tmp_path), CCF_BASE=str(base), CCF_ADAPTER=str(tiny_adapter(base))) as address:
        page.goto(address)
        page.locator("#upload input[type=file]").set_input_files(long)  # type: ignore[arg-type]
        row = page.locator("#listing .doc", has_text="long")
        # Cancelled before a segment is stored, it is "text only".
        expect(row).to_contain_text(re.compile(r"compressing [1-9]\d* of"))
        page.locator("#progress").get_by_role("button", name="Cancel long.txt").click()
        expect(row).to_contain_text("interrupted after")
        page.close()


def test_a_memory_is_shown_as_soon_as_it_is_stored(
    page: Page, serve_tiny: Serve, tiny_model_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    interrupt("long", tmp_path / "data", *tiny_model_folders)
    with serve_tiny(tmp_path) as address:
        page.goto(address)
        # A row that comes in at the top moves those below it away from the pointer.
        expect(page.locator("#listing .doc").filter(has_text="· stored")).to_have_count(len(examples()))
        steps.tick(page, "long")
        steps.open_tab(page, "Inspect")
        expect(page.locator("#sliced")).to_contain_text("not complete yet")
        page.locator("#listing").get_by_role("button", name="Compress long", exact=True).click()
        expect(page.locator("#sliced")).to_contain_text("At 8x: 4 slots for 32 tokens")
        page.close()


def interrupt(title: str, data: Path, base: Path, adapter: Path) -> None:
    """Store a document of which the first segments alone are compressed."""
    stored: list[IngestProgress] = []

    def note(step: IngestProgress) -> None:
        if step.stage == "memory" and step.done:
            stored.append(step)

    settings = Settings(data, adapter=adapter, base=str(base), device="cpu", dtype="float32")
    with Workbench(settings) as workbench, pytest.raises(Cancelled):
        workbench.intake.ingest_text(" ".join(NOTES * 20), title, note, lambda: bool(stored))


def test_figures_fit_a_phone(inspected: Page, screenshot: Callable[[str], None]) -> None:
    page = inspected
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#look")
    expect(page.locator("#shaded .ccf-attention")).to_be_visible()
    page.click("#draw-map")
    expect(page.locator("#slot-map .js-plotly-plot .main-svg").first).to_be_visible()
    screenshot("phone-look")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
