"""Write the equations of Word documents (OMML) on one line, as Word's linear format does: 450/3, x^2, √(a+b)."""

import re
from collections.abc import Callable

from lxml import etree

from app.parsers.docx.package import M, W

_ATOM = re.compile(r"[\w.,∞\u2032]*|.|\([^()]*\)|√\([^()]*\)", re.S)
_SKIPPED = {f"{W}del", f"{W}moveFrom", f"{W}rPr"}


def linear(element: etree._Element) -> str:
    """Write an equation, or a part of one, on one line."""
    return "".join(_part(child) for child in element)


def bracketed(text: str) -> str:
    """Put brackets around what is more than a number, a name or a sign, so that it stays together."""
    return text if _ATOM.fullmatch(text) else f"({text})"


def _part(element: etree._Element) -> str:
    tag = element.tag
    if tag in (f"{M}t", f"{W}t"):
        return element.text or ""
    if tag in _SKIPPED or not isinstance(tag, str) or tag.endswith("Pr"):
        return ""
    write = _STRUCTURES.get(tag.removeprefix(M)) if tag.startswith(M) else None
    return write(element) if write else linear(element)


def _inside(element: etree._Element, name: str) -> str:
    child = element.find(M + name)
    return "" if child is None else linear(child).strip()


def _setting(element: etree._Element, name: str, default: str) -> str:
    """Read what the properties of a structure say, such as the sign of a sum; an empty value is a value."""
    setting = element.find(f"{M}{etree.QName(element).localname}Pr/{M}{name}")
    return default if setting is None else setting.get(f"{M}val", "")


def _fraction(element: etree._Element) -> str:
    above, below = _inside(element, "num"), _inside(element, "den")
    if _setting(element, "type", "bar") == "noBar":
        return f"{bracketed(above)} choose {bracketed(below)}"
    return f"{bracketed(above)}/{bracketed(below)}"


def _scripts(element: etree._Element) -> str:
    """Write the limits or indices that stand at a sign, or nothing where there are none."""
    below, above = _inside(element, "sub"), _inside(element, "sup")
    return (f"_{bracketed(below)}" if below else "") + (f"^{bracketed(above)}" if above else "")


def _root(element: etree._Element) -> str:
    degree = _inside(element, "deg")
    return (f"^{bracketed(degree)}" if degree else "") + f"√({_inside(element, 'e')})"


def _sum(element: etree._Element) -> str:
    return f"{_setting(element, 'chr', '∫')}{_scripts(element)} {_inside(element, 'e')}"


def _delimited(element: etree._Element) -> str:
    parts = _setting(element, "sepChr", "|").join(linear(part).strip() for part in element.findall(f"{M}e"))
    return f"{_setting(element, 'begChr', '(')}{parts}{_setting(element, 'endChr', ')')}"


def _function(element: etree._Element) -> str:
    name, argument = _inside(element, "fName"), _inside(element, "e")
    return f"{name}{'' if argument.startswith('(') else ' '}{argument}"


def _accent(element: etree._Element) -> str:
    return bracketed(_inside(element, "e")) + _setting(element, "chr", "\u0302")


def _bar(element: etree._Element) -> str:
    inside = _inside(element, "e")
    sign = "\u0304" if _setting(element, "pos", "bot") == "top" else "\u0331"
    return inside + sign if len(inside) == 1 else f"({inside}){sign}"


def _matrix(element: etree._Element) -> str:
    rows = (", ".join(linear(cell).strip() for cell in row.findall(f"{M}e")) for row in element.findall(f"{M}mr"))
    return "; ".join(rows)


def _lines(element: etree._Element) -> str:
    # "&" marks where the lines of the array are aligned.
    return "; ".join(linear(line).replace("&", "").strip() for line in element.findall(f"{M}e"))


def _phantom(element: etree._Element) -> str:
    shown = element.find(f"{M}phantPr/{M}show")
    return "" if shown is not None and shown.get(f"{M}val", "1") in ("0", "off", "false") else _inside(element, "e")


_STRUCTURES: dict[str, Callable[[etree._Element], str]] = {
    "f": _fraction,
    "sSup": lambda element: bracketed(_inside(element, "e")) + _scripts(element),
    "sSub": lambda element: bracketed(_inside(element, "e")) + _scripts(element),
    "sSubSup": lambda element: bracketed(_inside(element, "e")) + _scripts(element),
    "sPre": lambda element: _scripts(element) + bracketed(_inside(element, "e")),
    "limLow": lambda element: f"{bracketed(_inside(element, 'e'))}_{bracketed(_inside(element, 'lim'))}",
    "limUpp": lambda element: f"{bracketed(_inside(element, 'e'))}^{bracketed(_inside(element, 'lim'))}",
    "rad": _root,
    "nary": _sum,
    "d": _delimited,
    "func": _function,
    "acc": _accent,
    "bar": _bar,
    "m": _matrix,
    "eqArr": _lines,
    "phant": _phantom,
}
