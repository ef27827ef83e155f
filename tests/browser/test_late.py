"""A page that is late: its own events, what they say and what a user does come in another order."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser import steps

#: Long enough for an event to have said its first words, and for the page to have looked for other news meanwhile.
LATE_MS = 4000


def test_stop_appears_though_the_page_learns_late_that_its_event_was_taken(page: Page, tiny_app: str) -> None:
    rows = 500

    def late(route: Route) -> None:
        if rows not in (route.request.post_data_json or {})["data"]:
            route.continue_()
            return
        taken = route.fetch()
        page.wait_for_timeout(LATE_MS)
        route.fulfill(response=taken)

    page.route("**/queue/join*", late)
    steps.visit(page, tiny_app)
    steps.open_evaluation(page)
    progress, stop = page.locator("#evaluation-progress [role=status]"), page.locator("#evaluation-stop")
    steps.start_evaluation(page, rows)
    expect(progress).to_be_visible()
    stop.click()
    expect(stop).to_be_hidden()
    expect(progress).to_have_count(0)


def test_an_outcome_stays_though_the_page_learns_after_it_that_its_file_was_queued(page: Page, tiny_app: str) -> None:
    name = "torn.pdf"
    outcome = page.locator("#progress .ccf-error")

    def late(route: Route) -> None:
        if name not in (route.request.post_data or ""):
            route.continue_()
            return
        taken = route.fetch()
        expect(outcome).to_contain_text(name)
        route.fulfill(response=taken)

    page.route("**/queue/join*", late)
    steps.visit(page, tiny_app)
    page.locator("#upload input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/pdf", "buffer": b"%PDF-1.7 and no more"}
    )
    expect(page.locator("#upload")).not_to_contain_text(name)
    # With it came the queue as it was, which has to give way to the outcome again.
    expect(outcome).to_contain_text(name)


def test_an_answer_comes_though_the_stream_ended_as_the_question_was_sent(page: Page, tiny_app: str) -> None:
    ended: list[Route] = []

    def end(route: Route) -> None:
        ended.append(route)
        route.fulfill(content_type="text/event-stream", body='data: {"msg": "close_stream"}\n\n')

    steps.visit(page, tiny_app)
    steps.settle(page)
    page.route("**/queue/data*", end, times=1)
    budgets = iter("abcdefghijkl")
    # A stream of an earlier event may still be open, which then brings what the question leads to.
    while not ended:
        budget = next(budgets)
        page.fill("#kv-budget textarea, #kv-budget input", budget)
        page.fill("#question textarea", "Who counted the ships?")
        page.press("#question textarea", "Enter")
        expect(page.locator("#chat [role=alert]").last).to_contain_text(f"not '{budget}'")


def test_a_click_counts_though_what_is_clicked_is_drawn_anew_meanwhile(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    steps.upload(page, ("torn.pdf", "application/pdf", b"%PDF-1.7 and no more"))
    for selector in ("#listing label:has(input:not(:checked))", "#progress [data-act=dismiss]"):
        there = page.locator(selector)
        before = there.count()
        there.first.hover()
        page.mouse.down()
        there.first.evaluate("one => { one.outerHTML = one.outerHTML; }")
        page.mouse.up()
        expect(there).to_have_count(before - 1)
