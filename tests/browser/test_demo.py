"""A public demo in the browser: each visitor alone, with and without the browser's storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import steps
from tests.browser.conftest import served

#: What an iframe of another site meets where the browser blocks its storage.
BLOCKED = """for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, {
    get() { throw new DOMException("blocked", "SecurityError"); }, configurable: true});"""
NOTE = ("note.txt", "text/plain", b"A private note: the vault opens on Thursday. " * 8)


@pytest.fixture(scope="module")
def demo(tiny_model_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base, adapter = tiny_model_folders
    with served(tmp_path_factory.mktemp("demo"), CCF_BASE=str(base), CCF_ADAPTER=str(adapter), CCF_DEMO="1") as address:
        yield address


@pytest.fixture
def other(browser: Browser) -> Iterator[Callable[..., Page]]:
    """``other(blocked)``: a page in a browser profile of its own."""
    contexts = []

    def arrive(blocked: bool = False) -> Page:
        context = browser.new_context()
        context.set_default_timeout(steps.PATIENCE)
        if blocked:
            context.add_init_script(BLOCKED)
        contexts.append(context)
        return context.new_page()

    yield arrive
    for context in contexts:
        context.close()


def test_what_one_visitor_adds_no_other_sees(page: Page, demo: str, other: Callable[..., Page]) -> None:
    steps.visit(page, demo)
    expect(page.locator(".visitor-kept")).to_be_visible()
    steps.upload(page, NOTE)
    expect(steps.listed(page).filter(has_text="note")).to_have_count(1)
    # The work of this button runs on a thread of its own, which must know its visitor too.
    page.get_by_role("tab", name="Inspect").click()
    page.locator("#reconstruct").click()
    expect(page.locator("#diff")).to_contain_text("ROUGE-L")
    second = other()
    steps.visit(second, demo)
    expect(steps.listed(second).filter(has_text="note")).to_have_count(0)
    again = page.context.new_page()
    steps.visit(again, demo)
    expect(steps.listed(again).filter(has_text="note")).to_have_count(1)


def test_without_storage_a_visitor_lasts_as_long_as_the_page(demo: str, other: Callable[..., Page]) -> None:
    page = other(blocked=True)
    steps.visit(page, demo)
    expect(page.locator(".visitor-page")).to_be_visible()
    expect(page.locator(".visitor-kept")).to_be_hidden()
    steps.upload(page, NOTE)
    expect(steps.listed(page).filter(has_text="note")).to_have_count(1)
    page.reload()
    expect(steps.listed(page)).not_to_have_count(0)
    expect(steps.listed(page).filter(has_text="note")).to_have_count(0)


def test_a_key_is_rotated_and_all_is_deleted_on_request(demo: str, other: Callable[..., Page]) -> None:
    page = other()
    steps.visit(page, demo)
    steps.upload(page, NOTE)
    kept = "localStorage.getItem('ccf-visitor')"
    before = page.evaluate(kept)
    # A request that is under way with the old key when the key changes is sent again with the new one.
    under_way: list[Route] = []
    page.route("**/gradio_api/call/late", lambda route: under_way.append(route), times=1)
    page.evaluate("() => { window.late = fetch('gradio_api/call/late', {method: 'POST', body: '{}'}); }")
    page.get_by_role("button", name="New key").click()
    expect(page.locator("#visitor-said")).to_contain_text("opens nothing")
    assert page.evaluate(kept) != before
    under_way[0].continue_()
    assert page.evaluate("() => window.late.then(answer => answer.status)") == 422  # let in, and found empty
    assert page.evaluate(kept) is not None
    page.reload()
    expect(steps.listed(page).filter(has_text="note")).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        page.get_by_role("button", name="Delete all of mine").click()
    expect(steps.listed(page)).not_to_have_count(0)
    expect(steps.listed(page).filter(has_text="note")).to_have_count(0)


def test_who_has_to_log_in_again_finds_what_was_added(
    tiny_model_folders: tuple[Path, Path], other: Callable[..., Page], tmp_path: Path
) -> None:
    base, adapter = map(str, tiny_model_folders)
    page = other()

    def log_in() -> None:
        page.get_by_label("username").fill("ann")
        page.get_by_label("password").fill("secret")
        page.get_by_role("button", name="Login").click()

    with served(tmp_path, CCF_BASE=base, CCF_ADAPTER=adapter, CCF_DEMO="1", CCF_LOGIN="ann:secret") as address:
        page.goto(address)
        log_in()
        expect(page.locator("#head")).to_contain_text("Model ready")
        steps.upload(page, NOTE)
        refused = page.expect_response(lambda answer: answer.status == 401)
        with refused:
            page.context.clear_cookies()
        page.reload()
        log_in()
        expect(steps.listed(page).filter(has_text="note")).to_have_count(1)
