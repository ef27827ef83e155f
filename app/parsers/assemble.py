"""Make a `ReadDocument` of a parser's draft: pages joined, characters normalised, offsets counted."""

import re

from app.parsers.errors import EmptyDocument
from app.parsers.kinds import BY_SUFFIX, Kind, suffix
from app.parsers.normalise import characters, tidy, title
from app.parsers.types import Draft, LeftOut, Limits, Page, ReadDocument


def assemble(draft: Draft, kind: Kind, filename: str, limits: Limits) -> ReadDocument:
    """Join and normalise a draft.

    Raises `EmptyDocument` if no visible character is left, `DocumentTooLarge` if too many are.
    """
    parts: list[str] = []
    pages: list[Page] = []
    length = 0
    for number, raw in draft.pages:
        page = tidy(characters(raw))
        if not page.strip():
            continue
        if parts:
            kept, joint = _seam(parts[-1], page) if kind.runs_on else (parts[-1], "\n\n")
            length += len(kept) - len(parts[-1])
            pages[-1] = Page(pages[-1].number, pages[-1].start, length)
            parts[-1:] = [kept, joint]
            length += len(joint)
        parts.append(page)
        pages.append(Page(number, length, length + len(page)))
        length += len(page)
        limits.check_characters(length)
    if not parts:
        raise EmptyDocument("The document holds no visible text; choose one that does.")
    return ReadDocument(
        title=title(draft.titles, filename),
        text="".join(parts),
        media_type=kind.media_type,
        pages=tuple(page for page in pages if page.number),
        notes=(*_misnamed(kind, filename), *draft.notes),
        left_out=tuple(LeftOut(part.what, tidy(characters(part.text[: limits.characters]))) for part in draft.left_out),
    )


def _seam(before: str, after: str) -> tuple[str, str]:
    """Cut a dividing hyphen from the earlier page, and choose what joins it to the next: sentences run across."""
    if not after[0].islower():
        return before, "\n\n"
    if re.search(r"[^\W\d_]{2}-\Z", before):
        return before[:-1], ""
    return before, " " if re.search(r"[\w,;\u2013-]\Z", before) else "\n\n"


def _misnamed(kind: Kind, filename: str) -> tuple[str, ...]:
    claimed = BY_SUFFIX.get(suffix(filename))
    named = claimed.word if claimed else ""
    if not suffix(filename) or named == kind.word or not (kind.certain or (claimed and claimed.certain)):
        return ()
    return (f"The file's name suggests another kind, but its content is {kind.word}; it was read as {kind.word}.",)
