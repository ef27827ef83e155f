"""A page looks for news past Gradio's queue, and in it only where a state changes: who listens hears of it there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gradio.state_holder import SessionState

from app.tabs.page import build
from app.workbench import Workbench


class OpenPage:
    """A page as a browser has it: it knows the values of components, the server those of states."""

    def __init__(self, workbench: Workbench) -> None:
        self.page = build(workbench)
        self.session = SessionState(self.page)
        self.calls = self.part("calls")
        self.glance = next(fn for fn in self.page.fns.values() if self.calls in fn.outputs)
        self.look = self.on("change", self.calls)
        self.picked, self.awaited, self.changed = self.look.outputs[-3:]
        self.called = 0

    def part(self, elem_id: str) -> Any:
        return next(one for one in self.page.blocks.values() if getattr(one, "elem_id", None) == elem_id)

    def on(self, event: str, part: Any) -> Any:
        return next(fn for fn in self.page.fns.values() if (part._id, event) in fn.targets)

    def do(self, fn: Any, *values: Any) -> tuple[set[str], set[int]]:
        """(names of components that are shown anew, ids of states that the page is told have changed)."""
        sent = values or [self.called if one is self.calls else getattr(one, "value", None) for one in fn.inputs]
        sent = [None if one.stateful else value for one, value in zip(fn.inputs, sent, strict=True)]
        told = asyncio.run(self.page.process_api(fn, sent, state=self.session))
        new = {
            one: value for one, value in zip(fn.outputs, told["data"], strict=True) if value != {"__type__": "update"}
        }
        self.called = new.get(self.calls, self.called)
        return {one.elem_id for one in new if not one.stateful}, {*told["changed_state_ids"]}

    def paste(self, text: str) -> None:
        fn = self.on("click", self.part("paste-go"))
        self.do(fn, text, "Pasted", *[None] * (len(fn.inputs) - 2))


@pytest.fixture
def opened(workbench: Workbench, prose: Callable[..., str]) -> OpenPage:
    """A page that has seen all there is, one document."""
    workbench.ingest_text(prose(seed=9), "Example")
    page = OpenPage(workbench)
    page.do(page.look)
    page.do(page.glance)
    assert page.do(page.glance) == (set(), set())
    return page


def test_glances_go_past_the_queue_and_looks_through_it_one_at_a_time(workbench: Workbench) -> None:
    page = OpenPage(workbench)
    assert page.glance.queue is False
    assert page.look.queue is not False and page.look.trigger_mode == "once"
    assert {page.glance.api_visibility, page.look.api_visibility} == {"private"}


def test_a_glance_shows_what_changes_no_state(workbench: Workbench, opened: OpenPage) -> None:
    workbench.jobs.add_text("A text that nobody works on yet.", "Waiting")
    assert opened.do(opened.glance)[0] == {"progress"}
    assert opened.do(opened.glance) == (set(), set())


def test_what_others_store_calls_for_a_look_until_there_was_one(
    workbench: Workbench, prose: Callable[..., str], opened: OpenPage
) -> None:
    workbench.ingest_text(prose(seed=1), "Of another page")
    seen = opened.session[opened.look.inputs[0]._id]
    calls = []
    for _ in range(2):  # the look that the first one calls for is lost
        assert opened.do(opened.glance) == ({"calls"}, set())
        calls.append(opened.called)
    assert calls == [1, 2]
    assert opened.session[opened.look.inputs[0]._id] == seen
    shown, changed = opened.do(opened.look)
    assert "listing" in shown and opened.changed._id in changed and opened.picked._id not in changed
    assert "calls" not in opened.do(opened.glance)[0]
    # A call that comes late does nothing.
    assert opened.do(opened.look) == (set(), set())


def test_what_the_page_waits_for_is_ticked_by_a_look_and_not_by_a_glance(
    workbench: Workbench, prose: Callable[..., str], opened: OpenPage
) -> None:
    opened.paste(prose(seed=2))
    before = opened.session[opened.picked._id]
    opened.do(opened.glance)
    workbench.jobs.work()
    assert opened.do(opened.glance)[0] == {"calls"}
    assert opened.session[opened.picked._id] == before
    _, changed = opened.do(opened.look)
    assert changed == {opened.picked._id, opened.changed._id}
    assert opened.session[opened.picked._id] == [workbench.jobs.list()[0].document]
    assert opened.session[opened.awaited._id] == ([], None)
    assert "calls" not in opened.do(opened.glance)[0]


def test_what_others_delete_is_ticked_no_more(workbench: Workbench, opened: OpenPage) -> None:
    (document,) = opened.session[opened.picked._id]
    workbench.delete(document)
    assert opened.do(opened.glance) == ({"calls"}, set())
    assert opened.picked._id in opened.do(opened.look)[1]
    assert opened.session[opened.picked._id] == []
