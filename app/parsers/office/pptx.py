"""Parse PowerPoint presentations (pptx): titles, text, tables, charts and notes of every slide, which is a page."""

import io
from collections.abc import Iterable, Iterator

import pptx
from lxml import etree
from pptx.presentation import Presentation
from pptx.shapes.base import BaseShape
from pptx.slide import Slide

from app.parsers.containers import damage_said, usual_office_file, xml_of
from app.parsers.diagrams import DATA_ID, RELATION_IDS, diagram_text
from app.parsers.errors import NoTextInDocument
from app.parsers.normalise import ranges
from app.parsers.office.pptx_paragraphs import lines
from app.parsers.types import Draft, LeftOut, Limits

_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"


def read(data: bytes, limits: Limits) -> Draft:
    """Read the slides in their order; hidden ones are left out.

    Raises DamagedDocument, DocumentTooLarge, NoTextInDocument.
    """
    with damage_said("PowerPoint"):
        presentation = pptx.Presentation(io.BytesIO(usual_office_file(data, limits)))
        slides = list(presentation.slides)
        limits.check_pages(len(slides))
        texts = {number: "\n\n".join(filter(None, _slide(slide))) for number, slide in enumerate(slides, 1)}
        hidden = [n for n, slide in enumerate(slides, 1) if slide._element.get("show") in ("0", "false")]
        titles = _titles(presentation, slides)
    shown = {number: text for number, text in texts.items() if number not in hidden} or texts
    if not any(map(str.strip, shown.values())):
        raise NoTextInDocument(
            "The presentation holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    left_out, notes = [], []
    if len(shown) < len(texts):
        left_out.append(LeftOut("Hidden slides", "\n\n".join(texts[number] for number in hidden)))
        notes.append(f"Hidden slides were left out: {ranges(hidden)}.")
    silent = [number for number, text in shown.items() if not text.strip()]
    if silent:
        notes.append(f"Slides without text (perhaps pictures): {ranges(silent)}.")
    return Draft(pages=tuple(shown.items()), titles=titles, notes=tuple(notes), left_out=tuple(left_out))


def _titles(presentation: Presentation, slides: list[Slide]) -> tuple[str, ...]:
    first = slides[0].shapes.title if slides else None
    return presentation.core_properties.title or "", first.text_frame.text if first is not None else ""


def _slide(slide: Slide) -> Iterator[str]:
    _choose_alternatives(slide._element)
    title = slide.shapes.title
    if title is not None:
        yield _paragraphs(title)
    for shape in _flat(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            yield _shape(shape) or _diagram(slide, shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        yield f"Speaker notes: {notes}" if notes else ""


def _flat(shapes: Iterable[BaseShape]) -> Iterator[BaseShape]:
    """Yield shapes without their groups, with a stack, for groups may be nested deeper than Python's own."""
    stack = list(shapes)[::-1]
    while stack:
        shape = stack.pop()
        if hasattr(shape, "shapes"):
            stack.extend(list(shape.shapes)[::-1])
        else:
            yield shape


def _shape(shape: BaseShape) -> str:
    if getattr(shape, "has_table", False):
        rows = ([" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows)  # type: ignore[attr-defined]
        return "\n".join(" | ".join(row) for row in rows)
    if getattr(shape, "has_chart", False):
        return _chart(shape.chart)  # type: ignore[attr-defined]
    return _paragraphs(shape) if shape.has_text_frame else ""


def _diagram(slide: Slide, shape: BaseShape) -> str:
    names = (ids.get(DATA_ID, "") for ids in shape._element.iter(RELATION_IDS))
    relations = (slide.part.rels[name] for name in names if name in slide.part.rels)
    return "\n".join(diagram_text(xml_of(r.target_part.blob)) for r in relations if not r.is_external)


def _choose_alternatives(slide: etree._Element) -> None:
    """Put what newer programs show (formulas among it) where the library looks for shapes."""
    for alternatives in list(slide.iter(_ALTERNATIVES)):
        parent = alternatives.getparent()
        for shape in alternatives[0] if len(alternatives) else ():
            parent.insert(parent.index(alternatives), shape)
        parent.remove(alternatives)


def _paragraphs(shape: BaseShape) -> str:
    paragraphs = shape.text_frame.paragraphs  # type: ignore[attr-defined]
    return "\n".join(lines(paragraph._p for paragraph in paragraphs))


def _chart(chart: object) -> str:
    """Lay out what a chart shows as a table, a row for each category."""
    titled = chart.has_title and chart.chart_title.has_text_frame  # type: ignore[attr-defined]
    rows = [chart.chart_title.text_frame.text] if titled else []  # type: ignore[attr-defined]
    try:
        rows += [row for plot in chart.plots for row in _plot(plot)]  # type: ignore[attr-defined]
    except (NotImplementedError, ValueError):  # kinds of charts that the library does not know
        for series in chart.part._element.iter("{*}ser"):  # type: ignore[attr-defined]
            rows.append(" | ".join(" ".join((value.text or "").split()) for value in series.iter("{*}v")))
    return "\n".join(filter(None, rows))


def _plot(plot: object) -> Iterator[str]:
    series = list(plot.series)  # type: ignore[attr-defined]
    yield " | ".join(["Category", *(entry.name for entry in series)])
    for at, category in enumerate(plot.categories):  # type: ignore[attr-defined]
        values = (entry.values[at] if at < len(entry.values) else None for entry in series)
        yield " | ".join([str(category), *("" if v is None else f"{v:.15g}" for v in values)])
