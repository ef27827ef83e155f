"""``python -m experiments.joined_books --out books.jsonl.xz``: join the chapters of books into texts of 33,000 tokens.

The development texts that come with the project are chapters; `evaluate stream` up to 32,768 tokens wants longer ones.
"""

from __future__ import annotations

import json
import lzma
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from ccf_core.base.load import load_base
from ccf_core.cli import CommandParser, positive, report
from ccf_core.evaluation.rows import DATA
from ccf_core.evaluation.tasks import perplexity
from ccf_core.rows import read_rows

BOOKS = "standardebooks/"


def main() -> None:
    parser = CommandParser(description="Join the chapters of books into long texts.")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, packed as .xz")
    parser.add_argument("--tokens", type=positive, default=33_000, help="of a text; what is left of a book is dropped")
    args = parser.parse_args()
    chapters = defaultdict(list)
    for row in read_rows(DATA / perplexity.DATA):
        if row["source"].startswith(BOOKS):
            chapters[row["source"]].append(row["text"])
    tokenizer = load_base().tokenizer
    rows = []
    for source, texts in chapters.items():
        text = "\n\n".join(texts)
        starts = [start for start, _ in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
        cuts = starts[:: args.tokens]
        rows += [{"source": source, "text": text[a:b]} for a, b in pairwise(cuts)]
    with lzma.open(args.out, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    report(f"{len(rows)} texts of {len(chapters)} books")


if __name__ == "__main__":
    main()
