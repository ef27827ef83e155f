"""Put columns that a page draws line by line across it one after the other; rows of tables stay rows.

Columns are parted by a gutter: a strip that many lines leave white and none crosses. On both sides of it stands
running text, whose lines are full and mostly begin within a sentence; cells of a table are neither.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from app.parsers.pdf.joints import UNSPACED
from app.parsers.pdf.lines import Line

_LINES = 4
_DEPTH = 4  # of columns on both sides of a gutter that are parted themselves
_GUTTERS = 2  # that are looked into, those with the most lines first
_BIN = 3.0  # points, within which the edges of lines are one
_NARROW = 8  # of a letter's size: columns of a table are hardly ever wider and full
_BACK = 0.6  # of the lines: so often at least the drawing goes back to the left column


def in_columns(lines: Sequence[Line]) -> list[Line]:
    """Order the lines of a page by columns where they are drawn across columns."""
    return _ordered(lines, _DEPTH) or list(lines)


def _ordered(lines: Sequence[Line], depth: int) -> list[Line] | None:
    """Order lines by columns; nothing if no columns are drawn across."""
    if not depth or len(lines) < _LINES:
        return None
    for edge in _edges(lines):
        ordered: list[Line] = []
        changed = False
        for run in _runs(lines, edge):
            sides = [
                _ordered(side, depth - 1) or (side if _is_running_text(side) else None) for side in _sides(run, edge)
            ]
            columns = [line for side in sides if side for line in side] if sides and all(sides) else None
            changed |= columns is not None
            ordered += columns or run
        if changed:
            return ordered
    return None


def _edges(lines: Sequence[Line]) -> list[float]:
    """Find where many lines, or parts of them, begin to the right of others."""
    begins = [start for line in lines for _, _, start in line.gaps]
    begins += [b.left for a, b in pairwise(lines) if b.left > a.right and abs(a.base - b.base) < a.size]
    bins = Counter(round(start / _BIN) for start in begins)
    often = [(count + bins[place + 1], place) for place, count in bins.items() if count + bins[place + 1] >= _LINES]
    return [place * _BIN for _, place in sorted(often, reverse=True)[:_GUTTERS]]


def _runs(lines: Sequence[Line], edge: float) -> Iterator[list[Line]]:
    """Part lines into those that do not cross the gutter, and those that do."""
    run: list[Line] = []
    crosses = False
    for line in lines:
        over = line.left < edge - _BIN and line.right > edge + _BIN and _gap_at(line, edge) is None
        if run and (over != crosses or abs(line.angle - run[-1].angle) > 0.01):
            yield run
            run = []
        run.append(line)
        crosses = over
    if run:
        yield run


def _gap_at(line: Line, edge: float) -> int | None:
    return next((i for i, gap in enumerate(line.gaps) if -_BIN <= gap[2] - edge <= 2 * _BIN), None)


def _sides(run: Sequence[Line], edge: float) -> list[list[Line]]:
    """Part lines into those left and right of a gutter, if the drawing goes to and fro between them."""
    left: list[Line] = []
    right: list[Line] = []
    returns = 0
    after = False
    for line in run:
        at = _gap_at(line, edge)
        if at is not None:
            first, second = _cut(line, at)
            returns += bool(left)
            left.append(first)
            right.append(second)
            after = True
        elif line.left >= edge - _BIN:
            right.append(line)
            after = True
        else:
            returns += after
            left.append(line)
            after = False
    if min(len(left), len(right)) < _LINES or returns < _BACK * min(len(left), len(right)):
        return []
    return [left, right]


def _cut(line: Line, at: int) -> tuple[Line, Line]:
    offset, end, start = line.gaps[at]
    text = line.text[offset:].lstrip()
    moved = offset + len(line.text[offset:]) - len(text)
    gaps = tuple((place - moved, a, b) for place, a, b in line.gaps[at + 1 :])
    word = start + (line.right - start) * len(text.split(" ")[0]) / max(len(text), 1)
    first = replace(line, text=line.text[:offset].rstrip(), right=end, word=min(line.word, end), gaps=line.gaps[:at])
    return first, replace(line, text=text, left=start, word=word, gaps=gaps)


def _is_running_text(lines: Sequence[Line]) -> bool:
    texts = [line.text for line in lines]
    within = sum(text[0].islower() or bool(UNSPACED.match(text)) for text in texts)
    edge = max(line.right for line in lines)
    full = sum(a.right + b.word - b.left > edge - 2 * a.size for a, b in pairwise(lines))
    return (
        within >= 0.4 * len(lines)
        and median((line.right - line.left) / line.size for line in lines) >= _NARROW
        and full >= 0.6 * (len(lines) - 1)
        and sum(c.isdigit() for text in texts for c in text) < 0.15 * sum(map(len, texts))
    )
