"""Questions about single facts: made-up sentences, each to be put somewhere in a text and asked for afterwards.

A memory that can write a number again can still fail to find it. Texts of which one sentence answers a question, and
all else is about other things, teach finding. Names, things and forms are drawn from the lists below, which share no
name and no kind of number with the needles of ``evaluation.tasks.needle``; one form differs from theirs in the kind of
number alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

_FIRST = (
    "Aaron", "Agnes", "Bianca", "Caleb", "Dana", "Elena", "Emil", "Fiona", "Gavin", "Hana", "Ivan", "Joan", "Karim",
    "Lena", "Marco", "Nadia", "Olaf", "Petra", "Quentin", "Rosa", "Simon", "Tara", "Umar", "Vera", "Wanda", "Yusuf",
    "Zoe",
)  # fmt: skip
_LAST = (
    "Abbott", "Bauer", "Castillo", "Dubois", "Ellery", "Fischer", "Garland", "Hayashi", "Iverson", "Janssen", "Keller",
    "Lombardi", "Mercer", "Novak", "Okafor", "Pereira", "Quinn", "Rossi", "Sandoval", "Tanaka", "Underhill", "Vargas",
    "Weber", "Yilmaz", "Zhang",
)  # fmt: skip
_OWNED = (
    "locker", "badge", "invoice", "ticket", "case file", "telephone", "licence", "order", "account", "desk", "bus pass",
    "library card", "parking space", "flight", "room", "membership", "patient record", "serial", "claim", "receipt",
)  # fmt: skip
_PLACES = (
    "Antwerp", "Bergen", "Cusco", "Dakar", "Esbjerg", "Fresno", "Genoa", "Hobart", "Izmir", "Jaipur", "Kyoto", "Leeds",
    "Malmö", "Nairobi", "Oslo", "Porto", "Quito", "Riga", "Seville", "Tartu", "Utrecht", "Varna", "Winnipeg", "Zagreb",
)  # fmt: skip
_THINGS = (
    "a brass key", "a green umbrella", "a letter of advice", "a pair of skates", "a red bicycle", "a sack of barley",
    "a silver spoon", "a torn map", "an old camera", "two railway tickets",
)  # fmt: skip

#: (a sentence, a question, kind of the answer). {a} is the answer, {n} a name, {o} what has a number.
_FORMS = (
    ("The {o} number of {n} is {a}.", "What is the {o} number of {n}?", "number"),
    ("{n}'s {o} number is {a}.", "What is {n}'s {o} number?", "number"),
    ("For {n} the {o} number {a} was written down.", "Which {o} number was written down for {n}?", "number"),
    ("Remember that {a} is the {o} number given to {n}.", "Which {o} number was given to {n}?", "number"),
    ("{n} was born in {a}.", "In which year was {n} born?", "year"),
    ("{n} left for {a} the same evening.", "Where did {n} leave for?", "place"),
    ("The home of {n} is in {a}.", "In which town is the home of {n}?", "place"),
    ("In the drawer of {n} there was {a}.", "What was in the drawer of {n}?", "thing"),
)


def facts(count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield ``count`` of (statement, question, answer); the statement begins with a space and ends with a full stop."""
    rng = random.Random(seed)
    drawn = {
        "number": lambda: str(rng.randrange(10 ** (digits := rng.randint(1, 6)), 10 * 10**digits)),
        "year": lambda: str(rng.randint(1700, 2020)),
        "place": lambda: rng.choice(_PLACES),
        "thing": lambda: rng.choice(_THINGS),
    }
    for _ in range(count):
        statement, question, kind = rng.choice(_FORMS)
        parts = {"n": f"{rng.choice(_FIRST)} {rng.choice(_LAST)}", "o": rng.choice(_OWNED), "a": drawn[kind]()}
        yield f" {statement.format(**parts)}", question.format(**parts), parts["a"]


def state(
    statements: Sequence[np.ndarray], ids: np.ndarray, ends: np.ndarray, budget: int, rng: np.random.Generator
) -> np.ndarray:
    """Put these statements into a text, each after a sentence or at the beginning, cut to ``budget`` tokens in all.

    ids : int64 (tokens,).  ends : of every token of the vocabulary, whether it ends a sentence, bool (vocabulary,).
    """
    ids = ids[: max(0, budget - sum(map(len, statements)))]
    places = np.sort(rng.choice(np.concatenate(([0], 1 + np.flatnonzero(ends[ids]))), len(statements)))
    first, *rest = np.split(ids, places)
    return np.concatenate([first, *(part for pair in zip(statements, rest, strict=True) for part in pair)])
