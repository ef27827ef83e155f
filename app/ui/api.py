"""Offer the use cases to programs: plain endpoints with stable names, for gradio_client and as tools over MCP.

Their docstrings are what programs and ``docs/api.md`` are told, so they speak of JSON.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from app.analysis.ablation import numbers
from app.analysis.adapter_pair import PairView
from app.answers.compare import DEFAULT
from app.limits import KVBudget
from app.parsers.kinds import WORDS
from app.types import AnswerView, Ingested
from app.ui.api_arguments import checked
from app.ui.widgets import refusal, sentences
from app.workbench import Workbench
from ccf_core.analysis.cut import Cut

Json = dict[str, Any]


def add_api(workbench: Workbench) -> None:
    """Add the endpoints to the Blocks being built."""
    endpoints = (*_library(workbench), *_asking(workbench), *_looking(workbench))
    for endpoint in endpoints:
        gr.api(checked(endpoint), api_name=endpoint.__name__, concurrency_limit=4)


def _uploaded(file: gr.FileData) -> Path:
    """Return the path of an uploaded file. Callers may name any path of this machine; all others are refused."""
    with suppress(OSError, ValueError):  # what no path can be
        path = Path(file.path).resolve()
        if path.is_relative_to(Path(get_upload_folder()).resolve()) and path.is_file():
            return path
    raise refusal("Upload the file first: only uploaded files are taken.")


def _ingested(result: Ingested) -> Json:
    return dataclasses.asdict(result) | {"slots": {str(r): n for r, n in result.slots.items()}}


def _library(workbench: Workbench) -> tuple[Any, ...]:
    def documents() -> list[Json]:
        """List the documents of the library, the newest first.

        Returns:
            a list: sha256, title, filename ("" for pasted text), tokens, segments, sizes in bytes, and state of each.
        """
        with sentences():
            return [dataclasses.asdict(view) for view in workbench.library.documents()]

    def ingest(file: gr.FileData) -> Json:
        """Compress an uploaded file into a stored memory.

        Args:
            file: KINDS

        Returns:
            document, tokens, segments, slots at every ratio, seconds, and whether all of it was there before.
        """
        with sentences():
            return _ingested(workbench.intake.ingest_file(_uploaded(file)))

    ingest.__doc__ = str(ingest.__doc__).replace("KINDS", WORDS)

    def ingest_text(text: str, title: str = "") -> Json:
        """Compress a text into a stored memory.

        Args:
            text: the text itself
            title: its name in the library; without one, its beginning

        Returns:
            the same as `/ingest`.
        """
        with sentences():
            return _ingested(workbench.intake.ingest_text(text, title))

    def search(query: str, limit: int = 20) -> list[Json]:
        """Find words in the texts of all documents.

        Args:
            query: words, all of which a document must hold
            limit: hits at most

        Returns:
            a list, the best first: document, snippet, where it starts, marks of the words within it, and page.
        """
        with sentences():
            return [dataclasses.asdict(hit) for hit in workbench.library.search(query, int(limit))]

    def left_out(document: str) -> list[Json]:
        """Read what a document's file holds besides its text, such as running headers: no memory is made of it.

        Args:
            document: its sha256

        Returns:
            a list: what it is, and its text.
        """
        with sentences():
            return [dataclasses.asdict(part) for part in workbench.library.left_out(document)]

    def rename(document: str, title: str) -> Json:
        """Give a document another title.

        Args:
            document: its sha256
            title: the new title

        Returns:
            the document as `/documents` lists it.
        """
        with sentences():
            return dataclasses.asdict(workbench.library.rename(document, title))

    def delete(document: str) -> bool:
        """Delete a document, its memories, and what conversations quote of it.

        Args:
            document: its sha256

        Returns:
            true.
        """
        with sentences():
            workbench.library.delete(document)
        return True

    return documents, ingest, ingest_text, search, left_out, rename, delete


def _asking(workbench: Workbench) -> tuple[Any, ...]:
    def ask(
        question: str, documents: list[str], ratio: int = 8, reader: str = "memory", in_full: int = 0,
        kv_budget: str = "",
    ) -> Json:  # fmt: skip
        """Answer a question from the memories of documents.

        Args:
            question: a question in plain words; or "Go on with this text.", which continues the last document
            documents: their sha256, in the order in which they are read
            ratio: tokens of text a slot, 4, 8, 16 or 32, without an adapter also 1 or 2
            reader: memory; focus (finer where needed); to compare full (the text), truncated (its beginning), none
            in_full: of how many segments focus reads text at most, 0 for no limit
            kv_budget: positions (4096) or bytes (200MB) that may be held of the documents; without it, what fits

        Returns:
            text, evidence (the segments that the decoder attended to most), timings, and bytes held.
        """
        with sentences():
            limit = KVBudget.parse(kv_budget) if kv_budget.strip() else None
            pieces = workbench.asking.ask(
                question, documents, int(ratio), reader, in_full=int(in_full), kv_budget=limit
            )
            *_, answer = pieces
        assert isinstance(answer, AnswerView)
        return dataclasses.asdict(answer)

    def compare(question: str, documents: list[str], settings: list[str] = list(DEFAULT)) -> list[Json]:  # noqa: B006
        """Answer a question under several settings.

        Args:
            question: a question in plain words
            documents: their sha256
            settings: of full, 4x, 8x, 16x, 32x, focus, truncated and none

        Returns:
            a list: setting, and its answer as `/ask` gives it or its error.
        """
        with sentences():
            steps = list(workbench.comparing.compare(question, documents, settings))
        return [
            {"setting": step.setting, "answer": step.answer and dataclasses.asdict(step.answer), "error": step.error}
            for step in steps
            if not step.piece
        ]

    return ask, compare


def _looking(workbench: Workbench) -> tuple[Any, ...]:
    def reconstruct(document: str, segment: int, ratio: int = 8) -> Json:
        """Write a segment again from its own slots alone.

        Args:
            document: its sha256
            segment: its number, from 0
            ratio: tokens of text a slot, 4, 8, 16 or 32

        Returns:
            original, text, words with their probabilities, rouge_l, exact_token, slots and bytes held.
        """
        with sentences():
            return dataclasses.asdict(workbench.fidelity.reconstruct(document, int(segment), int(ratio)))

    def attention(document: str, segment: int, ratio: int = 8) -> Json:
        """See which words each slot of a segment looks at while it is encoded.

        Args:
            document: its sha256
            segment: its number, from 0
            ratio: tokens of text a slot, 4, 8, 16 or 32

        Returns:
            words, slots, and for every slot its attention to every word.
        """
        with sentences():
            return dataclasses.asdict(workbench.attention.view(document, int(segment), int(ratio)))

    def summary(document: str, segment: int, ratio: int = 8) -> Json:
        """Say a segment in one sentence, from its memory alone.

        Args:
            document: its sha256
            segment: its number, from 0
            ratio: tokens of text a slot, 4, 8, 16 or 32

        Returns:
            that sentence, and beside it the key sentence of the text, chosen by the slots' attention.
        """
        with sentences():
            return dataclasses.asdict(workbench.summaries.summarise(document, int(segment), int(ratio)))

    def surgery(
        document: str, segment: int, ratio: int = 8, levels: str = "", layers: str = "", heads: str = "",
        slots: str = "", question: str = "", adapter: str = "",
    ) -> Json:  # fmt: skip
        """Switch parts of a segment's memory off, and ask it or reconstruct it, beside the intact one or under
        two adapters.

        Args:
            document: its sha256
            segment: its number, from 0
            ratio: tokens of text a slot, 4, 8, 16 or 32
            levels: levels to switch off, numbers like "0-3, 7"
            layers: layers to switch off
            heads: key-value heads to switch off
            slots: slots to switch off
            question: what to ask; without one, the segment is reconstructed
            adapter: name of another adapter's folder, to compare with the one in use, both with the same parts off

        Returns:
            what the intact memory gives and what the cut one gives, or (used, other) what each adapter gives: text,
            slots, bytes held, rouge_l and nats; and what was cut.
        """
        with sentences():
            cut = Cut(numbers(slots), numbers(levels), numbers(layers), numbers(heads))
            if adapter.strip():
                *_, found = workbench.adapter_pair.compare(
                    document, int(segment), int(ratio), adapter.strip(), cut, question
                )
                assert isinstance(found, PairView)
                return dataclasses.asdict(found)
            return dataclasses.asdict(workbench.ablation.ablate(document, int(segment), int(ratio), cut, question))

    def savings(document: str) -> Json:
        """Tell what a document takes as text, as plain cache and as memory.

        Args:
            document: its sha256

        Returns:
            bytes of its text, of its plain cache in bf16, of its memory at every ratio, and in the database.
        """
        with sentences():
            return dataclasses.asdict(workbench.savings.sizes(document))

    return reconstruct, attention, summary, surgery, savings
