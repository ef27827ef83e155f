"""Rank passages by a question's words alone (BM25): what evidence from attention has to beat.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, as SQLite's FTS5 computes
it, which also searches the library: https://sqlite.org/fts5.html#the_bm25_function.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing

#: Chinese, Japanese and Korean, which put no spaces between words, or none within the words that a question repeats.
_UNSPACED = (
    "\u1100-\u11ff\u3005-\u3007\u3031-\u3035\u3041-\u30ff\u3105-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{_UNSPACED}]+")


def bm25(query: str, passages: Sequence[str]) -> list[float]:
    """Score each passage, 0 if it shares no word with the query; words by their stems (Porter), statistics from
    these passages alone. Of scripts without spaces, each two characters that follow one another are a word.

    sum over the query's words of  idf · 2.2 tf ÷ (tf + 1.2 (0.25 + 0.75 · length ÷ mean length)), where idf is
    ln((passages - n + 0.5) ÷ (n + 0.5)), 1e-6 at least, of a word that n passages hold.
    """
    scores = [0.0] * len(passages)
    words = " OR ".join(f'"{word}"' for word in dict.fromkeys(re.findall(r"\w+", _in_pairs(query.lower()))))
    if not words:
        return scores
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE passages USING fts5(text, content='', tokenize='porter unicode61')")
        db.executemany("INSERT INTO passages(rowid, text) VALUES (?, ?)", enumerate(map(_in_pairs, passages)))
        for index, score in db.execute("SELECT rowid, -bm25(passages) FROM passages WHERE passages MATCH ?", (words,)):
            scores[index] = score
    return scores


def _in_pairs(text: str) -> str:
    """Cut runs of characters of scripts without spaces into pairs that overlap."""

    def pairs(run: re.Match[str]) -> str:
        characters = run[0]
        return " ".join(["", *(characters[i : i + 2] for i in range(max(len(characters) - 1, 1))), ""])

    return _RUN.sub(pairs, text)
