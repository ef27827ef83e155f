"""Find the main content of a saved web page among its menus, footers and other surroundings.

Resiliparse says which text belongs to the content; here its element is found in the tree, so that lists, tables and
formulas in it are written as everywhere else. The numbers were chosen on public pages: `docs/decisions.md`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString
from resiliparse.extract.html2text import extract_plain_text

from app.parsers.html.tree import children, is_deeper, is_hidden
from app.parsers.writing_systems import UNSPACED

_LONGEST = 2_000_000
"""Characters of a page's text; beyond them the page is read whole."""
_DEEPEST = 300
"""Elements in each other; beyond them, too."""
_LEAST_AROUND = 400
"""Letters that a page must have around its content, or it is read whole."""
_SHARE_OF_MATCHES = 0.9
_SHARE_OF_PROSE = 0.45
_SHARE_OF_LINKS = 0.3
_FOREIGN = 0.3
_WORDS = 4
# Scripts without blanks between words count by letters.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_SURROUNDINGS = {"nav", "footer", "aside"}
_ROLES = {"navigation", "complementary", "banner", "contentinfo", "search", "menu", "menubar", "dialog"}
_NAMED_AROUND = re.compile(
    r"nav|menu|foot|sidebar|side-bar|breadcrumb|masthead|header|related|banner|cookie|toolbar", re.I
)
_BLOCKS = {"div", "section", "ul", "ol", "li", "dl", "p", "table", "tr", "td", "form", "header", "center"}
_WHOLE = {"p", "td", "th", "tr", "tbody", "li", "a", "span", "pre"}
"""Elements of which the content would be no more than a part."""


@dataclass(frozen=True)
class Content:
    """The element that holds a page's main content, and what in it belongs to the surroundings."""

    element: Tag
    foreign: tuple[Tag, ...]


@dataclass
class _Letters:
    """Visible letters and digits of an element: all, in links, of the main content, in surroundings."""

    all: int = 0
    linked: int = 0
    matched: int = 0
    around: int = 0

    def add(self, part: "_Letters") -> None:
        self.all += part.all
        self.linked += part.linked
        self.matched += part.matched
        self.around += part.around

    def without(self, parts: Iterable["_Letters"]) -> "_Letters":
        rest = _Letters(self.all, self.linked, self.matched, self.around)
        for part in parts:
            rest.all -= part.all
            rest.linked -= part.linked
            rest.matched -= part.matched
            rest.around -= part.around
        return rest

    @property
    def prose(self) -> int:
        return self.all - self.linked


def find_content(soup: BeautifulSoup, source: str, length: int, unhidden: bool) -> Content | None:
    """Find the main content of a page, if it is clear where it is and how much else there is.

    `length` is that of the page's whole text, `unhidden` whether hidden elements were made visible.
    """
    root = soup.body
    if root is None or length > _LONGEST or is_deeper(root, _DEEPEST):
        return None
    elements = list(_visible(root))
    if sum(tag.name == "a" or _is_around(tag) for tag in elements) == 0:
        return None
    text = extract_plain_text(
        source, main_content=True, alt_texts=False, list_bullets=False, noscript=unhidden, hidden_elements=unhidden
    )
    letters = _count(root, elements, text)
    page = letters[id(root)]
    element = _holder(root, letters)
    foreign = tuple(_foreign(element, letters))
    content = letters[id(element)].without(letters[id(part)] for part in foreign)
    rest = page.without([content])
    has_prose = page.matched > 0 and content.prose >= _SHARE_OF_PROSE * page.prose
    # Else the links may be what the page is for.
    has_weight = content.all >= _SHARE_OF_LINKS * (rest.all - rest.around)
    return Content(element, foreign) if has_prose and has_weight and rest.all >= _LEAST_AROUND else None


def _visible(root: Tag) -> Iterator[Tag]:
    """Yield an element and those in it that a reader sees, parents before their children."""
    stack = [root]
    while stack:
        tag = stack.pop()
        yield tag
        stack.extend(child for child in children(tag) if not is_hidden(child))


def _count(root: Tag, elements: list[Tag], text: str) -> dict[int, _Letters]:
    """Count the letters of each element by the `id` of its tag."""
    lines = [_WORD.findall(line.lower()) for line in text.split("\n")]
    whole_lines = {tuple(line) for line in lines}
    runs = set(_runs([word for line in lines for word in line]))
    letters = {id(tag): _Letters() for tag in elements}
    for tag in elements:
        for child in tag.contents:
            if isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
                words = _WORD.findall(child.lower())
                size = sum(map(len, words))
                if len(words) < _WORDS:
                    matches = tuple(words) in whole_lines
                else:
                    matches = 2 * sum(run in runs for run in _runs(words)) > len(words) - _WORDS + 1
                letters[id(tag)].add(_Letters(size, 0, size if matches else 0))
    for tag in reversed(elements):
        count = letters[id(tag)]
        if tag.name == "a":
            count.linked = count.all
        if (
            _is_around(tag)
            or tag.name == "header"
            or _NAMED_AROUND.search(f"{tag.get('class', '')} {tag.get('id', '')}")
        ):
            count.around = count.all
        if tag is not root and tag.parent is not None:
            letters[id(tag.parent)].add(count)
    return letters


def _runs(words: list[str]) -> Iterable[int]:
    return (hash(tuple(words[start : start + _WORDS])) for start in range(len(words) - _WORDS + 1))


def _holder(root: Tag, letters: dict[int, _Letters]) -> Tag:
    """Find the deepest element that holds nearly all of the main content."""
    holder, enough = root, _SHARE_OF_MATCHES * letters[id(root)].matched
    while True:
        parts = [child for child in children(holder) if id(child) in letters]
        fullest = max(parts, key=lambda part: letters[id(part)].matched, default=None)
        if fullest is None or fullest.name in _WHOLE or letters[id(fullest)].matched < enough:
            return holder
        holder = fullest


def _foreign(element: Tag, letters: dict[int, _Letters]) -> Iterator[Tag]:
    """Yield the parts of the content's element that are surroundings: named so, or links without any of the content."""
    stack = [element]
    while stack:
        for child in reversed(children(stack.pop())):
            count = letters.get(id(child))
            if count is None or count.all == 0:
                continue
            links = count.matched == 0 and 2 * count.linked > count.all and child.name in _BLOCKS
            if links or (_is_around(child) and count.matched < _FOREIGN * count.all):
                yield child
            else:
                stack.append(child)


def _is_around(tag: Tag) -> bool:
    return tag.name in _SURROUNDINGS or str(tag.get("role", "")).lower() in _ROLES
