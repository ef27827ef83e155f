"""The tab shows the answer that it was handed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from app.answers.conversations import Conversations
from app.ui.html import ask as html
from app.ui.tabs.ask import Conversation
from app.workbench import Workbench


def test_an_answer_is_shown_as_the_chat_keeps_it_without_being_read_again(
    workbench: Workbench, prose: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = workbench.intake.ingest_text(prose(), "Log").document.sha256
    with gr.Blocks():
        picked = gr.State([])
        tab = Conversation(workbench, cast(Any, SimpleNamespace(picked=picked)))
        tab.render_head()
        tab.render_chat()
        tab.render_controls()
    values = {part: part.value or "" for part in tab.controls.inputs()}
    values |= {tab.controls.in_full: 0, tab.number: None, picked: [sha256]}
    read: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Conversations, "messages", lambda _, chat: read.append(chat))
        *_, last = tab.answer("Where were the ships?", values, cast(Any, SimpleNamespace(session_hash="mine")))
    assert read == []
    kept = workbench.conversations.messages(last[1])
    assert [message.role for message in kept] == ["user", "assistant"]
    assert last[0] == html.conversation(kept)
