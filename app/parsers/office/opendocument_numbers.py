"""Count the automatic numbers of OpenDocument lists and headings, which the file holds as styles only."""

from dataclasses import dataclass, field

from lxml import etree

from app.parsers.containers import local_name
from app.parsers.numerals import written


@dataclass(frozen=True)
class Level:
    """How a level of a list is numbered; an empty ``form`` is a bullet or nothing."""

    form: str
    prefix: str
    suffix: str
    shown_levels: int
    start: int


@dataclass
class Numbers:
    """Styles of lists by name, with "" for that of headings, and how far each has been counted."""

    styles: dict[str, dict[int, Level]] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)

    def add_styles(self, root: etree._Element) -> None:
        for style in root.iter("{*}list-style", "{*}outline-style"):
            name = attribute(style, "name") if local_name(style) == "list-style" else ""
            self.styles[name] = {whole(level, "level"): _level(level) for level in style}

    def restart(self, style: str, level: int) -> None:
        """Begin a list anew."""
        self.counts[style] = self.counts.get(style, [])[: level - 1]

    def next(self, style: str, level: int, start: int | None = None) -> str:
        """Count an item and return its number, "" if its level has none."""
        levels = self.styles.get(style, {})
        of_level = levels.get(level)
        counts = self.counts.setdefault(style, [])
        while len(counts) < level:
            above = levels.get(len(counts) + 1)
            counts.append((above.start if above else 1) - (len(counts) + 1 == level))
        del counts[level:]
        counts[-1] = counts[-1] + 1 if start is None else start
        if of_level is None or not of_level.form:
            return ""
        first = max(1, level - of_level.shown_levels + 1)
        shown = (
            written(counts[n - 1], levels[n].form) for n in range(first, level + 1) if n in levels and levels[n].form
        )
        return of_level.prefix + ".".join(shown) + of_level.suffix


def attribute(element: etree._Element, name: str) -> str:
    """Return an attribute's value, of whatever namespace."""
    return next((str(value) for key, value in element.items() if etree.QName(key).localname == name), "")


def whole(element: etree._Element, name: str, otherwise: int = 1, most: int = 1_000_000_000) -> int:
    """Return a whole number that is an attribute's value."""
    value = attribute(element, name)[:10]
    return min(int(value), most) if value.isascii() and value.isdigit() else otherwise


def _level(level: etree._Element) -> Level:
    is_number = local_name(level).endswith("-number") or local_name(level) == "outline-level-style"
    return Level(
        attribute(level, "num-format") if is_number else "",
        attribute(level, "num-prefix"),
        attribute(level, "num-suffix"),
        whole(level, "display-levels", most=10),
        whole(level, "start-value"),
    )
