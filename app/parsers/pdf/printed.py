"""Read the lines that a page prints, each with its place, from what PDFium says of every letter."""

import ctypes
import math
import re

import pypdfium2
from pypdfium2 import raw

from app.parsers.pdf.letters import Letter, composed, written
from app.parsers.pdf.lines import Line, clean
from app.parsers.types import Limits

_HYPHENS = "\x02\u00ad\ufffe"  # PDFium's signs for a hyphen that divides a word, and the soft hyphen itself
_FIXED_PITCH = 1  # a font descriptor's flag
_FIXED_NAMES = re.compile(r"cour|mono|consol|typewriter|cmtt|menlo|inconsolata", re.I)
#: Of a letter's size: nearer to each other, two equal letters are one, printed twice to look bold.
_OVERPRINT = 0.12
_CELL = 4.0  # points, of the grid in which printed letters are looked for
#: Of a letter's size, from the start of one letter to that of the next: further apart, cells of a table are.
_GAP = 2.5

_GAPS = 20  # in a line: more are no gutters of columns

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
            part.space(index)
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
        self.fixed = False
        self.left = self.base = self.angle = self.size = self.at = self.across = self.sine = 0.0
        self.cosine = 1.0
        self.indexes: list[int] = []
        self.letters: list[Letter] = []
        self.spaced = False
        self.drawn: int | None = None
        self.font: object = None
        self.scale = 0.0
        self.widths: dict[str, float] = {}
        self.box = raw.FS_RECTF()
        self.x, self.y = ctypes.c_double(), ctypes.c_double()

    def space(self, index: int) -> None:
        self.spaced |= bool(self.letters) and raw.FPDFText_IsGenerated(self.page.raw, index) == 0

    def takes(self, index: int, letter: str, printed: Printed) -> bool:
        """Add a letter, unless it was printed before; refuse it if a wide gap or another line begins with it."""
        if not self.letters:
            self._begin(index)
        along, across = self._place(index)
        if self.letters and (abs(along - self.at) > _GAP * self.size or abs(across - self.base) > 0.8 * self.size):
            return False
        of_one_glyph = (along, across) == (self.at, self.across) and self._of_one_glyph(index)
        if not of_one_glyph and self._printed(letter, along, across, printed):
            return True
        # A page that prints one letter without end in one place would make this a search without end.
        if len(places := printed.setdefault((letter, int(along // _CELL), int(across // _CELL)), [])) < 8:
            places.append((along, across))
        if not self.letters:
            self.left, self.base = along, across
        self.letters.append(self._letter(index, letter, along, across, of_one_glyph))
        self.indexes.append(index)
        self.spaced = False
        self.at, self.across = along, across
        return True

    def _letter(self, index: int, letter: str, along: float, across: float, of_one_glyph: bool) -> Letter:
        left, right, size = self._measures(index)
        end = right
        drawn = ctypes.cast(raw.FPDFText_GetTextObject(self.page.raw, index), ctypes.c_void_p).value
        if drawn != self.drawn:
            self.drawn = drawn
            self._take_font(index)
        if not of_one_glyph and left <= along < right:
            left = along
            width = self._width(letter)
            end = min(right, along + width) if width > 0 else right
        # Of some fonts PDFium knows no more than how high a letter's ink is.
        size = self.scale if size < 0.4 * self.scale else size
        return Letter(letter, left, right, end, across, size, self.spaced)

    def _take_font(self, index: int) -> None:
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(self.page.raw, index, matrix)
        scale = math.hypot(matrix.a, matrix.b) * raw.FPDFText_GetFontSize(self.page.raw, index)
        self.scale = scale if 0.1 < scale < 1e6 else 0.0
        self.font = raw.FPDFTextObj_GetFont(raw.FPDFText_GetTextObject(self.page.raw, index))
        self.widths = {}

    def _width(self, letter: str) -> float:
        """Find how far a letter moves the place of the next one; nothing if that is not known."""
        if letter not in self.widths:
            width = ctypes.c_float()
            known = self.font and raw.FPDFFont_GetGlyphWidth(self.font, ord(letter), 1000.0, width)
            self.widths[letter] = width.value * self.scale / 1000 if known else 0.0
        return self.widths[letter]

    def _of_one_glyph(self, index: int) -> bool:
        """Tell whether a letter is one of several that a single glyph stands for, as in a ligature."""
        if not self.indexes or self.indexes[-1] != index - 1:
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

    def ended(self) -> list[Line]:
        letters = composed(self.letters)
        if not letters:
            return []
        raw_text, first_word, wide = written(letters)
        text = clean(raw_text)
        if not text:
            return []
        # Not of the first letter, which may be a raised sign or larger than the others.
        middle = letters[len(letters) // 2]
        first, word, last = letters[0], letters[first_word - 1], letters[-1]
        gaps: tuple[tuple[int, float, float], ...] = ()
        if self.at < self.left:  # writing from right to left is seen in a mirror
            left, right, word_end = -first.right, -last.left, -word.left
        else:
            left, right, word_end = self.left, last.right, word.right
            if len(wide) <= _GAPS:
                gaps = tuple((len(clean(raw_text[:at])), start, end) for at, start, end in wide)
        right = max(left, right)
        return [Line(text, left, right, middle.base, middle.size, min(word_end, right), self.fixed, self.angle, gaps)]

    def _begin(self, index: int) -> None:
        angle = -raw.FPDFText_GetCharAngle(self.page.raw, index)  # PDFium turns the other way
        self.angle = angle if math.isfinite(angle) else 0.0
        self.cosine, self.sine = math.cos(self.angle), math.sin(self.angle)
        self.size = self._measures(index)[2]
        name, flags = ctypes.create_string_buffer(100), ctypes.c_int()
        raw.FPDFText_GetFontInfo(self.page.raw, index, name, 100, flags)
        self.fixed = bool(flags.value & _FIXED_PITCH) or bool(_FIXED_NAMES.search(name.value.decode("latin-1")))

    def _place(self, index: int) -> tuple[float, float]:
        raw.FPDFText_GetCharOrigin(self.page.raw, index, self.x, self.y)
        return self._turned(self.x.value, self.y.value)

    def _measures(self, index: int) -> tuple[float, float, float]:
        """Find the edges of a letter along the line, and its size."""
        box = self.box
        raw.FPDFText_GetLooseCharBox(self.page.raw, index, box)
        left, low = self._turned(box.left, box.bottom)
        right, high = self._turned(box.right, box.top)
        size = abs(high - low)
        return min(left, right), max(left, right), size if 0.1 < size < 1e6 else 10.0

    def _turned(self, x: float, y: float) -> tuple[float, float]:
        """Turn a place on the page into one along and across the line; places beyond all paper are at its corner."""
        if not (abs(x) < 1e7 and abs(y) < 1e7):
            return 0.0, 0.0
        return x * self.cosine + y * self.sine, y * self.cosine - x * self.sine
