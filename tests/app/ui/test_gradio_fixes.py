"""What an event tells the page: what it skips costs nothing, what it updates comes whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from app.ui.gradio_fixes import Blocks

UNTOLD = {"__type__": "update"}


def told(returned: Callable[[], Any]) -> tuple[list[Any], list[bool]]:
    """What the page is told of an HTML, a State and a Button, and which components the server made anew for it."""
    with Blocks() as page:
        outputs = [gr.HTML(), gr.State(0), gr.Button("Stop")]
        event = gr.Button().click(returned, None, outputs)
    state = SessionState(page)
    data = asyncio.run(page.process_api(page.fns[event["id"]], [], state=state))["data"]
    return data, [state[one._id] is not one for one in (outputs[0], outputs[2])]


@pytest.mark.parametrize(
    ("returned", "data", "anew"),
    [
        (lambda: gr.skip(), [UNTOLD, None, UNTOLD], [False, False]),
        (lambda: (gr.skip(), gr.skip(), gr.skip()), [UNTOLD, None, UNTOLD], [False, False]),
        (lambda: ("text", gr.skip(), gr.skip()), ["text", None, UNTOLD], [False, False]),
        (lambda: (gr.skip(), 7, gr.skip()), [UNTOLD, None, UNTOLD], [False, False]),
        (
            lambda: (gr.skip(), gr.skip(), gr.Button(visible=False)),
            [UNTOLD, None, UNTOLD | {"visible": False}],
            [False, True],
        ),
        (lambda: ("text", 7, gr.Button(visible=False)), ["text", None, UNTOLD | {"visible": False}], [False, True]),
    ],
)
def test_what_is_skipped_is_not_made_anew(returned: Callable[[], Any], data: list[Any], anew: list[bool]) -> None:
    assert told(returned) == (data, anew)


def test_one_output_may_be_skipped_or_a_list() -> None:
    for returned, data in ((gr.skip(), UNTOLD), (["b"], ["b"])):
        with Blocks() as page:
            chosen = gr.Dropdown(["a", "b"], value=["a"], multiselect=True)
            event = gr.Button().click(lambda value=returned: value, None, chosen)
        made = asyncio.run(page.process_api(page.fns[event["id"]], [], state=SessionState(page)))["data"]
        assert made == [data]


def test_a_choice_that_is_no_longer_offered_is_none() -> None:
    with Blocks() as page:
        chosen, shown = gr.Dropdown(["a", "b"]), gr.HTML()
        offers = gr.Button().click(lambda: gr.Dropdown(["b", "c"]), None, chosen)
        reads = gr.Button().click(lambda choice: f"chosen: {choice}", chosen, shown)
    session = SessionState(page)

    def read(choice: str) -> str:
        return asyncio.run(page.process_api(page.fns[reads["id"]], [choice], state=session))["data"][0]

    assert [read(choice) for choice in "abc"] == ["chosen: a", "chosen: b", "chosen: None"]
    asyncio.run(page.process_api(page.fns[offers["id"]], [], state=session))
    assert [read(choice) for choice in "abc"] == ["chosen: None", "chosen: b", "chosen: c"]


def test_a_state_keeps_what_it_is_given_beside_skipped_components() -> None:
    with Blocks() as page:
        shown, state = gr.HTML(), gr.State(0)
        event = gr.Button().click(lambda: (gr.skip(), 7), None, [shown, state])
    session = SessionState(page)
    asyncio.run(page.process_api(page.fns[event["id"]], [], state=session))
    assert session[state._id] == 7


def test_an_update_after_an_update_comes_whole() -> None:
    with Blocks() as page:
        outputs = [gr.Button(), gr.HTML()]
        event = gr.Button().click(lambda: None, None, outputs)
    function = page.fns[event["id"]]

    def sent(*data: Any) -> list[Any]:
        return page.handle_streaming_diffs(function, list(data), "session", "run", final=False)

    shown = UNTOLD | {"visible": True}
    assert sent(shown, "<p>Star") == [shown, "<p>Star"]
    assert sent(UNTOLD, "<p>Starting") == [[["replace", [], UNTOLD]], [["append", [], "ting"]]]
    assert sent(UNTOLD, "<p>Starting") == [[], []]
