"""Questions to one or several documents, in conversations that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import panels_ask as panels
from app.budget import KVBudget
from app.examples import suggestions_for
from app.tabs.acts import SAVE_JS, acts
from app.tabs.common import MENDABLE, RATIOS, Stops, relay, sentences
from app.tabs.library import SECRET, Library
from app.views import AnswerView, MessageView
from app.workbench import Workbench
from store import ChatNotFound

READERS = [
    ("memory", "memory"),
    ("focus, same bytes", "focus"),
    ("full text", "full"),
    ("truncated text, same bytes", "truncated"),
    ("nothing", "none"),
]
HISTORY = [("when the question refers to them", "auto"), ("always", "all"), ("never", "none")]
NEW = "New conversation"


def render_ask(workbench: Workbench, library: Library, page: gr.Blocks) -> gr.HTML:
    """Returns the conversation, which raises ``place`` to have a text opened."""
    stops = Stops()
    answering: set[str] = set()
    current = gr.State(None)
    kept = gr.BrowserState(None, storage_key="ccf-chat", secret=SECRET)
    offered = gr.State([])
    with gr.Row(elem_id="chat-head", equal_height=True):
        chosen = gr.Dropdown([(NEW, 0)], value=0, label="Conversation", elem_id="conversation", scale=5, min_width=180)
        new = gr.Button("New", size="sm", elem_id="new-chat", scale=0, min_width=64)
        forget = gr.Button("Delete…", size="sm", elem_id="delete-chat", scale=0, min_width=84, visible=False)
        sure = gr.Button(
            "Delete for good", size="sm", variant="stop", elem_id="confirm-delete-chat", scale=0, min_width=130,
            visible=False,
        )  # fmt: skip
    chat = gr.HTML(
        panels.conversation([]), elem_id="chat", js_on_load=acts("place", "again"), autoscroll=True, max_height=620
    )
    suggested = gr.HTML(elem_id="suggested", js_on_load=acts("suggested"))
    with gr.Row(elem_id="ask-row", equal_height=True):
        question = gr.Textbox(
            label="Question", placeholder="What would you like to know?", elem_id="question", max_lines=4,
            submit_btn="Ask", scale=5,
        )  # fmt: skip
        stop = gr.Button("Stop", size="sm", visible=False, elem_id="stop", scale=0, min_width=72)
    with gr.Row(elem_id="ask-controls"):
        ratio = gr.Radio(RATIOS, value=4, label="Ratio", info="text tokens for each slot that is read", elem_id="ratio")
        reader = gr.Radio(
            READERS, value="memory", label="The decoder reads", info="the others are there to compare", elem_id="reader"
        )
        in_full = gr.Slider(
            0, 8, value=0, step=1, label="Focus: segments read as text", elem_id="in-full", visible=False,
            info="at most; 0: as many as the bytes of the ratio allow",
        )  # fmt: skip
        budget = gr.Textbox(
            label="KV budget", placeholder=str(workbench.settings.kv_budget or "what the window holds"), max_lines=1,
            info="positions (4096) or bytes (200MB) to hold at most; more is read at a coarser ratio",
            elem_id="kv-budget",
        )  # fmt: skip
        history = gr.Radio(
            HISTORY, value="auto", label="Earlier turns are read", elem_id="history",
            info="a small model answers best without them",
        )  # fmt: skip
    with gr.Row(elem_id="ask-export", visible=False) as export:
        markdown = gr.Button("Export as Markdown", size="sm", elem_id="export-markdown", scale=0, min_width=150)
        as_json = gr.Button("Export as JSON", size="sm", elem_id="export-json", scale=0, min_width=130)
    name, content = gr.Textbox(visible=False), gr.Textbox(visible=False)

    def messages(number: int | None) -> list[MessageView]:
        return workbench.conversations.messages(number) if number else []

    def listed(number: int | None) -> Any:
        titles = [(chat.title, chat.id) for chat in workbench.conversations.list()]
        return gr.Dropdown([(NEW, 0), *titles], value=number or 0)

    def shown(number: int | None) -> tuple[Any, ...]:
        """Values for ``face``: a conversation as it is kept, or a new one."""
        try:
            said = messages(number)
        except ChatNotFound:
            number, said = None, []
        return (
            panels.conversation(said), number, listed(number), gr.Button(visible=number is not None),
            gr.Button(visible=False), gr.Row(visible=bool(said)), gr.Button(visible=False),
        )  # fmt: skip

    def answer(
        asked: str, number: int | None, picked: list[str], ratio: int, reader: str, in_full: int, budget: str,
        history: str, again: bool, request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Values for ``face`` and the question's field, as the answer grows."""
        stop = stops.begin(request)
        answering.add(str(request.session_hash))
        rest = (gr.skip(),) * 5
        fresh = number is None
        said: list[MessageView] = []
        try:
            limit = KVBudget.parse(budget) if budget.strip() else None
            said = messages(number)
            if again:
                said = said[:-2]
            yield panels.conversation(said, asked, ""), *rest, gr.Button(visible=True), "" if not again else gr.skip()
            number = number or workbench.conversations.new(asked or "?", picked or []).id
            pieces = workbench.ask(
                asked, picked or [], ratio, reader, chat=number, history=history, replace_last=again,  # type: ignore[arg-type]
                in_full=int(in_full), kv_budget=limit, cancelled=stop.is_set,
            )  # fmt: skip
            text = ""
            for piece in relay(pieces, stop):
                if not isinstance(piece, AnswerView):
                    text += piece
                    yield panels.conversation(said, asked, text), *(gr.skip(),) * 7
            yield *shown(number), gr.skip()
        except MENDABLE as error:
            if fresh and number is not None:
                workbench.conversations.delete(number)
                number = None
            # The question goes back to its field: nothing that was typed is lost.
            _, *others = shown(number)
            whole = messages(others[0])
            yield panels.conversation(whole, trouble=str(error)), *others, gr.skip() if again else asked
        finally:
            answering.discard(str(request.session_hash))

    def refresh(number: int | None, request: gr.Request) -> tuple[Any, ...]:
        """Answers may quote what was deleted meanwhile; one that is being written is left alone."""
        return (gr.skip(),) * len(face) if str(request.session_hash) in answering else shown(number)

    def again(
        number: int | None, picked: list[str], ratio: int, reader: str, in_full: int, budget: str, history: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        for asked in [message.content for message in messages(number) if message.role == "user"][-1:]:
            yield from answer(asked, number, picked, ratio, reader, in_full, budget, history, True, request)

    def ask(
        asked: str, number: int | None, picked: list[str], ratio: int, reader: str, in_full: int, budget: str,
        history: str, request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        yield from answer(asked, number, picked, ratio, reader, in_full, budget, history, False, request)

    def ask_suggested(
        found: list[tuple[str, str]], number: int | None, picked: list[str], ratio: int, reader: str, in_full: int,
        budget: str, history: str, request: gr.Request, event: gr.EventData,
    ) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        asked = found[int(event._data["of"])][0]
        yield from answer(asked, number, picked, ratio, reader, in_full, budget, history, False, request)

    def suggest(picked: list[str]) -> tuple[list[tuple[str, str]], str]:
        titles = {view.sha256: view.title for view in workbench.documents()}
        found = [one for sha in picked or [] if sha in titles for one in suggestions_for(titles[sha])]
        return found, panels.suggestions(found)

    def delete(number: int | None) -> tuple[Any, ...]:
        with sentences():
            if number:
                workbench.conversations.delete(number)
        return shown(None)

    def written(form: str, ending: str) -> Any:
        def write(number: int | None) -> tuple[str, str]:
            with sentences():
                return f"conversation.{ending}", workbench.conversations.export(number, form) if number else ""  # type: ignore[arg-type]

        return write

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    face = [chat, current, chosen, forget, sure, export, stop]
    settings = [current, library.picked, ratio, reader, in_full, budget, history]
    question.submit(ask, [question, *settings], [*face, question], concurrency_limit=8, **quiet)
    suggested.suggested(ask_suggested, [offered, *settings], [*face, question], concurrency_limit=8, **quiet)
    chat.again(again, settings, [*face, question], concurrency_limit=8, **quiet)
    stop.click(stops.press, queue=False, **quiet)
    reader.change(lambda name: gr.Slider(visible=name == "focus"), reader, in_full, **quiet)
    chosen.input(lambda number: shown(number or None), chosen, face, **quiet)
    new.click(lambda: shown(None), None, face, **quiet)
    forget.click(lambda: gr.Button(visible=True), None, sure, **quiet)
    sure.click(delete, current, face, **quiet)
    current.change(lambda number: number, current, kept, **quiet)
    library.changed.change(refresh, current, face, **quiet)
    gr.on([library.picked.change, library.changed.change], suggest, library.picked, [offered, suggested], **quiet)
    for button, form, ending in ((markdown, "markdown", "md"), (as_json, "json", "json")):
        button.click(written(form, ending), current, [name, content], **quiet).then(
            None, [name, content], None, js=SAVE_JS, api_visibility="private"
        )
    page.load(shown, kept, face, **quiet)
    return chat
