"""Recognise text whose letters are not those that the page shows, for its font maps them to nonsense."""

import unicodedata
from collections import Counter

#: The most frequent letters of European languages; they make up .5 (Polish) to .7 of any longer text in one.
_FREQUENT = frozenset("etaoinsr")

_ENOUGH = 20_000  # characters to judge by
_SHORT = 60  # of fewer, how often a letter comes says nothing


def is_garbled(text: str, unmapped: bool = False) -> bool:
    """Tell whether a text is nonsense: characters without meaning, or Latin letters as no language has them.

    Writing other than Latin counts as sense, and so does what is too short to judge; of letters that are `unmapped`,
    a few signs are enough.
    """
    visible = [c for c in text[:_ENOUGH] if not c.isspace()]
    if not visible:
        return False
    strange = sum(unicodedata.category(c) in ("Co", "Cn") or c == "\ufffd" for c in visible)
    if strange * 20 > len(visible):
        return True
    letters = Counter(unicodedata.normalize("NFD", c)[0] for c in text[:_ENOUGH].lower() if c.isalpha())
    count = letters.total()
    if len(visible) < _SHORT:
        signs = sum(not c.isalnum() for c in visible)
        return unmapped and len(visible) > 2 and signs > 0.5 * len(visible)
    foreign = sum(n for letter, n in letters.items() if letter > "\u024f")
    if foreign > 0.2 * len(visible):
        return False
    numbers = sum(c.isdigit() for c in visible)
    if numbers > 0.4 * len(visible):
        return False
    if count < 0.4 * len(visible):
        return True
    return sum(letters[letter] for letter in _FREQUENT) < 0.42 * count
