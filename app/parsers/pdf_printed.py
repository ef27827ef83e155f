"""Read the lines that a page prints, each with its place, from what PDFium says of every letter."""

import ctypes
import math
import re

import pypdfium2
from pypdfium2 import raw

from app.parsers.pdf_joints import UNSPACED
from app.parsers.pdf_lines import Line, clean
from app.parsers.types import Limits

_HYPHENS = "\x02\u00ad\ufffe"  # PDFium's signs for a hyphen that divides a word, and the soft hyphen itself
_NO_BREAK = 0xA0
_FIXED_PITCH = 1  # a font descriptor's flag
_FIXED_NAMES = re.compile(r"cour|mono|consol|typewriter|cmtt|menlo|inconsolata", re.I)
#: Of a letter's size: nearer to each other, two equal letters are one, printed twice to look bold.
_OVERPRINT = 0.12
_CELL = 4.0  # points, of the grid in which printed letters are looked for
#: Of a letter's size, from the start of one letter to that of the next: further apart, cells of a table are.
_GAP = 2.5

#: Where each letter was printed, by letter and cell of the grid.
Printed = dict[tuple[str, int, int], list[tuple[float, float]]]


def page_lines(page: pypdfium2.PdfPage, limits: Limits) -> list[Line]:
    """Read the parts of lines in the order of the page's content, without letters that are printed over each other."""
    text_page = page.get_textpage()
    limits.check_characters(text_page.count_chars())
    parts: list[Line] = []
    printed: Printed = {}
    part = _Part(text_page)
    for index in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page.raw, index)
        if code in (10, 13):
            parts += part.ended()
            part = _Part(text_page)
        elif chr(code).isspace():
            part.space(index, breaks=code != _NO_BREAK)
        elif code >= 32 or chr(code) in _HYPHENS:
            letter = "\u00ad" if chr(code) in _HYPHENS else chr(code)
            if not part.takes(index, letter, printed):
                parts += part.ended()
                part = _Part(text_page)
                part.takes(index, letter, printed)
    return [*parts, *part.ended()]


def without_size(page: pypdfium2.PdfPage) -> bool:
    """Tell whether PDFium leaves much of a page's text out, as it does with letters that have no width."""
    count = flat = 0
    for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=4):
        left, _, right, _ = drawn.get_bounds()
        count += 1
        flat += right - left < 0.01
    return flat > count / 3


class _Part:
    """A part of a line that grows letter by letter."""

    def __init__(self, text_page: pypdfium2.PdfTextPage) -> None:
        self.page = text_page
        self.text: list[str] = []
        self.fixed = False
        self.left = self.base = self.angle = self.size = self.at = self.across = self.sine = 0.0
        self.cosine = 1.0
        self.word: int | None = None
        self.letters: list[int] = []
        self.typed = False
        self.x, self.y = ctypes.c_double(), ctypes.c_double()

    def space(self, index: int, breaks: bool) -> None:
        if self.text and self.text[-1] != " ":
            self.word = self.letters[-1] if self.word is None and breaks else self.word
            self.text.append(" ")
            self.typed = not raw.FPDFText_IsGenerated(self.page.raw, index)

    def takes(self, index: int, letter: str, printed: Printed) -> bool:
        """Add a letter, unless it was printed before; refuse it if a wide gap or another line begins with it."""
        if not self.text:
            self._begin(index)
        along, across = self._place(index)
        if self.text and (abs(along - self.at) > _GAP * self.size or abs(across - self.base) > 0.8 * self.size):
            return False
        of_one_glyph = (along, across) == (self.at, self.across) and self._of_one_glyph(index)
        if not of_one_glyph and self._printed(letter, along, across, printed):
            return True
        # A page that prints one letter without end in one place would make this a search without end.
        if len(places := printed.setdefault((letter, int(along // _CELL), int(across // _CELL)), [])) < 8:
            places.append((along, across))
        if not self.text:
            self.left, self.base = along, across
        elif self._spread(letter, along):
            self.text.pop()
        self.text.append(letter)
        self.letters.append(index)
        self.at, self.across = along, across
        return True

    def _of_one_glyph(self, index: int) -> bool:
        """Tell whether a letter is one of several that a single glyph stands for, as in a ligature."""
        if not self.letters or self.letters[-1] != index - 1:
            return False
        objects = (raw.FPDFText_GetTextObject(self.page.raw, i) for i in (index - 1, index))
        first, second = (ctypes.cast(drawn, ctypes.c_void_p).value for drawn in objects)
        return first == second

    def _printed(self, letter: str, along: float, across: float, printed: Printed) -> bool:
        """Tell whether the same letter was printed in the same place before."""
        near = min(_OVERPRINT * self.size, 2 * _CELL)
        for column in range(int((along - near) // _CELL), int((along + near) // _CELL) + 1):
            for row in range(int((across - near) // _CELL), int((across + near) // _CELL) + 1):
                for other in printed.get((letter, column, row), ()):
                    if abs(other[0] - along) < near and abs(other[1] - across) < near:
                        return True
        return False

    def _spread(self, letter: str, along: float) -> bool:
        """Tell whether the space before a letter is none, but wide setting of writing that has no spaces."""
        if len(self.text) < 2 or self.text[-1] != " " or not (UNSPACED.match(self.text[-2]) and UNSPACED.match(letter)):
            return False
        return not self.typed and abs(along - self.at) < 2 * self.size

    def ended(self) -> list[Line]:
        text = clean("".join(self.text))
        if not text:
            return []
        # Not of the first letter, which may be a raised sign or larger than the others.
        middle = self.letters[len(self.letters) // 2]
        base, size = self._place(middle)[1], self._height(middle)
        end = self.letters[-1]
        word = end if self.word is None else self.word
        if self.at < self.left:  # writing from right to left is seen in a mirror
            left, right, word_end = -self._edges(self.letters[0])[1], -self._edges(end)[0], -self._edges(word)[0]
        else:
            left, right, word_end = self.left, self._edges(end)[1], self._edges(word)[1]
        right = max(left, right)
        return [Line(text, left, right, base, size, min(word_end, right), self.fixed, self.angle)]

    def _begin(self, index: int) -> None:
        angle = -raw.FPDFText_GetCharAngle(self.page.raw, index)  # PDFium turns the other way
        self.angle = angle if math.isfinite(angle) else 0.0
        self.cosine, self.sine = math.cos(self.angle), math.sin(self.angle)
        self.size = self._height(index)
        name, flags = ctypes.create_string_buffer(100), ctypes.c_int()
        raw.FPDFText_GetFontInfo(self.page.raw, index, name, 100, flags)
        self.fixed = bool(flags.value & _FIXED_PITCH) or bool(_FIXED_NAMES.search(name.value.decode("latin-1")))

    def _place(self, index: int) -> tuple[float, float]:
        raw.FPDFText_GetCharOrigin(self.page.raw, index, self.x, self.y)
        return self._turned(self.x.value, self.y.value)

    def _edges(self, index: int) -> tuple[float, float]:
        first, second = (self._turned(*corner)[0] for corner in self._box(index))
        return min(first, second), max(first, second)

    def _height(self, index: int) -> float:
        low, high = (self._turned(*corner)[1] for corner in self._box(index))
        size = abs(high - low)
        return size if 0.1 < size < 1e6 else 10.0

    def _box(self, index: int) -> tuple[tuple[float, float], tuple[float, float]]:
        box = raw.FS_RECTF()
        raw.FPDFText_GetLooseCharBox(self.page.raw, index, box)
        return (box.left, box.bottom), (box.right, box.top)

    def _turned(self, x: float, y: float) -> tuple[float, float]:
        """Turn a place on the page into one along and across the line; places beyond all paper are at its corner."""
        if not (abs(x) < 1e7 and abs(y) < 1e7):
            return 0.0, 0.0
        return x * self.cosine + y * self.sine, y * self.cosine - x * self.sine
