"""Ask one question under several settings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import gradio as gr

from app.answers.compare import DEFAULT, all_settings
from app.documents.examples import suggestions_for
from app.documents.export import export_conversation
from app.types import AnswerView
from app.ui.cancel import StopButton, relay
from app.ui.html import compare as html
from app.ui.html.compare import Card
from app.ui.html.elements import notice
from app.ui.saving import save_on_click
from app.ui.tabs.library import Library
from app.ui.widgets import MENDABLE, QUIET, QUIET_WORK
from app.workbench import Workbench


def render_compare(workbench: Workbench, library: Library) -> None:
    settings = all_settings(workbench.model.ratios)
    gr.HTML(
        '<p class="wb-note">One question to the documents ticked on the left, under several settings, one after the '
        "other. The decoder is the same; what it reads is not.</p>"
    )
    question = gr.Textbox(
        label="Question", placeholder="What would you like to know?", elem_id="compare-question", max_lines=4
    )
    suggested = gr.Radio(label="Suggested questions", choices=[], visible=False, elem_id="compare-suggested")
    chosen = gr.CheckboxGroup(
        [(html.label(setting), setting) for setting in settings], value=list(DEFAULT), label="Settings",
        info="4x: a slot for every four tokens of text; focus: coarse, and finer where the question needs it; "
        "truncated: the text's first tokens, as many as fit",
        elem_id="compare-settings",
    )  # fmt: skip
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="compare-start", size="md")
        stop = StopButton("compare-stop", size="md", scale=None, min_width=None)
    cards = gr.HTML(elem_id="compare-cards")
    answered = gr.State([])  # (AnswerView, …) of the comparison on this page
    costs = gr.HTML(elem_id="compare-costs")
    with gr.Row(elem_id="compare-save", visible=False) as save:
        markdown = gr.Button("Save as Markdown", size="sm", elem_id="compare-markdown", scale=0, min_width=150)
        as_json = gr.Button("Save as JSON", size="sm", elem_id="compare-json", scale=0, min_width=130)

    def compare(question: str, documents: list[str], chosen: list[str], request: gr.Request) -> Iterator[list[Any]]:
        switch = stop.begin(request)
        asked = workbench.comparing.compare(question or "", documents or [], chosen or [], cancelled=switch.is_set)
        found = {setting: Card(setting) for setting in settings if setting in chosen}

        def shown(ended: bool) -> list[Any]:
            listed, dtype = [*found.values()], workbench.model.info()["dtype"]
            return [html.cards(listed, ended, dtype), html.costs(listed, dtype)]

        yield [*shown(ended=False), gr.Button(visible=True), gr.Row(visible=False), []]
        try:
            for step in relay(asked, switch):
                card = found[step.setting]
                card.text += step.piece
                card.answer, card.error = step.answer, step.error
                if card.answer:
                    card.text = card.answer.text
                yield [*shown(ended=False), gr.skip(), gr.skip(), gr.skip()]
            answers = [card.answer for card in found.values() if card.answer]
            yield [*shown(ended=True), gr.Button(visible=False), gr.Row(visible=bool(answers)), answers]
        except MENDABLE as error:
            yield [notice("error", str(error)), "", gr.Button(visible=False), gr.skip(), gr.skip()]

    def written(form: Literal["markdown", "json"], ending: str) -> Callable[[list[AnswerView]], tuple[str, str]]:
        return lambda answers: (f"comparison.{ending}", export_conversation("Comparison", answers, form))

    def suggest(documents: list[str]) -> Any:
        titles = {view.sha256: view.title for view in workbench.library.documents()}
        found = [q for sha in documents or [] if sha in titles for q, _ in suggestions_for(titles[sha])]
        return gr.Radio(choices=found, value=None, visible=bool(found))

    inputs = [question, library.picked, chosen]
    outputs = [cards, costs, stop.button, save, answered]
    gr.on([start.click, question.submit], compare, inputs, outputs, **QUIET_WORK)
    save_on_click(markdown, written("markdown", "md"), [answered])
    save_on_click(as_json, written("json", "json"), [answered])
    library.picked.change(suggest, library.picked, suggested, **QUIET)
    suggested.input(lambda asked: asked, suggested, question, **QUIET)
