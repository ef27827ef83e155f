"""Compare and Lab on a tiny random model: its answers mean nothing, everything else is real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import steps

TEXT = " ".join(f"Ship number {i} carried {i * 13} crates of apples to the town." for i in range(1, 20)).encode()


def choose(page: Page, *settings: str) -> None:
    """Tick exactly these settings."""
    for choice in page.locator("#compare-settings label").all():
        choice.locator("input").set_checked(choice.inner_text().strip() in settings)
    expect(page.locator("#compare-settings input:checked")).to_have_count(len(settings))


def test_two_settings_are_compared(page: Page, tiny_app: str, screenshot: Callable[[str], None]) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("apples.txt", "text/plain", TEXT[:300]))
    steps.tick(page, "apples")
    steps.open_tab(page, "Compare")
    expect(page.locator("#compare-suggested")).to_be_hidden()
    choose(page, "full context", "memory 8x")
    page.fill("#compare-question textarea", "How many crates did ship number 7 carry?")
    page.click("#compare-start")
    expect(page.locator("#compare-costs tbody tr")).to_have_count(2)
    expect(page.locator("#compare-stop")).to_be_hidden()
    expect(page.locator(".cmp-card h4")).to_have_text(["full context", "memory 8x"])
    expect(page.locator(".cmp-card").last).to_contain_text("full context")
    expect(page.locator("#compare-cards [role=status]")).to_contain_text("2 of 2")
    with page.expect_download() as saved:
        page.click("#compare-json")
    answers = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))["answers"]
    assert [answer["reader"] for answer in answers] == ["full", "memory"]
    screenshot("compare")


def test_nothing_to_compare_is_a_sentence(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.open_tab(page, "Compare")
    expect(page.locator("#compare-suggested label")).not_to_have_count(0)
    page.click("#compare-start")
    expect(page.locator("#compare-cards [role=alert]")).to_contain_text("no question")
    expect(page.locator("#compare-stop")).to_be_hidden()


def test_an_adapter_without_results_says_so_and_a_document_is_measured(
    page: Page, tiny_app: str, screenshot: Callable[[str], None]
) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("pears.txt", "text/plain", TEXT.replace(b"apples", b"pears")))
    steps.tick(page, "pears")
    steps.open_tab(page, "Lab")
    expect(page.locator("#lab-introduction")).to_contain_text("No results are shipped")
    expect(page.locator("#lab-document input")).to_have_value("pears")
    page.click("#lab-measure")
    expect(page.locator("#lab-progress")).to_contain_text("Measured “pears”: 32 of 32")
    expect(page.locator("#lab-reconstruction .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#lab-runs tbody tr").first).to_contain_text("pears")
    screenshot("lab")


def test_an_evaluation_is_started_watched_and_stopped(
    page: Page, tiny_app: str, screenshot: Callable[[str], None]
) -> None:
    steps.visit(page, tiny_app)
    steps.open_evaluation(page)
    progress, stop = page.locator("#evaluation-progress [role=status]"), page.locator("#evaluation-stop")
    steps.start_evaluation(page, 500)
    expect(progress).to_be_visible()
    stop.click()
    expect(stop).to_be_hidden()
    expect(progress).to_have_count(0)
    steps.start_evaluation(page, 2)
    expect(page.locator("#evaluation-result tbody tr")).to_have_count(4)
    expect(page.locator("#evaluation-result")).to_contain_text("python -m ccf_core evaluate reconstruct")
    expect(page.locator("#lab-runs tbody tr").first).to_contain_text("ROUGE-L 4x")
    screenshot("lab-evaluation")


def test_a_phone_reaches_compare_and_lab(page: Page, tiny_app: str, screenshot: Callable[[str], None]) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    steps.visit(page, tiny_app)
    for tab in ("Compare", "Lab"):
        steps.open_tab(page, tab)
        screenshot(f"phone-{tab.lower()}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_savings_are_timed_stopped_and_saved(
    page: Page, tiny_app: str, screenshot: Callable[[str], None], tmp_path: Path
) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("plums.txt", "text/plain", TEXT.replace(b"apples", b"plums")))
    steps.tick(page, "plums")
    steps.see_savings(page, "plums")
    expect(page.locator("#savings-outcome")).to_contain_text("Not timed yet")
    page.click("#savings-measure")
    expect(page.locator("#savings-outcome")).to_contain_text("Measured on")
    expect(page.locator("#savings-stop")).to_be_hidden()
    expect(page.locator("#savings-progress progress")).to_have_count(0)
    for figure in ("growth", "times", "payback"):
        expect(page.locator(f"#savings-{figure} .js-plotly-plot .main-svg").first).to_be_visible()
    screenshot("savings-timed")
    with page.expect_download() as saved:
        page.click("#savings-save")
    path = tmp_path / "savings.html"
    saved.value.save_as(path)
    html = path.read_text(encoding="utf-8")
    assert html.count("<h2>") == 4 and "plums" in html
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
