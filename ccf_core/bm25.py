"""BM25: how well a question finds a passage by its words alone, the bar for evidence from attention.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, with the inverse
document frequency kept above zero by adding 1 inside its logarithm, as Lucene does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from ccf_core.evaluation.metrics import normalise

K1, B = 1.5, 0.75


def bm25(query: str, passages: Sequence[str]) -> list[float]:
    """Score of each passage; words as in SQuAD's normalisation, statistics from these passages alone.

    sum over the query's words of  idf · tf (K1 + 1) ÷ (tf + K1 (1 - B + B · length ÷ mean length)).
    """
    counts = [Counter(normalise(passage).split()) for passage in passages]
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / len(lengths) or 1.0
    scores = [0.0] * len(passages)
    for word in normalise(query).split():
        holding = sum(word in count for count in counts)
        idf = math.log(1 + (len(passages) - holding + 0.5) / (holding + 0.5))
        for index, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            norm = K1 * (1 - B + B * length / mean)
            scores[index] += idf * count[word] * (K1 + 1) / (count[word] + norm)
    return scores
