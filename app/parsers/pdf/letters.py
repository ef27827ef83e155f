"""Write letters, each with its place, as text: spaces where gaps are, accents on their letters, raised text apart."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from app.parsers.pdf.joints import UNSPACED
from app.parsers.scripts import lowered, raised

#: Accents as signs of their own, and as what combines with a letter.
_COMBINING = dict(
    zip(
        "\u00b4`\u00a8\u02c6^\u02dc~\u00b8\u02da\u02c7\u02d8\u02d9\u00af\u02dd\u02db",
        "\u0301\u0300\u0308\u0302\u0302\u0303\u0303\u0327\u030a\u030c\u0306\u0307\u0304\u030b\u0328",
        strict=True,
    )
)
_DOTLESS = {"\u0131": "i", "\u0237": "j"}
#: Of a letter's size, beyond how far letters of the line usually are from each other: a space.
_SPACE = 0.1
#: The same where the file writes its spaces, so that other gaps are hardly ever any.
_UNWRITTEN_SPACE = 0.15
#: Of a letter's size: letters of a line are hardly ever set further apart, or nearer, without written spaces.
_TRACKING, _TIGHT = 0.05, 0.05
#: Of a letter's size: what is left of a space at least beside a letter that hangs over it.
_SEEN = 0.03
#: Of a letter's size: a gap that may part columns.
_WIDE = 0.8
_OPENING, _CLOSING = frozenset("([{"), frozenset(".,;:!?)]}")
_SMALL, _RAISE, _DROP = 0.8, 0.15, 0.08


class Letter(NamedTuple):
    """A printed letter: its edges along the line, its base line across, and its size.

    `end` is where the next letter has its place, which `right` may hang over; `spaced`: a space is written before it.
    """

    text: str
    left: float
    right: float
    end: float
    base: float
    size: float
    spaced: bool


def composed(letters: Sequence[Letter]) -> list[Letter]:
    """Put accents that are drawn over a letter, before or after it, on that letter."""
    done: list[Letter] = []
    waiting: Letter | None = None
    for letter in letters:
        if waiting is not None:
            if _over(waiting, letter):
                letter = _accented(letter, waiting, waiting.spaced)
            else:
                done.append(waiting)
            waiting = None
        if letter.text not in _COMBINING:
            done.append(letter)
        elif done and (_over(letter, done[-1]) or (done[-1].text in _DOTLESS and not letter.spaced)):
            done[-1] = _accented(done[-1], letter, done[-1].spaced)
        else:
            waiting = letter
    return done if waiting is None else [*done, waiting]


def _over(accent: Letter, letter: Letter) -> bool:
    middle = (accent.left + accent.right) / 2
    return (
        letter.text[0].isalpha()
        and len(letter.text) < 4
        and letter.left < middle < letter.right
        and accent.left < (letter.left + letter.right) / 2 < accent.right
    )


def _accented(letter: Letter, accent: Letter, spaced: bool) -> Letter:
    text = unicodedata.normalize("NFC", _DOTLESS.get(letter.text, letter.text) + _COMBINING[accent.text])
    return letter._replace(text=text, spaced=spaced)


class Written(NamedTuple):
    """The text of letters, how many of them make the first word, and the wide gaps.

    Of each gap: how long the text before it is, and its edges.
    """

    text: str
    first_word: int
    gaps: list[tuple[int, float, float]]


def written(letters: Sequence[Letter]) -> Written:
    """Write letters as text."""
    size, base = _usual(letters)
    spaces = _spaces(letters, size)
    pieces: list[str] = []
    gaps: list[tuple[int, float, float]] = []
    length = i = 0
    while i < len(letters):
        if i in spaces:
            if letters[i].left - letters[i - 1].right > _WIDE * size:
                gaps.append((length, letters[i - 1].right, letters[i].left))
            pieces.append(" ")
            length += 1
        end = i + 1
        level = _level(letters[i], size, base)
        while end < len(letters) and end not in spaces and _level(letters[end], size, base) == level:
            end += 1
        text = "".join(letter.text for letter in letters[i:end])
        after = letters[end].text if end < len(letters) and end not in spaces else ""
        # A raised letter within a word is an ornament.
        if level and i and i not in spaces and not (after and (text + after[0]).isalpha()):
            before = "".join(pieces[-2:])[-40:]
            text = raised(text, before) if level > 0 else lowered(text, before, after) if text.isdigit() else text
        pieces.append(text)
        length += len(text)
        i = end
    return Written("".join(pieces), min(spaces, default=len(letters)), gaps)


def _usual(letters: Sequence[Letter]) -> tuple[float, float]:
    """Find the size and the base line of most letters."""
    sizes = Counter([round(letter.size, 1) for letter in letters])
    size = max(sizes, key=lambda size: (sizes[size], size))
    bases = Counter(round(letter.base, 1) for letter in letters if round(letter.size, 1) == size)
    return size, bases.most_common(1)[0][0]


def _level(letter: Letter, size: float, base: float) -> int:
    if letter.size > _SMALL * size:
        return 0
    return (letter.base - base > _RAISE * size) - (base - letter.base > _DROP * size)


def _spaces(letters: Sequence[Letter], size: float) -> set[int]:
    """Find the letters before which a space is written, or a gap is left that is none of those within words."""
    gaps = {
        i: max(b.left - a.end, a.left - b.end) / size for i, (a, b) in enumerate(pairwise(letters), 1) if not b.spaced
    }
    spaces = {i for i, letter in enumerate(letters) if i and letter.spaced}
    if not gaps:
        return spaces
    within = max(sorted(gaps.values())[len(gaps) // 3], -_TIGHT)
    least = within + _UNWRITTEN_SPACE if spaces else min(within, _TRACKING) + _SPACE
    for i, gap in gaps.items():
        if gap <= least:
            continue
        a, b = letters[i - 1], letters[i]
        seen = max(b.left - a.right, a.left - b.right) / size
        # Writing that has no spaces is often set wide.
        unspaced = gap < 1.2 and UNSPACED.match(a.text) and UNSPACED.match(b.text)
        if seen > _SEEN and not unspaced and (gap > least + _SPACE or not (a.text in _OPENING or b.text in _CLOSING)):
            spaces.add(i)
    return spaces
