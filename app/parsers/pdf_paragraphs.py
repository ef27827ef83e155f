"""From the printed lines of pages back to paragraphs.

A PDF knows where letters stand, not what they form: lines end where the paper ends, words are divided, and
every page repeats its header. The rules here look at characters only; in doubt they leave a line as it is.
"""

import re
from collections import Counter
from collections.abc import Sequence

_SENTENCE_END = re.compile(r"[.!?:…\u3002\uff01\uff1f][\"'”\u2019»)\]]*\Z")
_LIST_ITEM = re.compile(r"(?:[•◦▪‣·*\u2013—-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\[\d+\])\s")
_DIVIDED = re.compile(r"([^\W\d_]{2,})[-\u2010]\Z")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_PAGE_NUMBER = re.compile(r"\W*(?:page|p\.|seite)?\s*\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?\W*\Z", re.I)


def unwrap(pages: Sequence[str]) -> list[str]:
    """Put each paragraph of each page on one line and join divided words.

    A hyphen at a line end stays where the document writes that compound with a hyphen elsewhere, or where the
    line goes on with a capital or a digit.
    """
    inner = [line for page in pages for line in page.split("\n")]
    words = Counter(word.lower() for line in inner for word in _WORD.findall(line))
    return [_unwrap_page(page, words) for page in pages]


def _unwrap_page(page: str, words: Counter[str]) -> str:
    lines = [line.strip() for line in page.split("\n")]
    lengths = sorted(len(line) for line in lines if line)
    if not lengths:
        return ""
    width = lengths[int(0.8 * (len(lengths) - 1))]
    paragraphs = [""]
    previous = ""
    for line in lines:
        if line and previous and _continues(previous, line, width):
            paragraphs[-1] = _join(paragraphs[-1], line, words)
        else:
            paragraphs.append(line)
        previous = line
    return "\n".join(paragraphs)


def _continues(line: str, following: str, width: int) -> bool:
    """Tell whether `following` belongs to the paragraph that `line` is part of."""
    if _LIST_ITEM.match(following):
        return False
    if following[0].islower():
        return len(line) >= 0.4 * width and not line.endswith(":")
    # A last line of a paragraph is usually short, a line of a table, a heading or a verse too.
    full = 0.9 if _SENTENCE_END.search(line) else 0.75
    return width >= 40 and len(line) >= full * width


def _join(before: str, after: str, words: Counter[str]) -> str:
    divided = _DIVIDED.search(before[-60:])
    if not divided or not after[0].islower():
        return before + ("" if divided else " ") + after
    tail = _WORD.match(after)
    compound = f"{divided.group(1)}-{tail.group() if tail else ''}".lower()
    return (before if words[compound] else before[:-1]) + after


def drop_running_lines(pages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Drop page numbers, headers and footers; return the pages, and what was dropped (each line once).

    A first or last line goes if, digits aside, it stands in the same place on more than half of at least
    three pages, or if it is a page number that grows with the pages.
    """
    split = [page.strip("\n").split("\n") for page in pages]
    dropped: dict[str, None] = {}
    for edge in (0, -1):
        for _ in range(2):  # a header and a page number may share the edge
            places = [i for i, lines in enumerate(split) if len(lines) > 1]
            shapes = {i: re.sub(r"\d+", "#", split[i][edge].strip()) for i in places}
            common = Counter(shape for shape in shapes.values() if shape)
            counting = _counting({i: split[i][edge].strip() for i in places})
            for i in places:
                repeated = len(pages) >= 3 and common[shapes[i]] > len(pages) / 2
                if repeated or i in counting:
                    dropped.setdefault(split[i].pop(edge).strip())
    return ["\n".join(lines) for lines in split], [line for line in dropped if not _PAGE_NUMBER.match(line)]


def _counting(lines: dict[int, str]) -> set[int]:
    """Find the lines that are page numbers: a number at a constant distance from the index."""
    numbers = {
        i: int(re.findall(r"\d+", line)[0]) for i, line in lines.items() if len(line) < 40 and _PAGE_NUMBER.match(line)
    }
    distances = Counter(number - i for i, number in numbers.items())
    if not distances:
        return set()
    distance, count = distances.most_common(1)[0]
    return {i for i, number in numbers.items() if number - i == distance} if count >= 2 else set()
