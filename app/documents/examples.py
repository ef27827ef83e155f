"""Take in the documents that are there from the first start, and suggest questions to them."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path
from typing import Any

from app.documents.ingest import Intake
from app.runtime.locks import BACKGROUND
from ccf_core.assets import asset

FOLDER = asset("examples")
#: File in the data folder with the names of the examples taken in so far: what was deleted stays deleted.
MARK = "examples-taken-in"

logger = logging.getLogger(__name__)


@functools.cache
def examples() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "examples.json").read_text(encoding="utf-8"))


#: What the shipped adapter makes of a suggested question at 4x, where that needs saying beforehand.
LABELS = {"abstains": "the text does not say", "wrong": "it gets this wrong", "partly": "it gets this partly right"}


def suggestions_for(title: str) -> list[tuple[str, str]]:
    """Return the suggested questions of an example, each with its label or ""; none for another document."""
    found = [q for e in examples() if e["title"] == title for q in e["questions"]]
    return [(q["question"], LABELS.get(q["at_4x"], "")) for q in found]


def take_in(intake: Intake, data_dir: Path) -> None:
    """Load the model and compress the examples, once for a data folder; meant for a thread of its own."""
    BACKGROUND.set(True)
    try:
        intake.memories.model.load()
        mark = data_dir / MARK
        taken = mark.read_text(encoding="utf-8").splitlines() if mark.exists() else []
        for name in (example["file"] for example in examples()):
            if name not in taken:
                intake.ingest_file(FOLDER / name)
                taken.append(name)
                mark.write_text("\n".join(taken), encoding="utf-8")
    except Exception:  # a thread's last chance to say so; the page shows the model's own failures
        logger.exception("The examples could not be prepared")
