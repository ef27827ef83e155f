"""The same use cases for programs: plain endpoints with stable names, for gradio_client."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app.comparing import DEFAULT
from app.operating import numbers
from app.tabs.common import sentences
from app.views import AnswerView
from app.workbench import Workbench
from ccf_core.surgery import Cut


def add_api(workbench: Workbench) -> None:
    """Add the endpoints to the Blocks being built."""

    def documents() -> list[dict[str, Any]]:
        """All documents of the library, newest first."""
        with sentences():
            return [dataclasses.asdict(view) for view in workbench.documents()]

    def ingest(file: gr.FileData) -> dict[str, Any]:
        """Compress an uploaded file into a stored memory."""
        path = Path(file["path"]).resolve()
        # A caller may name any path of this machine; only what was uploaded is the caller's.
        if not path.is_relative_to(Path(get_upload_folder()).resolve()):
            raise gr.Error("Upload the file first: only uploaded files are taken.", print_exception=False)
        with sentences():
            result = workbench.ingest_file(path)
        return dataclasses.asdict(result) | {"slots": {str(r): n for r, n in result.slots.items()}}

    def ask(question: str, documents: list[str], ratio: int = 8, reader: str = "memory") -> dict[str, Any]:
        """Answer a question from documents, given by their sha256."""
        chosen = [documents] if isinstance(documents, str) else documents
        with sentences():
            *_, answer = workbench.ask(question, chosen, int(ratio), reader)  # type: ignore[arg-type]
        assert isinstance(answer, AnswerView)
        return dataclasses.asdict(answer)

    def compare(question: str, documents: list[str], settings: list[str] = list(DEFAULT)) -> list[dict[str, Any]]:  # noqa: B006
        """Answer a question under several settings: full, 4x, 8x, 16x, 32x, truncated, none."""
        with sentences():
            steps = list(workbench.compare(question, documents, settings))
        return [
            {"setting": step.setting, "answer": step.answer and dataclasses.asdict(step.answer), "error": step.error}
            for step in steps
            if not step.piece
        ]

    def reconstruct(document: str, segment: int, ratio: int = 8) -> dict[str, Any]:
        """One segment beside what its memory gives back."""
        with sentences():
            return dataclasses.asdict(workbench.reconstruct(document, int(segment), int(ratio)))

    def attention(document: str, segment: int, ratio: int = 8) -> dict[str, Any]:
        """What each slot of a segment looks at: words, slots, and for every slot its attention to every word."""
        with sentences():
            return dataclasses.asdict(workbench.looking.attention(document, int(segment), int(ratio)))

    def summary(document: str, segment: int, ratio: int = 8) -> dict[str, Any]:
        """A segment in one sentence, decoded from its memory alone, beside the key sentence of its text."""
        with sentences():
            return dataclasses.asdict(workbench.looking.summary(document, int(segment), int(ratio)))

    def surgery(
        document: str,
        segment: int,
        ratio: int = 8,
        levels: str = "",
        layers: str = "",
        heads: str = "",
        slots: str = "",
        question: str = "",
    ) -> dict[str, Any]:
        """A segment's memory with parts switched off (numbers like "0-3, 7"), asked, or reconstructed if there is no
        question, beside the intact one."""
        with sentences():
            cut = Cut(numbers(slots), numbers(levels), numbers(layers), numbers(heads))
            return dataclasses.asdict(workbench.looking.operate(document, int(segment), int(ratio), cut, question))

    def savings(document: str) -> dict[str, Any]:
        """Bytes of a document as text, full cache and memory."""
        with sentences():
            return dataclasses.asdict(workbench.savings(document))

    def delete(document: str) -> bool:
        """Delete a document, its memories, and what chats quote of it."""
        with sentences():
            workbench.delete(document)
        return True

    for endpoint in (
        documents, ingest, ask, compare, reconstruct, attention, summary, surgery, savings, delete,
    ):  # fmt: skip
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=4)
