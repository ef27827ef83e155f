"""From the printed lines of pages back to paragraphs.

A PDF knows where letters stand, not what they form. A line of running text ends where the next word has no room
any more; lines that end before that, rows, list items, code and dialogue stay lines.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from app.parsers.pdf.joints import UNSPACED, WORD, divides, joint
from app.parsers.pdf.lines import Line

_SENTENCE_END = re.compile(r"[.!?:…\u3002\uff01\uff1f\uff1a][\"'”\u2019»)\]」』\uff09]*\Z")
_LIST_ITEM = re.compile(
    r"(?:[•◦▪‣·●○■□☐☒☑✓➢*\u2013—-]|\[[ xX]?\]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\([ivx]{1,5}\)|[IVX]{1,5}\.|\[\d+\])[ \t]"
    r"|[\u2460-\u2473]|\d{1,2}(?:\.\d{1,2}){1,4}\.?[ \t]+[^\W\d_a-z]|\u3000"
)
_SPEAKER = re.compile(
    r"[^\W\d_a-z][\w.'\u2019-]*(?: [^\W_][\w.'\u2019()-]*){0,3}:(?:[ \t]|\Z)|[A-Z]{3}[A-Z .'-]{0,30}[.:][ \t]"
)
_SPEECH = re.compile(r"[\"“„»«「『\u2018]")
_CODE = re.compile(
    r"[^\n]*(?:[;{}]|\)\s?:|=>|->|\\)\Z"
    r"|[}\])]+[;,]?\Z|@\w+|#\s?(?:include|define|if|endif)\b|#!|//|/\*|\*/|>>> |\$ \w"
    r"|(?:sudo|apt|apt-get|pip|npm|git|cd|curl|wget|docker|ssh|mkdir|chmod|systemctl|python3?|echo|export) \S"
    r"|(?:return|import|from|break|continue|pass|raise|yield|fi|done|end|else|else:|try:)\b.{0,60}\Z"
    r"|(?:def|class|function|elif|except|while|for|if|switch|case|public|private|static|const|let|var|void|int)\b"
    r".*[:;(){}=]\Z|[\w.\[\]\"']{1,60} ?[-+*/|&]?=(?!=) ?\S|[\w.]{1,60}\([^()]{0,200}\)\Z"
)
_AMOUNT_END = re.compile(r"(?:\A|[ \t])[-+(€$£]*\d[\d.,:/%\u2013-]*\)?(?: ?[€$£%]| [A-Z]{3})?\Z")
_INNER_STOP = re.compile(r"[^\W\d_][.,;!?](?:\s|\Z)")
#: Of a letter's size: narrower columns are headings, labels and lists rather than running text.
_NARROW, _NARROW_UNSPACED = 14, 8


def unwrap(pages: Sequence[Sequence[Line]]) -> list[str]:
    """Put each paragraph of each page on one line and join divided words."""
    words = Counter(word.lower() for page in pages for line in page for word in WORD.findall(line.text))
    return [_unwrapped(page, words) for page in pages]


def _unwrapped(lines: Sequence[Line], words: Counter[str]) -> str:
    paragraphs: list[list[str]] = []
    code = _code(lines)
    starts = _starts(lines, code)
    for i, line in enumerate(lines):
        text = line.text.replace("\t", " ")
        if i in starts:
            paragraphs.append([_indent(lines, i, code), text])
            continue
        pieces = paragraphs[-1]
        cut, between = joint("".join(pieces[-4:]), text, words)
        pieces[-1] = pieces[-1][:-1] if cut else pieces[-1]
        pieces += [between, text]
    return "\n".join("".join(pieces) for pieces in paragraphs)


def _starts(lines: Sequence[Line], code: set[int]) -> set[int]:
    """Find the lines that begin a paragraph or stand for themselves."""
    rows = _rows(lines)
    parted = _parted(lines)
    blocks = _blocks(lines, parted)
    usual = _usual_right(lines)
    starts = {0} | parted
    for block in blocks:
        inside = [lines[i] for i in block]
        left, edge = min(line.left for line in inside), max(line.right for line in inside)
        right = max((lines[i].right for i in block if i not in rows), default=edge)
        if len(inside) < 4:
            right = max(right, usual.get(_column(inside[0]), right))
        starts |= {block.start + i for i in _for_themselves(inside, right, {i - block.start for i in rows})}
        for i in block:
            after = i + 1
            if after == len(lines) or after in starts:
                continue
            a, b = lines[i], lines[after]
            in_rows = (i in rows and (after in rows or not b.text[0].islower())) or (
                after in rows and ("\t" in b.text or _has_room(a, b, edge, 0.3 * a.size))
            )
            indented = _indented(lines, after)
            if i in code or after in code or in_rows or indented or _says_so(a, b) or not _flows(a, b, left, right):
                starts.add(after)
    return starts


def _parted(lines: Sequence[Line]) -> set[int]:
    """Find the lines before which the size of letters changes, or more room is left than between other lines."""
    drops = [a.base - b.base for a, b in pairwise(lines) if 0 < a.base - b.base < 4 * a.size]
    usual = median(drops) if drops else 0.0
    return {
        i + 1
        for i, (a, b) in enumerate(pairwise(lines))
        if max(a.size, b.size) > 1.2 * min(a.size, b.size)
        or a.base - b.base > max(1.35 * usual, 1.25 * max(a.size, b.size))
    }


def _blocks(lines: Sequence[Line], parted: set[int]) -> list[range]:
    """Cut a page where lines are parted and where the next line stands higher: in another column."""
    cuts = [0] + [i + 1 for i, (a, b) in enumerate(pairwise(lines)) if i + 1 in parted or b.base >= a.base]
    return [range(start, end) for start, end in pairwise([*cuts, len(lines)])]


def _column(line: Line) -> int:
    return round(line.left / (3 * line.size))


def _usual_right(lines: Sequence[Line]) -> dict[int, float]:
    """Find the right edge of most lines that begin alike."""
    rights: dict[int, list[float]] = {}
    for line in lines:
        rights.setdefault(_column(line), []).append(line.right)
    return {column: sorted(edges)[int(0.8 * (len(edges) - 1))] for column, edges in rights.items()}


def _has_room(a: Line, b: Line, right: float, slack: float) -> bool:
    """Tell whether the first word of `b` would have had its place at the end of `a`."""
    need = 1.3 * b.size if UNSPACED.match(b.text) else b.word - b.left + 0.25 * b.size
    return right - a.right > need + slack


def _flows(a: Line, b: Line, left: float, right: float) -> bool:
    """Tell whether `b` belongs to the paragraph that `a` is part of."""
    width = right - left
    lower = b.text[0].islower()
    if divides(a.text, b.text):
        return True
    loose = (lower and not _SENTENCE_END.search(a.text)) or (a.text.endswith(":") and b.text[0].isdigit())
    if _has_room(a, b, right, 0.15 * width if loose else 0.02 * width + 0.3 * a.size):
        return False
    if a.text.endswith(":") and b.text[0].isalpha():
        return False
    return lower or width >= (_NARROW_UNSPACED if UNSPACED.match(b.text) else _NARROW) * a.size


def _says_so(a: Line, b: Line) -> bool:
    """Tell whether the words of `b` show that it begins something: an item, a label, a turn of speech."""
    if _LIST_ITEM.match(b.text) or _SPEAKER.match(b.text):
        return True
    return bool(_SPEECH.match(b.text) and _SENTENCE_END.search(a.text))


def _indented(lines: Sequence[Line], i: int) -> bool:
    """Tell whether a line is the indented first one of a paragraph, not the second one of a hanging item."""
    a, b = lines[i - 1], lines[i]
    if not (0.8 * b.size < b.left - a.left < 8 * b.size and _SENTENCE_END.search(a.text)):
        return False
    return not b.text[0].islower() and (i + 1 == len(lines) or abs(lines[i + 1].left - b.left) > 0.5 * b.size)


def _for_themselves(lines: Sequence[Line], right: float, rows: set[int]) -> set[int]:
    """Find the lines of names, lists without marks and verses: around them many lines end before they must."""
    early = [
        _has_room(a, b, right, 0.3 * a.size)
        and not (_SENTENCE_END.search(a.text) or divides(a.text, b.text) or _says_so(a, b))
        for a, b in pairwise(lines)
    ]
    apart = set()
    for i in range(len(early)):
        others = early[max(i - 2, 0) : i] + early[i + 1 : i + 3]
        if (early[i] and any(others)) or (sum(others) >= 2 and sum(others) >= 0.6 * len(others)):
            apart.add(i + 1)
    begun = [i not in rows and (line.text[0].isupper() or line.text[0].isdigit()) for i, line in enumerate(lines)]
    ended = [bool(_SENTENCE_END.search(a.text)) and _has_room(a, b, right, 0.3 * a.size) for a, b in pairwise(lines)]
    start = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and begun[end] and not (end > start and ended[end - 1]):
            continue
        run = range(start, end)
        stops = sum(bool(_INNER_STOP.search(lines[i].text)) for i in run)
        # Four lines on end that begin with capitals: running text hardly ever has that, and never ends early as well.
        if len(run) >= 4 and (stops <= 0.2 * len(run) or any(early[start : end - 1])):
            apart.update(run)
        start = end if end < len(lines) and begun[end] else end + 1
    return apart


def _rows(lines: Sequence[Line]) -> set[int]:
    """Find the rows of tables: neighbours with wide gaps, or with an amount at the end."""
    rows: set[int] = set()
    for i, (a, b) in enumerate(pairwise(lines)):
        if _AMOUNT_END.search(a.text[-40:]) and _AMOUNT_END.search(b.text[-40:]):
            alike = len(a.text.split()) == len(b.text.split())
        else:
            alike = False
            if not ("\t" in a.text and "\t" in b.text):
                continue
        if alike or "\t" in a.text or not b.text[0].islower():
            rows |= {i, i + 1}
    return rows


def _code(lines: Sequence[Line]) -> set[int]:
    """Find lines of code: in a typewriter's letters among others, or several that look it."""
    fixed = sum(line.fixed for line in lines)
    if 0 < fixed <= 0.8 * len(lines):
        return {i for i, line in enumerate(lines) if line.fixed}
    like = {i for i, line in enumerate(lines) if len(line.text) < 400 and _CODE.match(line.text)}
    near = {i for i in like if i - 1 in like or i + 1 in like or (i + 2 in like) or (i - 2 in like)}
    return near | {i for i in range(len(lines)) if i - 1 in near and i + 1 in near}


def _indent(lines: Sequence[Line], i: int, code: set[int]) -> str:
    """Write as spaces how far a line of code is set in from the code around it."""
    if i not in code:
        return ""
    start = end = i
    while start - 1 in code and i - start < 200:
        start -= 1
    while end + 1 in code and end - i < 200:
        end += 1
    around = lines[start : end + 1]
    width = median((line.right - line.left) / max(len(line.text), 1) for line in around)
    left = min(line.left for line in around)
    return " " * min(round((lines[i].left - left) / width), 80) if width > 0 else ""
