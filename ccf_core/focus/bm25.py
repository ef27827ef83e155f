"""Rank passages by a question's words alone (BM25): what evidence from attention has to beat.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, as SQLite's FTS5 computes
it, which also searches the library: https://sqlite.org/fts5.html#the_bm25_function.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing


def bm25(query: str, passages: Sequence[str]) -> list[float]:
    """Score each passage, 0 if it shares no word with the query; words by their stems (Porter), statistics from
    these passages alone.

    sum over the query's words of  idf · 2.2 tf ÷ (tf + 1.2 (0.25 + 0.75 · length ÷ mean length)), where idf is
    ln((passages - n + 0.5) ÷ (n + 0.5)), 1e-6 at least, of a word that n passages hold.
    """
    scores = [0.0] * len(passages)
    words = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", query.lower())))
    if not words:
        return scores
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE passages USING fts5(text, content='', tokenize='porter unicode61')")
        db.executemany("INSERT INTO passages(rowid, text) VALUES (?, ?)", enumerate(passages))
        for index, score in db.execute("SELECT rowid, -bm25(passages) FROM passages WHERE passages MATCH ?", (words,)):
            scores[index] = score
    return scores
