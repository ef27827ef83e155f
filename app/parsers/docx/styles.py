"""Look up what the styles of a Word document say: names, hidden text, raised and lowered text, numbering."""

from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from app.parsers.docx.package import W, is_on, value

#: Styles that a style may be based on, in a row; more is a circle.
_LONGEST_CHAIN = 50


class Look(NamedTuple):
    """What of a run's formatting changes its text; None where nothing is said."""

    hidden: bool | None = None
    position: str | None = None
    """"superscript", "subscript" or "baseline"."""
    font: str | None = None

    def over(self, other: "Look") -> "Look":
        return Look(
            other.hidden if self.hidden is None else self.hidden,
            other.position if self.position is None else self.position,
            other.font if self.font is None else self.font,
        )


class Styles:
    def __init__(self, root: etree._Element | None) -> None:
        every = [] if root is None else root.findall(f"{W}style")
        self._by_id = {style.get(f"{W}styleId", ""): style for style in every}
        self._default = next(
            (
                style.get(f"{W}styleId", "")
                for style in every
                if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default", "0") in ("1", "true", "on")
            ),
            "",
        )
        self._looks: dict[str, Look] = {"": Look()}
        self._numberings: dict[str, tuple[str, str]] = {}

    def of_paragraph(self, paragraph: etree._Element) -> str:
        """Find the id of a paragraph's style."""
        return value(paragraph, "pPr/pStyle") or self._default

    def name(self, style: str) -> str:
        return value(self._by_id.get(style), "name").lower()

    def chain(self, style: str) -> Iterator[tuple[str, etree._Element]]:
        """Yield the style and those that it is based on, with their ids, the nearest first."""
        for _ in range(_LONGEST_CHAIN):
            element = self._by_id.get(style)
            if element is None:
                return
            yield style, element
            style = value(element, "basedOn")

    def look(self, run: etree._Element, paragraph_style: str) -> Look:
        """Work out a run's look from its formatting, its style and its paragraph's style."""
        properties = run.find(f"{W}rPr")
        # Raised text is a matter of runs: where a whole paragraph is raised, nothing stands below.
        inherited = Look(hidden=self._of_style(paragraph_style).hidden)
        if properties is None:
            return inherited
        return _said(properties).over(self._of_style(value(properties, "rStyle"))).over(inherited)

    def hides(self, properties: etree._Element | None, paragraph_style: str) -> bool:
        """Tell whether these properties of a paragraph's end make it invisible."""
        said = Look() if properties is None else _said(properties)
        return bool(said.over(self._of_style(paragraph_style)).hidden)

    def numbering(self, style: str) -> tuple[str, str]:
        """Read the list and the level in it of a style's paragraphs, its own or inherited ones, each "" if none."""
        if style not in self._numberings:
            said = [element.find(f"{W}pPr/{W}numPr") for _, element in self.chain(style)]
            lists = (value(each, "numId") for each in said)
            levels = (value(each, "ilvl") for each in said)
            self._numberings[style] = next(filter(None, lists), ""), next(filter(None, levels), "")
        return self._numberings[style]

    def list_of(self, style: str) -> str:
        """Read the id of the list that a style of lists stands for, or return ""."""
        return value(self._by_id.get(style), "pPr/numPr/numId")

    def _of_style(self, style: str) -> Look:
        if style not in self._looks:
            look = Look()
            for _, element in self.chain(style):
                properties = element.find(f"{W}rPr")
                look = look if properties is None else look.over(_said(properties))
            self._looks[style] = look
        return self._looks[style]


def _said(properties: etree._Element) -> Look:
    vanish, fonts = properties.find(f"{W}vanish"), properties.find(f"{W}rFonts")
    font = None if fonts is None else fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi")
    return Look(None if vanish is None else is_on(vanish), value(properties, "vertAlign") or None, font)
