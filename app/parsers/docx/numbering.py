"""Count the numbered paragraphs of a Word document, which holds rules for their numbers and not the numbers."""

import re
from dataclasses import dataclass, field
from functools import cache

from lxml import etree

from app.parsers.docx import number_formats
from app.parsers.docx.package import MC, W, integer, is_on, value
from app.parsers.docx.styles import Styles
from app.parsers.docx.symbols import CHECK_MARKS, from_font

BULLET = "-"
#: More than what Word lets people type before a number.
_LONGEST_TEXT = 100


@dataclass(frozen=True)
class _Level:
    """One of up to nine levels of a list."""

    form: str
    text: str
    """With "%1" where the number of the first level stands."""
    start: int
    restarts_below: int
    """The level that this one begins anew after is below it; 0 is never."""
    all_digits: bool
    hidden: bool
    style: str
    custom_width: int
    """Digits of a number that is filled up with zeros."""

    def number(self, count: int, all_digits: bool) -> str:
        if self.form in ("none", "bullet"):
            return ""
        if self.custom_width:
            return number_formats.padded(count, self.custom_width)
        return number_formats.write(count, "decimal" if all_digits and self.form != "decimalZero" else self.form)


@dataclass(frozen=True)
class _List:
    """A list of the document; those with the same `counts` go on from each other."""

    levels: dict[int, _Level]
    counts: dict[int, int]
    overrides: dict[int, int]
    """Numbers that its levels begin with when they are first met; used up then."""
    linked: dict[str, int] = field(default_factory=dict)
    """Levels by the style that stands for them."""


class Numbering:
    def __init__(self, root: etree._Element | None, styles: Styles) -> None:
        self._styles = styles
        every = [] if root is None else list(root)
        self._lists = {num.get(f"{W}numId", ""): num for num in every if num.tag == f"{W}num"}
        self._rules = {rule.get(f"{W}abstractNumId", ""): rule for rule in every if rule.tag == f"{W}abstractNum"}
        self._counts: dict[str, dict[int, int]] = {}
        self._list = cache(self._read_list)
        self._rule = cache(self._read_rule)

    def label(self, paragraph: etree._Element) -> str:
        """Count a paragraph and write what stands before it: "3.2", "(a)", "-" for a bullet, "" for nothing."""
        style = self._styles.of_paragraph(paragraph)
        number_id = value(paragraph, "pPr/numPr/numId") or self._styles.numbering(style)[0]
        if number_id in ("", "0"):
            return ""
        list_ = self._list(number_id)
        level = self._level(paragraph, style, list_)
        if level not in list_.levels:
            return BULLET
        self._count(list_, level)
        return _written(list_, level)

    def _level(self, paragraph: etree._Element, style: str, list_: _List) -> int:
        said = value(paragraph, "pPr/numPr/ilvl")
        if not said:
            linked = (list_.linked[name] for name, _ in self._styles.chain(style) if name in list_.linked)
            said = str(next(linked, "")) or self._styles.numbering(style)[1]
        return integer(said, 0)

    def _count(self, list_: _List, level: int) -> None:
        counts = list_.counts
        for above in range(level):
            if above in list_.levels:
                counts.setdefault(above, list_.levels[above].start)
        following = counts[level] + 1 if level in counts else list_.levels[level].start
        counts[level] = list_.overrides.pop(level, following)
        for below in [below for below in counts if below > level]:
            if below not in list_.levels or level < list_.levels[below].restarts_below:
                del counts[below]

    def _read_list(self, number_id: str) -> _List:
        """Read the rules of a list and what it does its own way; one that is not there has no levels."""
        num = self._lists.get(number_id)
        rule_id, levels = self._rule(value(num, "abstractNumId"))
        overrides = {}
        for override in () if num is None else num.findall(f"{W}lvlOverride"):
            start = integer(value(override, "startOverride"), -1)
            if start >= 0:
                overrides[integer(override.get(f"{W}ilvl", ""), 0)] = start
            levels = levels | _levels(override)
        linked = {level.style: number for number, level in levels.items() if level.style}
        return _List(levels, self._counts.setdefault(rule_id, {}), overrides, linked)

    def _read_rule(self, rule_id: str) -> tuple[str, dict[int, _Level]]:
        """Read the levels of a list's rules; where a style of lists stands for them, those are another list's."""
        rule = self._rules.get(rule_id)
        if rule is not None and (style := value(rule, "numStyleLink")) and rule.find(f"{W}lvl") is None:
            rule_id = value(self._lists.get(self._styles.list_of(style)), "abstractNumId")
            rule = self._rules.get(rule_id)
        return rule_id, {} if rule is None else _levels(rule)


def _levels(parent: etree._Element) -> dict[int, _Level]:
    levels = {}
    for element in parent.findall(f"{W}lvl"):
        number = integer(element.get(f"{W}ilvl", ""), 0)
        if 0 <= number < 9:
            levels[number] = _read_level(element, number)
    return levels


def _read_level(element: etree._Element, number: int) -> _Level:
    form = element.find(f"{W}numFmt")
    if form is None:  # a form that older programs do not know stands beside one that they do
        form = element.find(f"{MC}AlternateContent/{MC}Choice/{W}numFmt")
    name = "decimal" if form is None else form.get(f"{W}val", "decimal")
    sample = "" if form is None or name != "custom" else form.get(f"{W}format", "")
    width = re.match(r"0*[0-9]", sample)
    text = value(element, "lvlText")[:_LONGEST_TEXT]
    properties = element.find(f"{W}rPr")
    if name == "bullet":
        fonts = None if properties is None else properties.find(f"{W}rFonts")
        sign = from_font(text, "" if fonts is None else fonts.get(f"{W}ascii", ""))
        text = sign if sign in CHECK_MARKS else BULLET
    return _Level(
        form=name,
        text=text,
        start=integer(value(element, "start"), 0),
        restarts_below=integer(value(element, "lvlRestart"), number),
        all_digits=is_on(element.find(f"{W}isLgl")),
        hidden=properties is not None and is_on(properties.find(f"{W}vanish")),
        style=value(element, "pStyle"),
        custom_width=len(width[0]) if width else 0,
    )


def _written(list_: _List, level: int) -> str:
    rule = list_.levels[level]
    if rule.hidden or rule.form == "bullet":
        return "" if rule.hidden else rule.text

    def number(match: re.Match[str]) -> str:
        at = int(match[1]) - 1
        if at not in list_.levels or at not in list_.counts:
            return ""
        return list_.levels[at].number(list_.counts[at], rule.all_digits)

    return re.sub(r"%([1-9])", number, rule.text).strip()
