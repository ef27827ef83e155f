"""Find headers, footers and page numbers: they are left out of a text but for one copy of what they say.

Numbers at the edges of pages are facts as often as not (invoices, totals, balances), so a line goes only if it says
the same on many pages to the letter, or but for a number that is the page's.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.parsers.pdf.lines import Line

DEPTH = 6
_PAGE = (
    r"page|pages|pg\.?|p\.|seite|s\.|blatt|página|pagina|pág\.?|pag\.?|side|sida|sivu|strona|str\.|strana|oldal"
    r"|sayfa|halaman|trang|стр\.?|страница|сторінка|σελίδα|ページ|頁|页|第"
)
_OF = r"\s?(?:/|of|von|de|di|sur|van|av|af|z|из|з|共)\s?"
_ENDS = r"[\s|·•\[\]()~\u2013\u2014-]*"
_BARE = re.compile(rf"{_ENDS}(\d{{1,3}}){_ENDS}\Z")
_VALUE = re.compile(r"\W*\d")
_NUMBERED = (
    re.compile(rf"(?<!\w)(?:{_PAGE})\s?(\d{{1,4}})(?:{_OF}\d{{1,4}})?(?![\w.,]\w)", re.I),
    re.compile(rf"(?:\A|[\t|·•]\s?)(\d{{1,4}}){_OF}\d{{1,4}}(?=\Z|\s?[\t|·•])", re.I),
)
_ASIDE = re.compile(r"\A(\d{1,4})\s?[\t|·•]|[\t|·•]\s?(\d{1,4})\Z")


@dataclass(frozen=True)
class Running:
    """Pages without their running lines, what was left out of which page, and the first line that is none."""

    pages: list[list[Line]]
    left_out: list[tuple[int, str]]
    first_line: str


def without_running_lines(pages: Mapping[int, Sequence[Line]]) -> Running:
    """Leave out page numbers, headers and footers, but keep one copy of each wording at the end of the last page.

    `pages` has the lines by page number. In any other place the copy might cut a sentence that runs across pages.
    """
    gone: dict[int, set[int]] = {number: set() for number in pages}
    copies: dict[str, tuple[int, int]] = {}
    for top in (True, False):
        orders = {number: _from_edge(lines, top) for number, lines in pages.items()}
        outer: dict[int, Line] = {}
        for _ in range(DEPTH):
            edge = {
                number: pages[number][order[0]]
                for number, order in orders.items()
                if order and len(pages[number]) - len(gone[number]) > 1
            }
            under = {number: pages[number][order[1]].text for number, order in orders.items() if top and len(order) > 1}
            running = [
                number
                for number in _running(edge, under, len(pages))
                if not _is_of_the_text([pages[number][i] for i in orders[number][:2]], outer.get(number))
            ]
            if not running:
                break
            for number in running:
                index = orders[number].pop(0)
                gone[number].add(index)
                outer[number] = pages[number][index]
                if wording := _wording(pages[number][index].text):
                    copies.setdefault(wording, (number, index))
    kept = set(copies.values())
    bodies = [[line for i, line in enumerate(lines) if i not in gone[number]] for number, lines in pages.items()]
    first = next((line.text for line in bodies[0]), "")
    left_out = [
        (number, lines[i].text)
        for number, lines in pages.items()
        for i in sorted(gone[number])
        if (number, i) not in kept
    ]
    bottom = min((line.base for line in bodies[-1]), default=0.0)
    bodies[-1] += [
        replace(pages[number][i], base=bottom - 1000 * (place + 1)) for place, (number, i) in enumerate(copies.values())
    ]
    return Running(bodies, left_out, first)


def is_page_number(text: str) -> bool:
    """Tell whether a running line says nothing besides the number of its page."""
    return not _wording(text)


def _from_edge(lines: Sequence[Line], top: bool) -> list[int]:
    """Sort the places of lines from the top down, or from the bottom up; only those that run as most of them do."""
    angles = Counter(round(line.angle, 1) for line in lines)
    usual = angles.most_common(1)[0][0] if angles else 0.0
    places = [i for i, line in enumerate(lines) if round(line.angle, 1) == usual]
    return sorted(places, key=lambda i: (-lines[i].base if top else lines[i].base, lines[i].left))[:DEPTH]


def _is_of_the_text(lines: Sequence[Line], outer: Line | None) -> bool:
    """Tell whether a line belongs to the one further inside, not to a running line `outer` or the edge of the page."""
    if len(lines) < 2:
        return False
    line, inner = lines
    inwards = abs(line.base - inner.base)
    if outer is not None and abs(outer.base - line.base) > max(1.5 * inwards, 2 * line.size):
        return True
    sentence = line.base < inner.base and line.text[0].islower() and inner.text[-1] not in ".:!?"
    return sentence and inwards < 1.5 * line.size and not _page_number(line.text)


def _running(edge: Mapping[int, Line], under: Mapping[int, str], pages: int) -> list[int]:
    """Choose the pages, in order, whose line at this edge is a running one and no label of what stands `under` it."""
    chosen = set(_counting(edge))
    for start, step in ((0, 1), (0, 2), (1, 2)):  # right and left pages may differ
        some = list(edge)[start::step]
        wordings = Counter(edge[number].text for number in some)
        often = {text for text, count in wordings.items() if count >= 3 and count > pages / step / 2}
        labels = {edge[number].text for number in some if _is_label(edge[number].text, under.get(number, ""))}
        chosen |= {number for number in some if edge[number].text in often - labels}
    return [number for number in edge if number in chosen]


def _is_label(text: str, under: str) -> bool:
    return text.endswith(":") or bool(_VALUE.match(under) and not _BARE.match(under))


def _counting(edge: Mapping[int, Line]) -> list[int]:
    """Choose the pages whose line differs from the others in a page number alone."""
    shapes: dict[tuple[str, int], list[int]] = {}
    for number, line in edge.items():
        if page := _page_number(line.text):
            shapes.setdefault((page[0], page[1] - number), []).append(number)
    return [
        number
        for (_, distance), alike in shapes.items()
        if len(alike) >= 3 or (len(alike) == 2 and distance == 0)
        for number in alike
    ]


def _page_number(text: str) -> tuple[str, int] | None:
    """Split a line into what stands around its page number, and that number."""
    if len(text) > 200:
        return None
    match = _BARE.match(text) or next((hit for pattern in _NUMBERED if (hit := pattern.search(text))), None)
    if match is None:
        match = _ASIDE.search(text)
        if match is None or sum(c.isalpha() for c in text) < 12:
            return None
    place = next(i for i in range(1, match.re.groups + 1) if match.group(i))
    return text[: match.start(place)] + "#" + text[match.end(place) :], int(match.group(place))


def _wording(text: str) -> str:
    """Reduce a running line to what it says besides its page number; nothing, if it says no more."""
    if _BARE.match(text):
        return ""
    rest = text
    for pattern in _NUMBERED:
        rest = pattern.sub("", rest)
    rest = _ASIDE.sub("", rest).strip()
    return rest if any(c.isalnum() for c in rest) else ""
