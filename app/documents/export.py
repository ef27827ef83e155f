"""Export answers to JSON (and back) and Markdown, and memories to files."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError

import ccf_core
from app.documents.memory_cache import Memories
from app.documents.names import full_name
from app.errors import CannotExport
from app.types import AnswerView, EvidenceView
from ccf_core import Timings
from store import Store

if TYPE_CHECKING:
    from ccf_core import KVMemory


def answer_to_dict(answer: AnswerView) -> dict[str, Any]:
    """Convert an answer to JSON values, with the fields of AnswerView as keys."""
    return json.loads(json.dumps(asdict(answer)))


def answer_from_dict(stored: Mapping[str, Any]) -> AnswerView:
    """Restore what ``answer_to_dict`` made, perhaps with fewer pieces of evidence, or in an earlier version."""
    return AnswerView(
        **{
            **stored,
            "documents": tuple(stored["documents"]),
            "evidence": tuple(EvidenceView(**item) for item in stored["evidence"]),
            "timings": Timings(**stored["timings"]),
            "notes": tuple(stored["notes"]),
        }
    )


def export_answer(answer: AnswerView, form: Literal["markdown", "json"] = "markdown") -> str:
    """Write an answer with settings, costs and evidence as one text."""
    if form == "json":
        return json.dumps(answer_to_dict(answer), indent=2, ensure_ascii=False) + "\n"
    lines = ["# " + _literal(answer.question), "", _literal(answer.text) or "(no answer)", ""]
    lines += [
        "| read | ratio | KV bytes | KV bytes of the full text | seconds to first token | tokens a second |",
        "|---|---|---|---|---|---|",
        f"| {answer.reader} | {answer.ratio}x | {answer.kv_bytes:,} | {answer.full_kv_bytes:,} "
        f"| {answer.timings.load_s + answer.timings.first_token_s:.2f} | {answer.timings.tokens_per_s:.1f} |",
        "",
    ]
    lines += [f"- {_literal(note)}" for note in answer.notes] + [""] * bool(answer.notes)
    for item in answer.evidence:
        page = f", page {item.page}" if item.page else ""
        how = f", read {'as text' if item.ratio == 1 else f'at {item.ratio}x'}" if item.ratio else ""
        place = f"segment {item.segment}{page}, characters {item.start:,} to {item.end:,}{how}"
        lines += [f"## {_literal(full_name(item.title, item.filename))}: {place}, share {item.score:.0%}", ""]
        lines += [f"> {_literal(line)}".rstrip() for line in item.text.strip().splitlines()] + [""]
    return "\n".join(lines)


def export_conversation(title: str, answers: Sequence[AnswerView], form: Literal["markdown", "json"]) -> str:
    """Write the answers of a conversation as one text."""
    if form == "json":
        data = {"title": title, "answers": [answer_to_dict(answer) for answer in answers]}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return "\n".join(export_answer(answer, "markdown") for answer in answers)


class Exports:
    """Files for use elsewhere."""

    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories

    def memory(self, sha256: str, ratio: int, out: Path) -> Path:
        """Write the memory file; in a folder ``out`` it is named after the document. Returns its path.

        Raises DocumentNotFound, NotAnswerable (no such ratio), CannotExport.
        """
        memory = self.memories.recall(sha256, ratio).memory
        return _write_memory(memory, self.store.documents.get(sha256).title, out)


def _write_memory(memory: KVMemory, title: str, out: Path) -> Path:
    path = out / f"{_file_name(title)}-{memory.ratio}x.safetensors" if out.is_dir() else out
    # A reader of the folder never sees half a file.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        ccf_core.save_memory(memory, partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise CannotExport(f"{path} cannot be written ({error}); choose another folder or name.") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _literal(text: str) -> str:
    """Escape text so that Markdown shows it as it is: no markup, no HTML, no links that load something."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", text)


def _file_name(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "document"
