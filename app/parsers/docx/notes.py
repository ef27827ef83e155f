"""Number the footnotes and endnotes of a Word document as a person sees them: in the order of their references."""

from lxml import etree

from app.parsers.docx import number_formats
from app.parsers.docx.package import W, integer, is_on, value

FOOTNOTE, ENDNOTE = "footnote", "endnote"
#: The form that numbers have where the document names none.
_USUAL = {FOOTNOTE: "decimal", ENDNOTE: "lowerRoman"}


class NoteMarks:
    """Marks by the references met so far; a document without settings numbers its notes as Word does."""

    def __init__(self, settings: etree._Element | None, document: etree._Element) -> None:
        sections = [*document.iter(f"{W}sectPr")][-1:]
        places = [place for place in (settings, *sections) if place is not None]
        self._forms = dict(_USUAL)
        self._last = {}
        for kind in _USUAL:
            for place in places:
                self._forms[kind] = value(place, f"{kind}Pr/numFmt") or self._forms[kind]
            starts = [integer(value(place, f"{kind}Pr/numStart"), 1) for place in places]
            self._last[kind] = max([1, *starts]) - 1
        if self._forms[FOOTNOTE] == self._forms[ENDNOTE]:
            self._forms[ENDNOTE] = _USUAL[FOOTNOTE if self._forms[FOOTNOTE] == _USUAL[ENDNOTE] else ENDNOTE]
        self._marks: dict[str, dict[str, str]] = {kind: {} for kind in _USUAL}

    def mark(self, reference: etree._Element) -> str:
        """Return what stands in the text; a sign that its author chose stands there already."""
        kind = etree.QName(reference).localname.removesuffix("Reference")
        marks, note = self._marks[kind], reference.get(f"{W}id", "")
        if note not in marks:
            if reference.get(f"{W}customMarkFollows") is not None and is_on(reference, f"{W}customMarkFollows"):
                marks[note] = ""
            else:
                self._last[kind] += 1
                marks[note] = f"[{number_formats.write(self._last[kind], self._forms[kind])}]"
        return marks[note]

    def of(self, kind: str) -> dict[str, str]:
        """Return the marks of a kind of notes by the notes' identifiers, in the order of their references."""
        return self._marks[kind]
