"""Scores of one row, and how rows are pooled: pure functions of tokens, strings and numbers.

Nothing here knows of models. A row's score is a pair (value, weight); a metric over rows is the sum of the
values over the sum of the weights, so that means and shares are pooled, and bootstrapped, alike.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

Pair = tuple[float, float]

#: An answer of more words than this is compared by ROUGE-L instead of F1.
LONG_ANSWER_WORDS = 30
#: Longest n-grams of BLEU-4.
BLEU_ORDER = 4

_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[^\W\d_](?:[\w'\u2019-]*\w)?")
_SENTENCE_OPENS = re.compile(
    r"(?:^|[.!?:…][\"'\u201d\u2019)\]]*\s|\n\s*\n)[\s\"'\u201c\u2018(\[*_#-]*$|[\"\u201c\u2018]$"
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ABSTENTIONS = (
    "not in document",
    "not in text",
    "not mentioned",
    "not answerable",
    "unanswerable",
    "no answer",
)


def lcs_length(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence.

    One row of the dynamic programme is one integer, a bit for each element of ``a`` (Hyyrö, "Bit-parallel
    LCS-length computation revisited", 2004).
    """
    places: dict[Hashable, int] = {}
    for index, item in enumerate(a):
        places[item] = places.get(item, 0) | 1 << index
    full = (1 << len(a)) - 1
    row = full
    for item in b:
        common = row & places.get(item, 0)
        row = ((row + common) | (row - common)) & full
    return len(a) - row.bit_count()


def rouge_l(reference: Sequence[int], output: Sequence[int]) -> float:
    """Longest common subsequence of token ids ÷ tokens of the reference."""
    return lcs_length(reference, output) / len(reference)


def exact_token(reference: Sequence[int], output: Sequence[int]) -> float:
    """Compute the share of the reference's positions at which the output has the same token."""
    return sum(x == y for x, y in zip(reference, output, strict=False)) / len(reference)


def bleu_4(reference: Sequence[int], output: Sequence[int]) -> Pair:
    """Score an output by BLEU-4 over token ids: (BLEU, 1), or (0, 0) for a reference of fewer than four tokens.

    BLEU = BP · (p1 · p2 · p3 · p4)^(1/4). p_n is the share of the output's n-grams that the reference has, none counted
    more often than it stands there; BP = min(1, e^(1 - r/c)) for r tokens of reference and c of output (Papineni et
    al., ACL 2002). One reference, no smoothing: an output without a 4-gram of the reference scores 0.
    """
    if len(reference) < BLEU_ORDER:
        return 0.0, 0.0
    precisions = []
    for n in range(1, BLEU_ORDER + 1):
        wanted, found = (Counter(zip(*(ids[i:] for i in range(n)), strict=False)) for ids in (reference, output))
        precisions.append((wanted & found).total() / max(1, found.total()))
    if not min(precisions):
        return 0.0, 1.0
    brevity = min(1.0, math.exp(1 - len(reference) / len(output)))
    return brevity * math.prod(precisions) ** (1 / BLEU_ORDER), 1.0


def _recalled(wanted: Counter[str], found: Counter[str]) -> Pair:
    return float((wanted & found).total()), float(wanted.total())


def digit_recall(reference: str, output: str) -> Pair:
    """Count (found, all) maximal digit runs of the reference, those that the output has too, as multisets."""
    return _recalled(Counter(_DIGITS.findall(reference)), Counter(_DIGITS.findall(output)))


def capital_recall(reference: str, output: str) -> Pair:
    """Count (found, all) words of the reference with a capital that do not begin a sentence, as multisets.

    A word begins a sentence at the start of a text or paragraph, after ``. ! ? : …`` and an opening quote.
    """
    wanted = [
        match[0]
        for match in _WORD.finditer(reference)
        if match[0][0].isupper() and not _SENTENCE_OPENS.search(reference, max(0, match.start() - 12), match.start())
    ]
    return _recalled(Counter(wanted), Counter(_WORD.findall(output)))


def normalise(text: str) -> str:
    """SQuAD's: lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answers: Sequence[str], output: str) -> float:
    """Score 1 if the output equals an answer after ``normalise``."""
    return float(normalise(output) in {normalise(answer) for answer in answers})


def f1(answers: Sequence[str], output: str) -> float:
    """Compute SQuAD's F1 over words after ``normalise``, best over answers."""
    return max(_word_f1(normalise(answer).split(), normalise(output).split()) for answer in answers)


def _word_f1(reference: list[str], output: list[str]) -> float:
    if not reference or not output:
        return float(reference == output)
    return _harmonic((Counter(reference) & Counter(output)).total(), len(reference), len(output))


def rouge_l_words(answers: Sequence[str], output: str) -> float:
    """ROUGE-L as its F-measure (Lin, 2004, beta 1) over words after ``normalise``, best over answers.

    The longest common subsequence against the words of either side; for answers of over 30 words.
    """
    words = normalise(output).split()
    references = [normalise(answer).split() for answer in answers]
    return max(_harmonic(lcs_length(words, r), len(r), len(words)) for r in references)


def _harmonic(common: int, reference: int, output: int) -> float:
    return 2 * common / (reference + output) if reference + output else 0.0


def is_long(answers: Sequence[str]) -> bool:
    """Tell whether every accepted answer is over 30 words."""
    return min(len(answer.split()) for answer in answers) > LONG_ANSWER_WORDS


def holds(text: str, answer: str) -> bool:
    """Tell whether the words of an answer stand in a text one after another, both after ``normalise``."""
    words = normalise(answer)
    return bool(words) and f" {words} " in f" {normalise(text)} "


def abstains(output: str) -> bool:
    """Tell whether an output says that the document holds no answer, or says nothing."""
    words = normalise(output)
    return not words or any(phrase in words for phrase in _ABSTENTIONS)


def pooled(pairs: Sequence[Pair]) -> float | None:
    """Sum of values ÷ sum of weights; None where nothing was to be found."""
    weight = sum(w for _, w in pairs)
    return sum(v for v, _ in pairs) / weight if weight else None


def minus(own: Sequence[Pair], other: Sequence[Pair]) -> list[Pair]:
    """Subtract a metric, row by row; weights are the rows' own, so that pooled it is the pooled ones' difference."""
    return [(a - b, weight) for (a, weight), (b, _) in zip(own, other, strict=True)]


def macro(groups: Sequence[Sequence[Pair]]) -> list[Pair]:
    """Join groups of rows so that each weighs as much as another, whatever its size: pooled they give a macro average.

    Of shares it is the quotient of the macro averages. A group without a row counts for nothing.
    """
    return [(value / len(pairs), weight / len(pairs)) for pairs in groups for value, weight in pairs]


def ci95(pairs: Sequence[Pair], seed: int = 0, resamples: int = 1000) -> list[float] | None:
    """Estimate the 95% interval of ``pooled`` by a percentile bootstrap over rows; None where ``pooled`` is."""
    if pooled(pairs) is None:
        return None
    sums = _draws(len(pairs), seed, resamples) @ np.asarray(pairs, dtype=np.float64)
    drawn = sums[:, 1] != 0
    low, high = np.percentile(sums[drawn, 0] / sums[drawn, 1], (2.5, 97.5))
    return [float(low), float(high)]


@lru_cache(maxsize=4)
def _draws(rows: int, seed: int, resamples: int) -> np.ndarray:
    """Draw how often each row counts, (resamples, rows): every metric over the same rows is resampled alike."""
    rng = np.random.default_rng(seed)
    drawn = (np.bincount(rng.integers(0, rows, rows), minlength=rows) for _ in range(resamples))
    return np.stack([counts.astype(np.float64) for counts in drawn])


def summarise(scores: dict[str, list[Pair]], seed: int = 0) -> dict[str, dict]:
    """Make ``{"metrics": {name: number}, "ci95": {name: [low, high]}}``; metrics without a row are left out."""
    told = {name: pairs for name, pairs in scores.items() if pooled(pairs) is not None}
    return {
        "metrics": {name: _rounded(pooled(pairs)) for name, pairs in told.items()},
        "ci95": {name: [_rounded(x) for x in ci95(pairs, seed) or ()] for name, pairs in told.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
