"""Ask one or several documents, in conversations that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import gradio as gr

from app.answers.under_way import UnderWay
from app.documents.examples import suggestions_for
from app.types import AnswerView, MessageView
from app.ui.cancel import StopButton, relay
from app.ui.html import ask as html
from app.ui.saving import save_on_click
from app.ui.tabs.ask_controls import render_controls
from app.ui.tabs.library import SECRET, Library
from app.ui.widgets import MENDABLE, QUIET, QUIET_WORK, acts, sentences
from app.workbench import Workbench
from store import ChatNotFound

NEW = "New conversation"
#: Seconds between two looks at an answer that another page asked for, or this one before it was loaded anew.
FOLLOW_S = 1.0
#: Values for the components of ``Conversation.face``, in this order; then one for the question's field.
Face = tuple[Any, ...]


def render_ask(workbench: Workbench, library: Library, page: gr.Blocks) -> gr.HTML:
    """Add the tab; return the conversation, which raises ``place`` to have a text opened."""
    tab = Conversation(workbench, library)
    tab.render_head()
    tab.render_chat()
    tab.render_controls()
    tab.render_export()
    tab.listen(page)
    return tab.chat


class Conversation:
    """A conversation on the page, new or kept, and the events that change it."""

    def __init__(self, workbench: Workbench, library: Library) -> None:
        self.workbench = workbench
        self.library = library
        #: Sessions in which an answer is being written.
        self.answering: set[str] = set()
        self.number = gr.State(None)
        self.kept = gr.BrowserState(None, storage_key="ccf-chat", secret=SECRET)
        self.offered = gr.State([])

    # Components

    def render_head(self) -> None:
        with gr.Row(elem_id="chat-head", equal_height=True):
            self.listed = gr.Dropdown(
                [(NEW, 0)], value=0, label="Conversation", elem_id="conversation", scale=5, min_width=180
            )
            self.new = gr.Button("New", size="sm", elem_id="new-chat", scale=0, min_width=64)
            self.delete = gr.Button("Delete…", size="sm", elem_id="delete-chat", scale=0, min_width=84, visible=False)
            self.confirm = gr.Button(
                "Delete for good", size="sm", variant="stop", elem_id="confirm-delete-chat", scale=0, min_width=130,
                visible=False,
            )  # fmt: skip

    def render_chat(self) -> None:
        self.chat = gr.HTML(
            html.conversation([]), elem_id="chat", js_on_load=acts("place", "again"), autoscroll=True, max_height=620
        )
        self.suggested = gr.HTML(elem_id="suggested", js_on_load=acts("suggested"))
        with gr.Row(elem_id="ask-row", equal_height=True):
            self.question = gr.Textbox(
                label="Question", placeholder="What would you like to know?", elem_id="question", max_lines=4,
                submit_btn="Ask", scale=5,
            )  # fmt: skip
            self.stop = StopButton("stop", min_width=72)

    def render_controls(self) -> None:
        self.controls = render_controls(self.workbench)

    def render_export(self) -> None:
        with gr.Row(elem_id="ask-export", visible=False) as self.export:
            markdown = gr.Button("Export as Markdown", size="sm", elem_id="export-markdown", scale=0, min_width=150)
            as_json = gr.Button("Export as JSON", size="sm", elem_id="export-json", scale=0, min_width=130)

        def write(form: Literal["markdown", "json"], ending: str, number: int | None) -> tuple[str, str]:
            text = self.workbench.conversations.export(number, form) if number else ""
            return f"conversation.{ending}", text

        save_on_click(markdown, lambda number: write("markdown", "md", number), [self.number])
        save_on_click(as_json, lambda number: write("json", "json", number), [self.number])

    def listen(self, page: gr.Blocks) -> None:
        """Connect the events, once all components are there."""
        picked, changed = self.library.picked, self.library.changed
        clock = gr.Timer(FOLLOW_S, active=False)
        self.face = [self.chat, self.number, self.listed, self.delete, self.confirm, self.export, self.stop.button]
        inputs = {self.question, self.offered, self.number, picked, *self.controls.inputs()}
        answered = [*self.face, self.question]
        self.question.submit(self.ask, inputs, answered, **QUIET_WORK)
        self.suggested.suggested(self.ask_suggested, inputs, answered, **QUIET_WORK)
        self.chat.again(self.ask_again, inputs, answered, **QUIET_WORK)
        followed = [*self.face, self.question, clock]
        self.listed.input(self.reopen, self.listed, followed, **QUIET)
        clock.tick(self.follow, self.number, followed, concurrency_limit=None, trigger_mode="once", **QUIET)
        self.new.click(lambda: self.stored(None), None, self.face, **QUIET)
        self.delete.click(lambda: gr.Button(visible=True), None, self.confirm, **QUIET)
        self.confirm.click(self.delete_for_good, self.number, self.face, **QUIET)
        self.number.change(lambda number: number, self.number, self.kept, **QUIET)
        changed.change(self.refresh, self.number, self.face, **QUIET)
        gr.on([picked.change, changed.change], self.suggest, picked, [self.offered, self.suggested], **QUIET)
        page.load(self.reopen, self.kept, followed, **QUIET)

    # Events

    def stored(self, number: int | None, trouble: str = "") -> Face:
        """Show a conversation as it is stored, or a new one; ``trouble``: why a question could not be answered."""
        try:
            said = self.messages(number)
        except ChatNotFound:
            number, said = None, []
        return self.shown(number, said, trouble)

    def reopen(self, number: int | None, request: gr.Request) -> Face:
        """Show a conversation that is chosen, or was open before; an answer that is written in it is followed."""
        answer = self.workbench.under_way.find(number)
        if answer is None or str(request.session_hash) in self.answering:
            return *self.stored(number or None), gr.skip(), gr.Timer(active=False)
        if answer.trouble:  # nobody knows whether the page that asked was still there to say so
            return self.follow(number, request)
        self.stop.adopt(request, answer.switch)
        *face, _ = self.stored(number)
        return self.so_far(answer), *face[1:], gr.Button(visible=True), gr.skip(), gr.Timer(active=True)

    def follow(self, number: int | None, request: gr.Request) -> Face:
        """Show what there is of an answer that another page asked for, until the conversation has it."""
        answer = self.workbench.under_way.find(number)
        if str(request.session_hash) in self.answering or not number:
            return *(gr.skip(),) * (len(self.face) + 1), gr.Timer(active=False)
        if answer is None:
            return *self.stored(number), gr.skip(), gr.Timer(active=False)
        if answer.trouble:
            self.workbench.under_way.let_go(answer)
            return *self.stored(number, answer.trouble), answer.question, gr.Timer(active=False)
        return self.so_far(answer), *(gr.skip(),) * (len(self.face) + 1)

    def so_far(self, answer: UnderWay) -> str:
        try:
            said = self.messages(answer.chat)[: -2 if answer.again else None]
        except ChatNotFound:  # deleted meanwhile
            said = []
        return html.conversation(said, answer.question, answer.text, warnings=answer.warnings)

    def shown(self, number: int | None, said: list[MessageView], trouble: str = "") -> Face:
        titles = [(chat.title, chat.id) for chat in self.workbench.conversations.list()]
        return (
            html.conversation(said, trouble=trouble), number, gr.Dropdown([(NEW, 0), *titles], value=number or 0),
            gr.Button(visible=number is not None), gr.Button(visible=False), gr.Row(visible=bool(said)),
            gr.Button(visible=False),
        )  # fmt: skip

    def messages(self, number: int | None) -> list[MessageView]:
        return self.workbench.conversations.messages(number) if number else []

    def refresh(self, number: int | None, request: gr.Request) -> Face:
        """Show the conversation anew, for a document that it quotes may be gone; not while an answer is written."""
        written = str(request.session_hash) in self.answering or self.workbench.under_way.find(number) is not None
        return (gr.skip(),) * len(self.face) if written else self.stored(number)

    def ask(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Face]:
        yield from self.answer(values[self.question], values, request)

    def ask_suggested(self, values: dict[Any, Any], request: gr.Request, event: gr.EventData) -> Iterator[Face]:
        yield from self.answer(values[self.offered][int(event._data["of"])][0], values, request)

    def ask_again(self, values: dict[Any, Any], request: gr.Request) -> Iterator[Face]:
        for asked in [message.content for message in self.messages(values[self.number]) if message.role == "user"][-1:]:
            yield from self.answer(asked, values, request, again=True)

    def answer(self, asked: str, values: Mapping[Any, Any], request: gr.Request, again: bool = False) -> Iterator[Face]:
        """Show the conversation as the answer grows; ``again``: it takes the place of the last one.

        The answer is written to its end though the page be left, and found there when it comes back.
        """
        switch = self.stop.begin(request)
        self.answering.add(str(request.session_hash))
        number, documents = values[self.number], values[self.library.picked] or []
        fresh, under_way = number is None, self.workbench.under_way
        try:
            settings = self.controls.read(values)
            said = self.messages(number)[: -2 if again else None]
            begun = html.conversation(said, asked, "")
            yield begun, *(gr.skip(),) * 5, gr.Button(visible=True), gr.skip() if again else ""
            number = number or self.workbench.conversations.new(asked or "?", documents).id
            answer = UnderWay(number, asked, again, fresh, switch)
            under_way.begin(answer)
            pieces = self.workbench.asking.ask(
                asked, documents, chat=number, replace_last=again, warned=answer.warnings.append,
                cancelled=switch.is_set, **settings,
            )  # fmt: skip
            text, relayed = "", relay(under_way.noted(answer, pieces), switch, goes_on=True)
            yield gr.skip(), number, *(gr.skip(),) * 6
            for piece in relayed:
                if isinstance(piece, AnswerView):
                    said += [MessageView("user", asked, ""), MessageView("assistant", piece.text, "", piece)]
                    yield *self.shown(number, said), gr.skip()
                else:
                    text += piece
                    yield html.conversation(said, asked, text, warnings=answer.warnings), *(gr.skip(),) * 7
        except MENDABLE as error:
            number = None if fresh else number
            # The question goes back to its field: nothing that was typed is lost.
            yield *self.stored(number, str(error)), gr.skip() if again else asked
        finally:
            self.answering.discard(str(request.session_hash))

    def delete_for_good(self, number: int | None) -> Face:
        with sentences():
            if number:
                self.workbench.conversations.delete(number)
        return self.stored(None)

    def suggest(self, picked: list[str]) -> tuple[list[tuple[str, str]], str]:
        titles = {view.sha256: view.title for view in self.workbench.library.documents()}
        found = [pair for sha in picked or [] if sha in titles for pair in suggestions_for(titles[sha])]
        return found, html.suggestions(found)
