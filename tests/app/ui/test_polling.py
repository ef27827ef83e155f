"""A page looks for news past Gradio's queue, and in it only where a state changes: who listens hears of it there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from app.ui.page import build
from app.ui.stamps import STAMP, is_of, stamped
from app.workbench import Workbench


class OpenPage:
    """A page as a browser has it: it knows the values of components, the server those of states."""

    def __init__(self, workbench: Workbench) -> None:
        self.page = build(workbench)
        self.session = SessionState(self.page)
        self.calls = self.part("calls")
        self.poll = next(fn for fn in self.page.fns.values() if self.calls in fn.outputs)
        self.update = self.on("change", self.calls)
        self.picked, self.awaited, self.changed = self.update.outputs[-3:]
        self.called = 0
        self.shown: dict[Any, Any] = {}

    def part(self, elem_id: str) -> Any:
        return next(one for one in self.page.blocks.values() if getattr(one, "elem_id", None) == elem_id)

    def on(self, event: str, part: Any) -> Any:
        return next(fn for fn in self.page.fns.values() if (part._id, event) in fn.targets)

    def do(self, fn: Any, *values: Any) -> tuple[set[str], set[int]]:
        """(names of components that are shown anew, ids of states that the page is told have changed)."""
        sent = values or [
            self.called if one is self.calls else self.shown.get(one, getattr(one, "value", None)) for one in fn.inputs
        ]
        sent = [None if one.stateful else value for one, value in zip(fn.inputs, sent, strict=True)]
        told = asyncio.run(self.page.process_api(fn, sent, state=self.session))
        new = {
            one: value for one, value in zip(fn.outputs, told["data"], strict=True) if value != {"__type__": "update"}
        }
        self.called = new.get(self.calls, self.called)
        self.shown |= {one: value for one, value in new.items() if isinstance(one, gr.HTML)}
        return {one.elem_id for one in new if not one.stateful}, {*told["changed_state_ids"]}

    def paste(self, text: str) -> None:
        fn = self.on("click", self.part("paste-go"))
        self.do(fn, text, "Pasted", *[None] * (len(fn.inputs) - 2))


@pytest.fixture
def opened(workbench: Workbench, prose: Callable[..., str]) -> OpenPage:
    """A page that has seen all there is, one document."""
    workbench.intake.ingest_text(prose(seed=9), "Example")
    page = OpenPage(workbench)
    page.do(page.update)
    page.do(page.poll)
    assert page.do(page.poll) == (set(), set())
    return page


def test_polls_go_past_the_queue_and_updates_through_it_one_at_a_time(workbench: Workbench) -> None:
    page = OpenPage(workbench)
    assert page.poll.queue is False
    assert page.update.queue is not False and page.update.trigger_mode == "once"
    assert {page.poll.api_visibility, page.update.api_visibility} == {"private"}


def test_a_poll_shows_what_changes_no_state(workbench: Workbench, opened: OpenPage) -> None:
    workbench.queue.add_text("A text that nobody works on yet.", "Waiting")
    assert opened.do(opened.poll)[0] == {"progress"}
    assert opened.do(opened.poll) == (set(), set())


def test_what_arrives_out_of_order_gives_way_to_what_is_true(workbench: Workbench, opened: OpenPage) -> None:
    old = opened.shown[opened.part("progress")]
    workbench.queue.add_text("A text that nobody works on yet.", "Waiting")
    assert opened.do(opened.poll)[0] == {"progress"}
    opened.shown[opened.part("progress")] = old
    assert opened.do(opened.poll)[0] == {"progress"}
    assert opened.do(opened.poll) == (set(), set())


def test_of_a_part_the_page_sends_the_stamp() -> None:
    part = stamped("<p>A part.</p>")
    assert part.endswith("--><p>A part.</p>")
    assert is_of(part, part) and is_of(part[:STAMP], part)
    assert not any(is_of(shown, part) for shown in (None, "", "<p>A part.</p>", stamped("<p>Another.</p>")))


def test_what_others_store_calls_for_an_update_until_there_was_one(
    workbench: Workbench, prose: Callable[..., str], opened: OpenPage
) -> None:
    workbench.intake.ingest_text(prose(seed=1), "Of another page")
    seen = opened.session[opened.update.inputs[0]._id]
    calls = []
    for _ in range(2):  # the update that the first one calls for is lost
        assert opened.do(opened.poll) == ({"calls"}, set())
        calls.append(opened.called)
    assert calls == [1, 2]
    assert opened.session[opened.update.inputs[0]._id] == seen
    shown, changed = opened.do(opened.update)
    assert "listing" in shown and opened.changed._id in changed and opened.picked._id not in changed
    assert "calls" not in opened.do(opened.poll)[0]
    # A call that comes late does nothing.
    assert opened.do(opened.update) == (set(), set())


def test_what_the_page_waits_for_is_ticked_by_an_update_and_not_by_a_poll(
    workbench: Workbench, prose: Callable[..., str], opened: OpenPage
) -> None:
    opened.paste(prose(seed=2))
    before = opened.session[opened.picked._id]
    opened.do(opened.poll)
    workbench.queue.work()
    assert opened.do(opened.poll)[0] == {"calls"}
    assert opened.session[opened.picked._id] == before
    _, changed = opened.do(opened.update)
    assert changed == {opened.picked._id, opened.changed._id}
    assert opened.session[opened.picked._id] == [workbench.queue.list()[0].document]
    assert opened.session[opened.awaited._id] == ([], None)
    assert "calls" not in opened.do(opened.poll)[0]


def test_what_others_delete_is_ticked_no_more(workbench: Workbench, opened: OpenPage) -> None:
    (document,) = opened.session[opened.picked._id]
    workbench.library.delete(document)
    assert opened.do(opened.poll) == ({"calls"}, set())
    assert opened.picked._id in opened.do(opened.update)[1]
    assert opened.session[opened.picked._id] == []


def test_a_page_that_does_not_fetch_what_waits_for_it_is_made_to(opened: OpenPage) -> None:
    page, request = opened.page, gr.Request(session_hash="here")
    waiting = page._queue.pending_messages_per_session["here"] = asyncio.Queue()

    def called() -> bool:
        sent = [
            None if one.stateful else opened.shown.get(one, getattr(one, "value", None)) for one in opened.poll.inputs
        ]
        told = asyncio.run(page.process_api(opened.poll, sent, request=request, state=opened.session))
        return told["data"][-1] == 1

    assert not called()
    waiting.put_nowait("an outcome")
    assert called()
