"""Read what stands around the text of a Word document: headers, footers, notes and comments."""

from collections.abc import Iterator

from lxml import etree

from app.parsers.docx.notes import ENDNOTE, FOOTNOTE, NoteMarks
from app.parsers.docx.numbering import Numbering
from app.parsers.docx.package import RELATION, Package, W, is_on
from app.parsers.docx.story import Story
from app.parsers.docx.styles import Styles
from app.parsers.margins import marginal_text


def headers_and_footers(
    package: Package, document: etree._Element, styles: Styles, numbering: Numbering, body: str
) -> tuple[str, str]:
    """Read the headers and the footers that say something, each line once; titles of chapters stand in the body."""
    said = {line.strip() for line in body.split("\n")}
    both: dict[str, list[str]] = {"header": [], "footer": []}
    settings = package.companion("settings")
    even = settings is not None and is_on(settings.find(f"{W}evenAndOddHeaders"))
    marks = NoteMarks(None, document)
    for kind, texts in both.items():
        names, met = package.related(package.main, kind), set()
        for reference in _shown(document, kind, even):
            name = names.get(reference.get(RELATION, ""), "")
            if name in met or (part := package.part(name)) is None:
                continue
            met.add(name)
            text = Story(styles, numbering, marks, without_page_numbers=True).text(part)
            texts.append(marginal_text(kind, text, said))
    header, footer = ("\n\n".join(filter(None, texts)) for texts in both.values())
    return header, footer


def notes(package: Package, story: Story) -> Iterator[str]:
    """Yield the footnotes and endnotes that the text refers to, each after its mark."""
    for kind in (FOOTNOTE, ENDNOTE):
        part = package.companion(f"{kind}s")
        by_id = {} if part is None else {note.get(f"{W}id"): note for note in part.iterfind(f"{W}{kind}")}
        for note, mark in story.marks.of(kind).items():
            if note in by_id and (text := " ".join(story.text(by_id[note]).split())):
                yield f"{mark} {text}".strip()


def comments(package: Package, story: Story) -> Iterator[str]:
    """Yield the comments, each with its author and what it is about."""
    part = package.companion("comments")
    for comment in () if part is None else part:
        text = " ".join(story.text(comment).split())
        author = " ".join(comment.get(f"{W}author", "").split())
        quote = story.quote(comment.get(f"{W}id", ""))
        about = (f" by {author}" if author else "") + (f" on “{quote}”" if quote else "")
        if text:
            yield f"[Comment{about}] {text}"


def _shown(document: etree._Element, kind: str, even: bool) -> Iterator[etree._Element]:
    """Yield the references to headers or footers that are in use, section by section."""
    for section in document.iter(f"{W}sectPr"):
        parent = section.getparent()
        if parent is not None and parent.tag == f"{W}sectPrChange":
            continue
        uses = {"default": True, "even": even, "first": is_on(section.find(f"{W}titlePg"))}
        for reference in section.findall(f"{W}{kind}Reference"):
            if uses.get(reference.get(f"{W}type", "default"), True):
                yield reference
