"""Read a run of text of a Word document (its body, a note, a header): paragraphs, lists, tables, text boxes."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from lxml import etree

from app.parsers.diagrams import DATA_ID, RELATION_IDS
from app.parsers.docx.drawings import DRAWINGS, drawing_text
from app.parsers.docx.fields import Fields
from app.parsers.docx.math import linear
from app.parsers.docx.notes import NoteMarks
from app.parsers.docx.numbering import Numbering
from app.parsers.docx.package import MC, W14, M, W, is_on
from app.parsers.docx.styles import Look, Styles
from app.parsers.docx.symbols import EMPTY, TICKED, from_font, symbol
from app.parsers.docx.tables import Cells, aligned, column_after, first_column, is_deleted, within
from app.parsers.scripts import lowered, raised

_PARAGRAPH, _TABLE, _ROW, _CELL = f"{W}p", f"{W}tbl", f"{W}tr", f"{W}tc"
# Properties hold no text; deleted and moved-away text is not part of the document.
_SKIPPED = {f"{W}{name}" for name in ("pPr", "rPr", "tblPr", "tcPr", "trPr", "sectPr", "sdtPr", "del", "moveFrom")}
_CHARACTERS = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_NOTE_MARKS = {f"{W}footnoteReference", f"{W}endnoteReference"}
_RUBY = {f"{W}rubyBase": "ruby", f"{W}rt": "reading"}
_LONGEST_QUOTE = 80
_LONGEST_REPEATED = 100


class _Piece(NamedTuple):
    text: str
    place: str = ""
    """"superscript", "subscript", "ruby" or its "reading", or "" for the line."""


class _Around(NamedTuple):
    """What the text at a point of a paragraph takes on."""

    style: str
    fields: Fields
    look: Look = Look()
    place: str = ""


class Story:
    """The reader of one run of text; what it meets on the way, it keeps."""

    def __init__(
        self,
        styles: Styles,
        numbering: Numbering,
        marks: NoteMarks,
        diagrams: Mapping[str, str] | None = None,
        without_page_numbers: bool = False,
    ) -> None:
        self._styles = styles
        self._numbering = numbering
        self.marks = marks
        self._diagrams = diagrams or {}
        self._without_page_numbers = without_page_numbers
        self._cells = 0
        self._hidden: list[str] = []
        self._commented: dict[str, int] = {}
        self._quotes: defaultdict[str, list[str]] = defaultdict(list)
        self.heading = ""
        self.has_table = False

    @property
    def hidden(self) -> str:
        """The hidden text that was met so far, a paragraph a line."""
        return "".join(self._hidden)

    def quote(self, comment: str) -> str:
        """Return the beginning of what a comment is about."""
        quote = " ".join("".join(self._quotes.get(comment, [])).split())
        return quote if len(quote) <= _LONGEST_QUOTE else quote[: _LONGEST_QUOTE - 1].rstrip() + "…"

    def text(self, parent: etree._Element) -> str:
        """Read the paragraphs and tables below `parent`, each with the newlines that end it."""
        return "".join(self._blocks(parent))

    def _blocks(self, parent: etree._Element) -> Iterator[str]:
        unended: list[str] = []
        for element in map(_in_force, parent):
            if element.tag == _PARAGRAPH:
                unended.append(self._paragraph(element))
                if not _end_is_deleted(element):
                    yield self._line(element, "".join(unended))
                    unended.clear()
            elif element.tag == _TABLE:
                yield from self._table(element)
            elif element.tag in (f"{W}commentRangeStart", f"{W}commentRangeEnd"):
                self._mark_comment(element)
            elif element.tag not in _SKIPPED:
                yield from self._blocks(element)
        yield f"\n{''.join(unended)}\n\n"

    def _line(self, paragraph: etree._Element, text: str) -> str:
        """Put a paragraph's number before its text; one that is hidden as a whole is not counted."""
        style = self._styles.of_paragraph(paragraph)
        is_heading = re.match(r"title|heading \d", self._styles.name(style)) is not None
        if not text.strip() and self._styles.hides(paragraph.find(f"{W}pPr/{W}rPr"), style):
            return ""
        label = self._numbering.label(paragraph)
        if is_heading:
            self.heading = self.heading or text.strip()
        if not label or not (text.strip() or self._cells):
            return f"\n{text}\n\n"
        return f"\n{label} {text.lstrip()}\n\n" if is_heading else f"{label} {text.lstrip()}\n"

    def _paragraph(self, paragraph: etree._Element) -> str:
        already = len(self._hidden)
        around = _Around(self._styles.of_paragraph(paragraph), Fields(self._without_page_numbers))
        text = _joined(self._pieces(paragraph, around))
        if len(self._hidden) > already:
            self._hidden.append("\n")
        self._quote(" ")
        return text

    def _pieces(self, parent: etree._Element, around: _Around) -> Iterator[_Piece]:
        for element in map(_in_force, parent):
            tag = element.tag
            if tag in _SKIPPED or (tag == f"{W}fldSimple" and around.fields.drops(element.get(f"{W}instr", ""))):
                continue
            if tag == f"{W}r":
                yield from self._pieces(element, around._replace(look=self._styles.look(element, around.style)))
            elif tag == f"{W}instrText":
                around.fields.instruct(element.text or "")
            elif tag in (f"{W}commentRangeStart", f"{W}commentRangeEnd"):
                self._mark_comment(element)
            elif (text := self._text(element, around)) is None:
                yield from self._pieces(element, around._replace(place=_RUBY.get(tag, around.place)))
            elif around.look.hidden:
                self._hidden.append(text)
            elif tag == f"{W}fldChar" or not around.fields.hide():
                self._quote(text)
                is_raisable = tag in (f"{W}t", f"{W}sym")
                yield _Piece(text, around.place or (around.look.position or "" if is_raisable else ""))

    def _text(self, element: etree._Element, around: _Around) -> str | None:
        """Read an element that is text by itself; None is to look inside."""
        tag = element.tag
        if tag == f"{W}t":
            return from_font(element.text or "", around.look.font)
        if tag in _CHARACTERS:
            return _CHARACTERS[tag]
        if tag == f"{W}sym":
            return symbol(element.get(f"{W}font", ""), element.get(f"{W}char", ""))
        if tag == f"{W}fldChar":
            return around.fields.turn(element)
        if tag in _NOTE_MARKS:
            return "" if around.look.hidden else self.marks.mark(element)
        if tag == RELATION_IDS and (diagram := self._diagrams.get(element.get(DATA_ID, ""))):
            return f"\n\n{diagram}\n\n"
        if tag in DRAWINGS:
            return drawing_text(element)
        if tag == f"{M}oMath":
            return linear(element)
        if tag == f"{W}txbxContent":
            return f"\n\n{self.text(element).strip()}\n\n"
        if tag == f"{W}sdt" and (box := element.find(f"{W}sdtPr/{W14}checkbox")) is not None:
            return TICKED if is_on(box.find(f"{W14}checked"), f"{W14}val") else EMPTY
        return None

    def _table(self, table: etree._Element) -> Iterator[str]:
        rows = [row for row in within(table, _ROW, _TABLE) if not is_deleted(row)]
        cells = [list(within(row, _CELL, _TABLE)) for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:  # a frame, not a table
            yield from self._blocks(cells[0][0])
            return
        self.has_table = True
        above: Cells = {}
        texts = [self._row(first_column(row), its, above) for row, its in zip(rows, cells, strict=True)]
        yield "\n"
        yield from (line + "\n" for line in aligned(texts))
        yield "\n"

    def _row(self, column: int, cells: list[etree._Element], above: Cells) -> Cells:
        """Read a row's cells by their columns; `above` has the text of cells that reach down to the next row."""
        texts: Cells = {}
        self._cells += 1
        for cell in cells:
            text = " ".join(self.text(cell).split())
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            if merge is not None and merge.get(f"{W}val") != "restart":
                text = text or above.get(column, "")
            else:
                # A word over several rows belongs to each; a whole text would only come again and again.
                above[column] = text if merge is not None and len(text) <= _LONGEST_REPEATED else ""
            texts[column] = text
            column = column_after(cell, column)
        self._cells -= 1
        return texts

    def _mark_comment(self, mark: etree._Element) -> None:
        comment = mark.get(f"{W}id", "")
        if mark.tag == f"{W}commentRangeEnd":
            self._commented.pop(comment, None)
        else:
            self._commented[comment] = 0

    def _quote(self, text: str) -> None:
        for comment in list(self._commented) if text else ():
            self._quotes[comment].append(text[: _LONGEST_QUOTE + 1])
            self._commented[comment] += len(text)
            if self._commented[comment] > _LONGEST_QUOTE:
                del self._commented[comment]


def _in_force(element: etree._Element) -> etree._Element:
    """Choose among variants of one content; those for older programs repeat the first."""
    if element.tag != f"{MC}AlternateContent":
        return element
    choice = element.find(f"{MC}Choice")
    fallback = element.find(f"{MC}Fallback")
    return next((variant for variant in (choice, fallback) if variant is not None), element)


def _end_is_deleted(paragraph: etree._Element) -> bool:
    """Tell whether a tracked change joins the paragraph to the next."""
    return any(paragraph.find(f"{W}pPr/{W}rPr/{W}{change}") is not None for change in ("del", "moveFrom"))


def _joined(pieces: Iterator[_Piece]) -> str:
    """Join pieces of text; neighbours at the same height belong together, and so do those of ruby text."""
    groups = [
        (place, list(group))
        for place, group in groupby(pieces, lambda piece: "ruby" if piece.place == "reading" else piece.place)
    ]
    texts = ["".join(piece.text for piece in group if piece.place != "reading") for _, group in groups]
    written: list[str] = []
    for i, (place, group) in enumerate(groups):
        text, before = texts[i], texts[i - 1] if i else ""
        if place == "superscript":
            text = raised(text, before)
        elif place == "subscript":
            text = lowered(text, before, texts[i + 1] if i + 1 < len(texts) else "")
        elif place == "ruby":
            reading = "".join(piece.text for piece in group if piece.place == "reading")
            text += f"({reading})" if reading else ""
        written.append(text)
    return "".join(written)
