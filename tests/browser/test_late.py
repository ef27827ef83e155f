"""A page that hears of its own event later than of what the event has said."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import steps

pytestmark = pytest.mark.browser

#: Long enough for an event to have said its first words, and for the page to have looked for other news meanwhile.
LATE_MS = 4000


def test_stop_appears_though_the_page_learns_late_that_its_event_was_taken(page: Page, tiny_app: str) -> None:
    rows = 500

    def late(route: Route) -> None:
        taken = route.fetch()
        if rows in (route.request.post_data_json or {})["data"]:
            page.wait_for_timeout(LATE_MS)
        route.fulfill(response=taken)

    page.route("**/queue/join*", late)
    steps.visit(page, tiny_app)
    steps.open_tab(page, "Lab")
    page.locator("#evaluation button.label-wrap").click()
    progress, stop = page.locator("#evaluation-progress [role=status]"), page.locator("#evaluation-stop")
    page.fill("#evaluation-limit input", str(rows))
    page.click("#evaluation-start")
    expect(progress).to_be_visible()
    stop.click()
    expect(stop).to_be_hidden()
    expect(progress).to_have_count(0)
