"""Truth tables of the scores, and of how rows are pooled."""

from __future__ import annotations

import math
import random
from functools import cache

import pytest

from ccf_core import metrics


@pytest.mark.parametrize(
    ("reference", "output", "common"),
    [
        ("", "", 0),
        ("abc", "", 0),
        ("", "abc", 0),
        ("abc", "abc", 3),
        ("abc", "cba", 1),
        ("abcbdab", "bdcaba", 4),
        ("aaaa", "aa", 2),
        ("abcdef", "xaxcxexf", 4),
    ],
)
def test_longest_common_subsequence(reference: str, output: str, common: int) -> None:
    assert metrics.lcs_length(reference, output) == common


def test_longest_common_subsequence_agrees_with_its_definition() -> None:
    rng = random.Random(0)
    for _ in range(100):
        a, b = (tuple(rng.choices(range(4), k=rng.randint(0, 70))) for _ in range(2))

        @cache
        def longest(i: int, j: int, a: tuple[int, ...] = a, b: tuple[int, ...] = b) -> int:
            if not i or not j:
                return 0
            if a[i - 1] == b[j - 1]:
                return longest(i - 1, j - 1) + 1
            return max(longest(i - 1, j), longest(i, j - 1))

        assert metrics.lcs_length(a, b) == longest(len(a), len(b))


@pytest.mark.parametrize(
    ("output", "rouge_l", "exact"),
    [([1, 2, 3, 4], 1.0, 1.0), ([2, 3, 4, 1], 0.75, 0.0), ([1, 9, 3, 9], 0.5, 0.5), ([1], 0.25, 0.25), ([], 0, 0)],
)
def test_token_scores(output: list[int], rouge_l: float, exact: float) -> None:
    assert metrics.rouge_l([1, 2, 3, 4], output) == rouge_l
    assert metrics.exact_token([1, 2, 3, 4], output) == exact


@pytest.mark.parametrize(
    ("reference", "output", "score"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 1.0),
        # 1-grams 5 of 6, 2-grams 3 of 5, 3-grams 2 of 4, 4-grams 1 of 3; as long as the reference.
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 6], (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25),
        # All n-grams are there, but two tokens of six are missing: e^(1 - 6/4).
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4], math.exp(-0.5)),
        # 7 stands once in the reference, so it counts once: 5 of 6, 4 of 5, 3 of 4, 2 of 3. Longer costs nothing else.
        ([7, 1, 2, 3, 4], [7, 1, 2, 3, 4, 7], (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25),
        # No 4-gram in common, and no smoothing.
        ([1, 2, 3, 4, 5], [1, 2, 3, 9, 5], 0.0),
        ([1, 2, 3, 4, 5], [1, 2], 0.0),
        ([1, 2, 3, 4, 5], [], 0.0),
    ],
)
def test_bleu_4_by_hand(reference: list[int], output: list[int], score: float) -> None:
    value, weight = metrics.bleu_4(reference, output)
    assert (value, weight) == (pytest.approx(score), 1.0)


def test_a_reference_without_a_4_gram_has_no_bleu_4() -> None:
    assert metrics.pooled([metrics.bleu_4([1, 2, 3], [1, 2, 3])]) is None


@pytest.mark.parametrize(
    ("reference", "output", "pair"),
    [
        ("no numbers", "7", (0, 0)),
        ("in 1984", "in 1984", (1, 1)),
        ("in 1984", "in 198", (0, 1)),
        ("in 1984", "in 19845", (0, 1)),
        ("7 and 7 and 8", "8 7", (2, 3)),
        ("12,345.67", "12 345 67", (3, 3)),
        ("B2B", "2", (1, 1)),
    ],
)
def test_digit_recall(reference: str, output: str, pair: tuple[float, float]) -> None:
    assert metrics.digit_recall(reference, output) == pair


@pytest.mark.parametrize(
    ("reference", "output", "pair"),
    [
        ("The cat sat.", "The", (0, 0)),
        ("The city of Rome fell. Then Rome rose.", "Rome", (1, 2)),
        ("The city of Rome fell. Then Rome rose.", "Rome and Rome", (2, 2)),
        ("It is Rome! Paris is not", "Rome Paris", (1, 1)),
        ('He said "Go home" to Anna', "Go Anna", (1, 1)),
        ("He left.” Then Anna came", "Then", (0, 1)),
        ("end\n\nNew paragraph with Bob", "New Bob", (1, 1)),
        ("see O'Brien and Jean-Luc", "O'Brien Jean-Luc", (2, 2)),
        ("a line\nbroken before Oslo", "oslo", (0, 1)),
        ("zu Österreich", "Österreich", (1, 1)),
    ],
)
def test_capital_recall(reference: str, output: str, pair: tuple[float, float]) -> None:
    assert metrics.capital_recall(reference, output) == pair


@pytest.mark.parametrize(
    ("answers", "output", "f1", "em"),
    [
        (["The Eiffel Tower"], "eiffel tower.", 1.0, 1.0),
        (["Eiffel Tower"], "the tower", 2 / 3, 0.0),
        (["Rome", "the city of Rome"], "city of Rome", 1.0, 1.0),
        (["yes"], "no", 0.0, 0.0),
        (["yes"], "", 0.0, 0.0),
        (["a"], "the", 1.0, 1.0),
        (["one one two"], "one two two", 2 / 3, 0.0),
    ],
)
def test_squad_scores(answers: list[str], output: str, f1: float, em: float) -> None:
    assert metrics.f1(answers, output) == pytest.approx(f1)
    assert metrics.exact_match(answers, output) == em


def test_rouge_l_over_words_is_an_f_measure_and_minds_the_order() -> None:
    assert metrics.rouge_l_words(["one two three four"], "One, two three four!") == 1.0
    assert metrics.rouge_l_words(["one two three four"], "one three") == pytest.approx(2 * 2 / 6)
    assert metrics.rouge_l_words(["one two three four"], "four three two one") == pytest.approx(2 * 1 / 8)
    assert metrics.rouge_l_words(["nothing", "one"], "one") == 1.0
    assert metrics.rouge_l_words(["one"], "") == 0.0


def test_long_answers_are_over_thirty_words_each() -> None:
    assert not metrics.is_long(["word " * 30])
    assert metrics.is_long(["word " * 31])
    assert not metrics.is_long(["word " * 31, "short"])


@pytest.mark.parametrize(
    ("text", "answer", "held"),
    [
        ("They left Oslo, at last.", "oslo", True),
        ("They left Oslo.", "Os", False),
        ("in the year 1984!", "1984", True),
        ("seven of the ships", "seven ships", False),
        ("seven, ships", "The seven ships", True),
        ("anything", "the", False),
    ],
)
def test_a_text_holds_the_words_of_an_answer(text: str, answer: str, held: bool) -> None:
    assert metrics.holds(text, answer) is held


def test_abstaining() -> None:
    assert metrics.abstains("That is not in the document.")
    assert metrics.abstains("")
    assert not metrics.abstains("In the document, on page 3")


def test_pooling_weighs_rows() -> None:
    assert metrics.pooled([(1.0, 1.0), (0.0, 1.0)]) == 0.5
    assert metrics.pooled([(3.0, 3.0), (0.0, 1.0), (0.0, 0.0)]) == 0.75
    assert metrics.pooled([]) is None
    assert metrics.pooled([(0.0, 0.0)]) is None


def test_interval_is_seeded_and_close_to_theory() -> None:
    rng = random.Random(0)
    pairs = [(float(rng.random() < 0.3), 1.0) for _ in range(400)]
    low, high = metrics.ci95(pairs, seed=1) or (0.0, 0.0)
    mean = metrics.pooled(pairs) or 0.0
    expected = 1.96 * (mean * (1 - mean) / 400) ** 0.5
    assert metrics.ci95(pairs, seed=1) == [low, high]
    assert mean - low == pytest.approx(expected, rel=0.15)
    assert high - mean == pytest.approx(expected, rel=0.15)
    assert metrics.ci95([(0.5, 1.0)] * 7) == [0.5, 0.5]
    assert metrics.ci95([]) is None


def test_in_a_macro_average_groups_weigh_alike() -> None:
    small, large = [(1.0, 1.0), (0.0, 1.0)], [(0.2, 1.0)] * 50
    assert metrics.pooled(metrics.macro([small, large, []])) == pytest.approx((0.5 + 0.2) / 2)
    assert metrics.pooled(metrics.macro([small])) == metrics.pooled(small)
    assert metrics.ci95(metrics.macro([small])) == metrics.ci95(small)
    quotients = [(0.3, 0.6), (0.1, 0.6)], [(0.5, 1.0)]
    assert metrics.pooled(metrics.macro(quotients)) == pytest.approx((0.2 + 0.5) / (0.6 + 1.0))
    assert metrics.macro([[]]) == []


def test_summary_leaves_out_what_no_row_tells() -> None:
    told = metrics.summarise({"f1": [(1.0, 1.0), (0.0, 1.0)], "digits": [(0.0, 0.0)]})
    assert told["metrics"] == {"f1": 0.5}
    assert set(told["ci95"]) == {"f1"}
