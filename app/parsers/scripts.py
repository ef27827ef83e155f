"""Write raised and lowered text so that it stays apart from what it stands at: 10^6 is not 106."""

import re

_LONGEST = 20
_ATOM = re.compile(r"[-+\u2212\u2013]?\w+(?:[.,]\w+)*")
#: Endings of numbers and words that are raised for looks alone: 1st, 2e, Mme, and signs in letters.
_ENDINGS = frozenset(
    ("st", "nd", "rd", "th", "er", "ers", "re", "res", "ère", "e", "es", "ème", "eme", "nde", "a", "as", "os")
) | {"me", "mes", "lle", "lles", "gr", "ie", "ies", "tm", "sm"}


def raised(text: str, before: str) -> str:
    """Write superscript text that stands after `before`."""
    bare = text.strip()
    digit = re.search(r"[0-9IVX]\Z", before) is not None
    if bare.lower() == "o" and (digit or before[-1:] in ("n", "N")):
        return text.replace(bare, "°")
    if bare.lower() in _ENDINGS and (digit or len(bare) > 1):
        return text
    return _marked(text, before, "^")


def lowered(text: str, before: str, after: str) -> str:
    """Write subscript text between `before` and `after`; formulas such as H2O are written without a sign."""
    clear = (before[-1:].isalpha() or before[-1:] in (")", "]")) and not after[:1].isdigit()
    return text if clear and text.strip().isdigit() else _marked(text, before, "_")


def _marked(text: str, before: str, mark: str) -> str:
    bare = text.strip()
    plain = bare[:1] in ("[", "(") or not any(map(str.isalnum, bare)) or len(bare) > _LONGEST
    if plain or not before.strip():
        return text
    return text.replace(bare, mark + (bare if _ATOM.fullmatch(bare) else f"({bare})"))
