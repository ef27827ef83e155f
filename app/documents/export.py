"""Answers and memories on their way out: to JSON and back, to Markdown, to files."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from app.errors import CannotExport
from app.views import AnswerView, EvidenceView, TimingsView
from ccf_core import KVMemory


def answer_to_dict(answer: AnswerView) -> dict[str, Any]:
    """JSON values alone, with the fields of AnswerView as keys."""
    return json.loads(json.dumps(asdict(answer)))


def answer_from_dict(stored: Mapping[str, Any]) -> AnswerView:
    """What ``answer_to_dict`` made, perhaps with fewer pieces of evidence, or by an earlier version."""
    return AnswerView(
        **{
            **stored,
            "documents": tuple(stored["documents"]),
            "evidence": tuple(EvidenceView(**item) for item in stored["evidence"]),
            "timings": TimingsView(**stored["timings"]),
            "notes": tuple(stored["notes"]),
        }
    )


def export_answer(answer: AnswerView, form: Literal["markdown", "json"] = "markdown") -> str:
    """An answer with settings, costs and evidence as one text."""
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
        lines += [f"## {_literal(item.title)}: {place}, share {item.score:.0%}", ""]
        lines += [f"> {_literal(line)}".rstrip() for line in item.text.strip().splitlines()] + [""]
    return "\n".join(lines)


def export_conversation(title: str, answers: Sequence[AnswerView], form: Literal["markdown", "json"]) -> str:
    """See ``Conversations.export``."""
    if form == "json":
        data = {"title": title, "answers": [answer_to_dict(answer) for answer in answers]}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return "\n".join(export_answer(answer, "markdown") for answer in answers)


def export_memory(memory: KVMemory, title: str, out: Path) -> Path:
    """See ``Workbench.export_memory``."""
    path = out / f"{_file_name(title)}-{memory.ratio}x.safetensors" if out.is_dir() else out
    # A reader of the folder never sees half a file.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        memory.save(partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise CannotExport(f"{path} cannot be written ({error}); choose another folder or name.") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _literal(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no links that load something."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", text)


def _file_name(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "document"
