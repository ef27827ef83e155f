"""The passage of a text that best shows why it was found."""

import re

# Noncharacters: Unicode keeps them out of interchanged text, so they mark matches without clashing.
OPEN, CLOSE = "\ufdd0", "\ufdd1"
# Another one, which the index takes for a space; not every noncharacter is.
BETWEEN = "\uffff"

_GAP = re.compile(r"\s+")


def excerpt(marked: str, width: int = 240, lead: int = 60) -> tuple[str, int, tuple[tuple[int, int], ...]]:
    """Cut out the part of a text with the most different matching words within `width` characters.

    `marked` is the text with every match between OPEN and CLOSE, and BETWEEN anywhere. Returns the plain snippet, its
    character offset in the plain text, and the (start, end) of its matches within it. Up to `lead` characters,
    from a word's beginning, stand before the first match; without a match it is the text's beginning.
    """
    pieces = re.split(f"[{OPEN}{CLOSE}]", marked.replace(BETWEEN, ""))
    text = "".join(pieces)
    matches = []
    position = 0
    for index, piece in enumerate(pieces):
        if index % 2:
            matches.append((position, position + len(piece)))
        position += len(piece)
    if not matches:
        return text[:width], 0, ()
    anchor = _densest(text, matches, width - lead)
    start = max(0, anchor - lead)
    gap = _GAP.search(text, start, anchor) if start else None
    if gap:
        start = gap.end()
    end = start + width
    marks = tuple((a - start, min(b, end) - start) for a, b in matches if start <= a < end)
    return text[start:end], start, marks


def _densest(text: str, matches: list[tuple[int, int]], width: int) -> int:
    """Find the first start of a window of `width` characters with the most different matching words."""
    best, best_start = 0, matches[0][0]
    counts: dict[str, int] = {}
    first = 0
    for start, end in matches:
        word = text[start:end].casefold()
        counts[word] = counts.get(word, 0) + 1
        while matches[first][0] < end - width and matches[first][0] < start:
            gone = text[slice(*matches[first])].casefold()
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
            first += 1
        if len(counts) > best:
            best, best_start = len(counts), matches[first][0]
    return best_start
