"""One question under several settings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import gradio as gr

from app import comparison, render
from app.comparing import DEFAULT, all_settings
from app.comparison import Card
from app.examples import suggestions_for
from app.exporting import export_conversation
from app.tabs.common import MENDABLE, Stops, relay
from app.tabs.library import Library
from app.tabs.saving import save_on_click
from app.views import AnswerView
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
        info="4x: a slot for every four tokens of text; focus: coarse, and finer where the question needs it; "
        "truncated: the text's first tokens, as many as fit",
        elem_id="compare-settings",
    )  # fmt: skip
    with gr.Row():
        start = gr.Button("Compare", variant="primary", elem_id="compare-start", size="md")
        stop = gr.Button("Stop", visible=False, elem_id="compare-stop", size="md")
    cards = gr.HTML(elem_id="compare-cards")
    answered = gr.State([])  # (AnswerView, …) of the comparison on this page
    costs = gr.HTML(elem_id="compare-costs")
    with gr.Row(elem_id="compare-save", visible=False) as save:
        markdown = gr.Button("Save as Markdown", size="sm", elem_id="compare-markdown", scale=0, min_width=150)
        as_json = gr.Button("Save as JSON", size="sm", elem_id="compare-json", scale=0, min_width=130)

    def compare(question: str, documents: list[str], chosen: list[str], request: gr.Request) -> Iterator[list[Any]]:
        pressed = stops.begin(request)
        asked = workbench.compare(question or "", documents or [], chosen or [], cancelled=pressed.is_set)
        found = {setting: Card(setting) for setting in settings if setting in chosen}

        def shown(ended: bool) -> list[Any]:
            listed, dtype = [*found.values()], workbench.info()["dtype"]
            return [comparison.cards(listed, ended, dtype), comparison.costs(listed, dtype)]

        yield [*shown(ended=False), gr.Button(visible=True), gr.Row(visible=False), []]
        try:
            for step in relay(asked, pressed):
                card = found[step.setting]
                card.text += step.piece
                card.answer, card.error = step.answer, step.error
                if card.answer:
                    card.text = card.answer.text
                yield [*shown(ended=False), gr.skip(), gr.skip(), gr.skip()]
            answers = [card.answer for card in found.values() if card.answer]
            yield [*shown(ended=True), gr.Button(visible=False), gr.Row(visible=bool(answers)), answers]
        except MENDABLE as error:
            yield [render.notice("error", str(error)), "", gr.Button(visible=False), gr.skip(), gr.skip()]

    def written(form: Literal["markdown", "json"], ending: str) -> Callable[[list[AnswerView]], tuple[str, str]]:
        return lambda answers: (f"comparison.{ending}", export_conversation("Comparison", answers, form))

    def suggest(documents: list[str]) -> Any:
        titles = {view.sha256: view.title for view in workbench.documents()}
        found = [q for sha in documents or [] if sha in titles for q, _ in suggestions_for(titles[sha])]
        return gr.Radio(choices=found, value=None, visible=bool(found))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [question, library.picked, chosen]
    gr.on(
        [start.click, question.submit],
        compare,
        inputs,
        [cards, costs, stop, save, answered],
        concurrency_limit=8,
        **quiet,
    )
    save_on_click(markdown, written("markdown", "md"), [answered])
    save_on_click(as_json, written("json", "json"), [answered])
    stop.click(stops.press, queue=False, **quiet)
    library.picked.change(suggest, library.picked, suggested, **quiet)
    suggested.input(lambda q: q, suggested, question, **quiet)
