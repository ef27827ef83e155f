"""Write MathML in a line: its TeX where the page brings it along, else signs in their order."""

# Signs that look alike are meant here.
# ruff: noqa: RUF001
import re

from bs4 import Tag

_DEEPEST = 60
_DISPLAY = re.compile(r"\{\s*\\(?:display|text)style\s+(.*)\}", re.S)
_INVISIBLE = re.compile("[\u2061-\u2064]")
_INFIX = set("=≠<>≤≥≪≫≈≃≅≡∼∝+−-±∓×·÷∗∈∉⊂⊆∪∩∧∨→←↔⇒⇐⇔↦:∣|")
_SKIPPED = {"annotation", "annotation-xml", "mphantom", "maligngroup", "malignmark"}
_SCRIPTS = {"msub": "_", "munder": "_", "msup": "^", "mover": "^"}


def math_text(math: Tag) -> str:
    """Return a formula as text on a line."""
    tex = math.find("annotation", encoding=re.compile("tex", re.I))
    if isinstance(tex, Tag) and tex.get_text().strip():
        source = " ".join(tex.get_text().split())
        display = _DISPLAY.fullmatch(source)
        return display.group(1).strip() if display else source
    return " ".join(_linear(math, 0).split())


def _linear(tag: Tag, depth: int) -> str:
    children = [child for child in tag.children if isinstance(child, Tag)]
    if not children or depth > _DEEPEST:
        return " " if tag.name == "mspace" else _INVISIBLE.sub("", " ".join(tag.get_text(" ").split()))
    name = tag.name
    parts = [_linear(child, depth + 1) for child in children if child.name not in _SKIPPED]
    if name == "semantics":
        return parts[0] if parts else ""
    if name == "mfrac" and len(parts) == 2:
        return f"{_grouped(parts[0])}/{_grouped(parts[1])}"
    if name in _SCRIPTS and len(parts) == 2:
        return f"{parts[0]}{_SCRIPTS[name]}{_grouped(parts[1])}"
    if name in ("msubsup", "munderover") and len(parts) == 3:
        return f"{parts[0]}_{_grouped(parts[1])}^{_grouped(parts[2])}"
    if name == "mroot" and len(parts) == 2:
        return f"root({parts[1]}, {parts[0]})"
    if name == "mtable":
        return f"[{'; '.join(parts)}]"
    if name in ("mtr", "mlabeledtr"):
        return ", ".join(parts)
    if name == "mfenced":
        separator = (str(tag.get("separators", ",")).strip() or " ")[0]
        return f"{tag.get('open', '(')}{f'{separator} '.join(parts)}{tag.get('close', ')')}"
    row = _row(children, parts)
    return f"√({row})" if name == "msqrt" else row


def _row(children: list[Tag], parts: list[str]) -> str:
    """Join the parts of a row: infix operators between blanks, words apart, single letters together."""
    shown = [child for child in children if child.name not in _SKIPPED]
    text = ""
    for child, part in zip(shown, parts, strict=True):
        if child.name == "mo" and part in _INFIX and text.strip() and text[-1] not in "([{ " and len(shown) > 1:
            text += f" {part} "
        else:
            text += f" {part}" if _is_apart(text, part, child) else part
    return text


def _is_apart(text: str, part: str, child: Tag) -> bool:
    """Tell whether a part would be glued to a word or a script before it."""
    if not (text and part and text[-1].isalnum() and part[0].isalnum()):
        return False
    is_word = child.name == "mtext" or (len(part) > 1 and part[:2].isalpha())
    return is_word or re.search(r"(?:[^\W\d_]|[_^]\w*)\w\Z|[_^]\w\Z", text[-20:]) is not None


def _grouped(text: str) -> str:
    text = text.strip()
    return text if re.fullmatch(r"[-−]?[\w.,′']*|\[.*\]", text) else f"({text})"
