"""Parse Word documents (docx): the text in reading order, with numbers, tables, text boxes, notes and comments."""

import io
import zipfile

from app.parsers.diagrams import diagram_text
from app.parsers.docx.margins import comments, headers_and_footers, notes
from app.parsers.docx.notes import NoteMarks
from app.parsers.docx.numbering import Numbering
from app.parsers.docx.package import Package, W
from app.parsers.docx.story import Story
from app.parsers.docx.styles import Styles
from app.parsers.errors import DamagedDocument, NoTextInDocument, UnsupportedDocument
from app.parsers.types import Draft, LeftOut, Limits


def read(data: bytes, limits: Limits) -> Draft:
    """Read the text by walking the XML, as a person sees it: deleted and hidden text left out.

    Raises:
        DocumentTooLarge: a zip bomb, by the sizes that the container declares (and that unpacking enforces).
        DamagedDocument, UnsupportedDocument, NoTextInDocument.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        limits.check_zip([(entry.compress_size, entry.file_size) for entry in container.infolist()])
    try:
        package = Package(data)
        unsupported = package.is_template_or_holds_macros()
        draft = None if unsupported else _draft(package)
    except MemoryError:
        raise
    # A broken package surfaces as anything from a missing part to a failed checksum.
    except Exception as error:
        raise DamagedDocument("The Word document is damaged; open it in Word, save it again and retry.") from error
    if unsupported:
        raise UnsupportedDocument("The Word file is a template or holds macros; save it as docx and retry.")
    if draft is None:
        raise NoTextInDocument(
            "The Word document holds no text, perhaps only pictures; run text recognition (OCR) and retry."
        )
    return draft


def _draft(package: Package) -> Draft | None:
    """Read all there is; None where the body and its notes hold no text."""
    document = package.part(package.main)
    if document is None:
        raise KeyError(package.main)
    styles = Styles(package.companion("styles"))
    numbering = Numbering(package.companion("numbering"), styles)
    marks = NoteMarks(package.companion("settings"), document)
    story = Story(styles, numbering, marks, _diagrams(package))
    body = "".join(story.text(part) for part in document.iterfind(f"{W}body"))
    noted = tuple(notes(package, story))
    if not body.strip() and not noted:
        return None
    headers, footers = headers_and_footers(package, document, styles, numbering, body)
    text = "\n\n".join((headers, body, *noted, *comments(package, story), footers))
    said = ["Tables were flattened: “ | ” stands between cells."] if story.has_table else []
    left_out: tuple[LeftOut, ...] = ()
    if hidden := story.hidden.strip():
        said.append("Hidden text was left out.")
        left_out = (LeftOut("Hidden text", hidden),)
    first_line = body.strip().partition("\n")[0]
    return Draft(
        pages=((0, text),), titles=(package.title(), story.heading, first_line), notes=tuple(said), left_out=left_out
    )


def _diagrams(package: Package) -> dict[str, str]:
    """Read the diagrams of the body by the identifiers of their relationships."""
    paths = package.related(package.main, "diagramData")
    parts = {path: package.part(path) for path in set(paths.values())}
    texts = {path: diagram_text(part) for path, part in parts.items() if part is not None}
    return {name: texts[path] for name, path in paths.items() if path in texts}
