"""Recognise the pages of a PDF that are pictures: scans, text drawn as outlines, fonts that map to nonsense."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pypdfium2
from pypdfium2 import raw

from app.parsers.normalise import ranges
from app.parsers.pdf import ocr
from app.parsers.pdf.document import Document
from app.parsers.pdf.garbled import is_garbled
from app.parsers.pdf.lines import Line
from app.parsers.pdf.ocr import Recognised
from app.parsers.progress import tell

if TYPE_CHECKING:
    from PIL import Image

_DPI = 300
_PIXELS = 25_000_000  # of a picture: an A3 page at 300 dpi has 17
_SIDE = 12_000
#: In percent: below, what was recognised is noise of photographs and drawings.
_LEAST_SURE = 40
#: A stamp of the program that scanned has fewer letters.
_STAMP = 100


class Scans:
    """Pictures of text in one PDF: which pages were recognised, and what to tell the user of them."""

    def __init__(self, document: Document, deadline: float) -> None:
        self._document = document
        self._deadline = deadline
        self._languages = ""
        self._asked = False
        self._pictured = False
        self._sure: dict[int, float] = {}
        self.late: list[int] = []

    def recognise(self, pages: Mapping[int, Sequence[Line]]) -> dict[int, list[Line]]:
        """Recognise those of the pages that are pictures, as long as there is time."""
        waiting = [number for number, lines in pages.items() if self._is_picture(number, lines)]
        if not waiting:
            return {}
        self._asked, self._languages = True, ocr.languages()
        if not self._languages:
            return {}
        read: dict[int, list[Line]] = {}
        tell(f"recognising the pictures of {len(waiting)} pages")
        for done, (number, recognised) in enumerate(self._results(waiting), 1):
            tell(f"{done} of {len(waiting)} pages recognised")
            if recognised is None:
                self.late.append(number)
            elif recognised.lines and recognised.confidence >= _LEAST_SURE:
                self._sure[number] = recognised.confidence
                read[number] = list(recognised.lines)
        return read

    def why_no_text(self) -> str:
        if self._asked and self._languages:
            return (
                "Text recognition (OCR) makes out no text in the PDF's pictures; scan it again, upright and with "
                "300 dpi, and retry."
            )
        return (
            "The PDF holds pictures of pages but no text; install Tesseract on this machine for text recognition (OCR) "
            "or run OCR on the file, and retry."
        )

    def notes(self) -> Iterator[str]:
        if self._sure:
            verb = "was" if len(self._sure) == 1 else "were"
            least = min(self._sure, key=lambda number: self._sure[number])
            mean = sum(self._sure.values()) / len(self._sure)
            weakest = f", {self._sure[least]:.0f}% on page {least}" if self._sure[least] < mean - 5 else ""
            yield (
                f"{page_numbers(list(self._sure))} {verb} recognised from pictures (OCR) with {mean:.0f}% "
                f"confidence{weakest}; check names and numbers."
            )
        if self.late:
            verb = "is a picture that was" if len(self.late) == 1 else "are pictures that were"
            yield f"{page_numbers(self.late)} {verb} not recognised, for the time was up; split the PDF into parts."
        if self._pictured and not self._languages:
            yield "Pictures of text can be read (OCR) once Tesseract is installed on this machine."

    def _is_picture(self, number: int, lines: Sequence[Line]) -> bool:
        """Tell whether the page shows text that is not in its lines, or in none that make sense."""
        text = "\n".join(line.text for line in lines)
        if is_garbled(text, self._document.is_unmapped(number)):
            return True
        if len(text) >= _STAMP:
            return False
        try:
            page = self._document.page(number)
            covered = _covered(page) if page else 0.0
        except pypdfium2.PdfiumError:
            return False
        self._pictured |= covered > 0.5
        return not text or covered > 0.5

    def _results(self, numbers: Sequence[int]) -> Iterator[tuple[int, Recognised | None]]:
        """Draw pages, one after the other as PDFium needs it, and recognise some at once; nothing for late ones."""
        workers = min(4, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(numbers), workers):
                batch = numbers[start : start + workers]
                if time.monotonic() > self._deadline:
                    yield from ((number, None) for number in batch)
                    continue
                drawn = [self._drawn(number) for number in batch]
                seconds = self._deadline - time.monotonic()
                waiting = [
                    pool.submit(ocr.recognise, picture, self._languages, seconds) for picture in drawn if picture
                ]
                results = iter(waiting)
                for number, picture in zip(batch, drawn, strict=True):
                    yield number, next(results).result() if picture else Recognised((), 0)

    def _drawn(self, number: int) -> Image.Image | None:
        """Draw a page for recognition; nothing if it cannot be drawn or is of one colour."""
        try:
            page = self._document.page(number)
            width, height = page.get_size() if page else (0, 0)
            if page is None or not (0 < width < 1e6 and 0 < height < 1e6):
                return None
            scale = min(_DPI / 72, (_PIXELS / (width * height)) ** 0.5, _SIDE / width, _SIDE / height)
            picture = page.render(scale=scale, grayscale=True).to_pil()
        except (pypdfium2.PdfiumError, ValueError):
            return None
        low, high = picture.getextrema()
        picture.info["dpi"] = (72 * scale,)
        return picture if low != high else None


def page_numbers(numbers: Sequence[int]) -> str:
    """Write “Page 3” or “Pages 2, 5 to 7”."""
    return f"{'Page' if len(numbers) == 1 else 'Pages'} {ranges(numbers, ' to ')}"


def _covered(page: pypdfium2.PdfPage) -> float:
    """Measure the share of the page that its largest picture covers."""
    width, height = page.get_size()
    areas = [0.0]
    for drawn in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=4):
        left, bottom, right, top = drawn.get_bounds()
        areas.append(max(min(right, width) - max(left, 0), 0) * max(min(top, height) - max(bottom, 0), 0))
    return max(areas) / (width * height) if width * height > 0 else 0.0
