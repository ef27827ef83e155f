"""Keep track of the fields of a Word paragraph: instructions to the program, and the results that a person sees."""

from dataclasses import dataclass, field

from lxml import etree

from app.parsers.docx.package import W, integer, is_on, value
from app.parsers.docx.symbols import EMPTY, TICKED

_PAGE_NUMBERS = frozenset(("PAGE", "NUMPAGES", "SECTIONPAGES"))
_LONGEST_NAME = 100


@dataclass
class _Field:
    instruction: str = ""
    hides: bool = True
    """What comes next is no result, or one that is written otherwise."""
    answered: bool = False


@dataclass
class Fields:
    """The fields that are open at a point of a paragraph, the outermost first."""

    without_page_numbers: bool
    _open: list[_Field] = field(default_factory=list)
    _hiding: int = 0

    def hide(self) -> bool:
        """Tell whether the text at this point is not to be seen."""
        return self._hiding > 0

    def instruct(self, text: str) -> None:
        if self._open and len(self._open[-1].instruction) < _LONGEST_NAME:
            self._open[-1].instruction += text

    def turn(self, mark: etree._Element) -> str:
        """Begin, divide or end a field; return the value of a form field that has no other text."""
        kind = mark.get(f"{W}fldCharType")
        if kind == "begin":
            answer = _form_value(mark.find(f"{W}ffData"))
            self._open.append(_Field(answered=answer is not None))
            self._hiding += 1
            return "" if answer is None or self._hiding > 1 else answer
        if kind == "separate" and self._open:
            current = self._open[-1]
            if current.hides and not current.answered and not self.drops(current.instruction):
                current.hides = False
                self._hiding -= 1
        elif kind == "end" and self._open:
            self._hiding -= self._open.pop().hides
        return ""

    def drops(self, instruction: str) -> bool:
        """Tell whether a field with this instruction has a result that is left out."""
        return self.without_page_numbers and instruction.strip().partition(" ")[0].upper() in _PAGE_NUMBERS


def _form_value(form: etree._Element | None) -> str | None:
    """Read what is chosen in a box or a list of an old form; a text field has its text after it."""
    if form is None:
        return None
    if (box := form.find(f"{W}checkBox")) is not None:
        state = box.find(f"{W}checked")
        return TICKED if is_on(state if state is not None else box.find(f"{W}default")) else EMPTY
    if (choices := form.find(f"{W}ddList")) is not None:
        entries = [entry.get(f"{W}val", "") for entry in choices.findall(f"{W}listEntry")]
        chosen = integer(value(choices, "result") or value(choices, "default"), 0)
        return entries[chosen] if 0 <= chosen < len(entries) else ""
    return None
