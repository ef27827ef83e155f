"""``python -m tools.evaluation_counts``: what the evaluation data hold, as the tables of their README."""

from __future__ import annotations

import hashlib
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from ccf_core.evaluation.rows import DATA, Row, half_of, load_rows, source_of

HEADER = """| source | documents | of them in A | in B | questions | median characters |
| --- | ---: | ---: | ---: | ---: | ---: |"""


def table(rows: Iterable[Row]) -> str:
    """Markdown: distinct texts (or contexts) of each source, their halves, the questions about them."""
    texts: dict[str, dict[str, str]] = {}
    questions: dict[str, int] = {}
    for row in rows:
        source = source_of(row)
        texts.setdefault(source, {})[row.get("context") or row["text"]] = half_of(row)
        questions[source] = questions.get(source, 0) + ("question" in row)
    lines = [_line(source, found, questions[source]) for source, found in sorted(texts.items())]
    if len(texts) > 1:
        together = {text: half for found in texts.values() for text, half in found.items()}
        lines.append(_line("**all**", together, sum(questions.values())))
    return "\n".join([HEADER, *lines])


def _line(name: str, texts: dict[str, str], questions: int) -> str:
    halves = list(texts.values())
    middle = round(statistics.median(map(len, texts)))
    return f"| {name} | {len(texts)} | {halves.count('A')} | {halves.count('B')} | {questions or ''} | {middle:,} |"


def page(folder: Path) -> str:
    """Write a heading, the digest and the table of every file of rows in a folder."""
    parts = []
    for file in sorted(folder.glob("*.jsonl.xz")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        parts.append(f"### {file.name}\n\nSHA-256 `{digest}`\n\n{table(load_rows(file, ()))}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(page(Path(sys.argv[1]) if sys.argv[1:] else DATA))
