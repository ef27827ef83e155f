"""One question under several settings, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import comparison, render
from app.comparing import DEFAULT, all_settings
from app.comparison import Card
from app.examples import suggestions_for
from app.tabs.common import MENDABLE, Stops, relay
from app.tabs.library import Library
from app.workbench import Workbench


def render_compare(workbench: Workbench, library: Library) -> None:
    stops = Stops()
    settings = all_settings(workbench.ratios)
    gr.HTML(
        '<p class="wb-note">One question to the documents ticked on the left, under several settings, one after the '
        "other. The decoder is the same; what it reads is not.</p>"
    )
    question = gr.Textbox(
        label="Question", placeholder="What would you like to know?", elem_id="compare-question", max_lines=4
    )
    suggested = gr.Radio(label="Suggested questions", choices=[], visible=False, elem_id="compare-suggested")
    chosen = gr.CheckboxGroup(
        [(comparison.label(setting), setting) for setting in settings], value=list(DEFAULT), label="Settings",
        info="4x: a slot for every four tokens of text; truncated: the text's first tokens, as many as fit",
        elem_id="compare-settings",
    )  # fmt: skip
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="compare-start", size="md")
        stop = gr.Button("Stop", visible=False, elem_id="compare-stop", size="md")
    cards = gr.HTML(elem_id="compare-cards")
    costs = gr.HTML(elem_id="compare-costs")

    def compare(
        question: str, documents: list[str], chosen: list[str], request: gr.Request
    ) -> Iterator[tuple[str, str, Any]]:
        pressed = stops.begin(request)
        asked = workbench.compare(question or "", documents or [], chosen or [], cancelled=pressed.is_set)
        found = {setting: Card(setting) for setting in settings if setting in chosen}
        yield comparison.cards([*found.values()], ended=False), "", gr.Button(visible=True)
        try:
            for step in relay(asked, pressed):
                card = found[step.setting]
                card.text += step.piece
                card.answer, card.error = step.answer, step.error
                if card.answer:
                    card.text = card.answer.text
                listed = [*found.values()]
                yield (
                    comparison.cards(listed, ended=False),
                    comparison.costs(listed, workbench.info()["dtype"]),
                    gr.skip(),
                )
            listed = [*found.values()]
            yield (
                comparison.cards(listed, ended=True),
                comparison.costs(listed, workbench.info()["dtype"]),
                gr.Button(visible=False),
            )
        except MENDABLE as error:
            yield render.notice("error", str(error)), "", gr.Button(visible=False)

    def suggest(documents: list[str]) -> Any:
        titles = {view.sha256: view.title for view in workbench.documents()}
        found = [q for sha in documents or [] if sha in titles for q, _ in suggestions_for(titles[sha])]
        return gr.Radio(choices=found, value=None, visible=bool(found))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [question, library.picked, chosen]
    gr.on([start.click, question.submit], compare, inputs, [cards, costs, stop], concurrency_limit=8, **quiet)
    stop.click(stops.press, queue=False, **quiet)
    library.picked.change(suggest, library.picked, suggested, **quiet)
    suggested.input(lambda q: q, suggested, question, **quiet)
