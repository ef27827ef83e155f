"""Questions to one or several documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import panels, render
from app.examples import questions_for
from app.tabs.common import MENDABLE, RATIOS, Stops, relay
from app.tabs.library import Library
from app.views import AnswerView
from app.workbench import Workbench

READERS = [
    ("memory", "memory"),
    ("full text", "full"),
    ("truncated text, same bytes", "truncated"),
    ("nothing", "none"),
]


def render_ask(workbench: Workbench, library: Library) -> None:
    stops = Stops()
    chat = gr.Chatbot(
        label="Conversation", show_label=False, height=340, elem_id="chat", buttons=["copy"], layout="panel",
        placeholder="Tick documents on the left and ask. The answer is decoded from their memory.",
    )  # fmt: skip
    cost = gr.HTML(elem_id="cost")
    suggested = gr.Radio(label="Suggested questions", choices=[], visible=False, elem_id="suggested")
    question = gr.Textbox(
        label="Question", placeholder="What would you like to know?", elem_id="question", max_lines=4, submit_btn=True
    )
    with gr.Row(elem_id="ask-controls"):
        ratio = gr.Radio(RATIOS, value=4, label="Ratio", info="text tokens for each slot that is read", elem_id="ratio")
        reader = gr.Radio(READERS, value="memory", label="The decoder reads", elem_id="reader")
    stop = gr.Button("Stop", size="sm", visible=False, elem_id="stop")

    def ask(
        question: str, history: list[dict[str, Any]], chosen: list[str], ratio: int, reader: str, request: gr.Request
    ) -> Iterator[Any]:
        stop = stops.begin(request)
        asked = workbench.ask(question, chosen or [], ratio, reader, cancelled=stop.is_set)  # type: ignore[arg-type]
        said_so_far = history or []
        history = [*said_so_far, {"role": "user", "content": render.escape_markdown(question)}]
        yield history, "", gr.skip(), gr.Button(visible=True)
        text = ""
        try:
            for piece in relay(asked, stop):
                if isinstance(piece, AnswerView):
                    yield [*history, _says(panels.said(piece))], panels.cost(piece), "", gr.Button(visible=False)
                else:
                    text += piece
                    yield [*history, _says(render.escape_markdown(text))], gr.skip(), gr.skip(), gr.skip()
        except MENDABLE as error:
            # The question goes back to its field: nothing that was typed is lost.
            yield said_so_far, render.notice("error", str(error)), question, gr.Button(visible=False)

    def suggest(chosen: list[str]) -> Any:
        titles = {view.sha256: view.title for view in workbench.documents()}
        found = [q for sha in chosen or [] if sha in titles for q in questions_for(titles[sha])]
        return gr.Radio(choices=found, value=None, visible=bool(found))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [question, chat, library.picked, ratio, reader]
    question.submit(ask, inputs, [chat, cost, question, stop], concurrency_limit=8, **quiet)
    stop.click(stops.press, queue=False, **quiet)
    library.picked.change(suggest, library.picked, suggested, **quiet)
    # Unticked at once: the same suggestion can be tried again at another ratio.
    suggested.input(lambda q: (q, None), suggested, [question, suggested], **quiet)


def _says(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
