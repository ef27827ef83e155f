"""Read what lies on top of a PDF's pages: values of form fields, and notes of those who commented on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pypdf import PageObject
from pypdf.generic import ArrayObject, DictionaryObject

from app.parsers.pdf.lines import Line, clean

#: Annotations that are marks or windows, not text of their own.
_SILENT = {"/Link", "/Popup", "/Widget", "/Movie", "/Screen", "/PrinterMark", "/TrapNet", "/Watermark"}
_HIDDEN = 2 | 32  # flags: hidden, no view
_PASSWORD, _PUSH_BUTTON = 1 << 13, 1 << 16
_MOST = 5_000  # on one page
_MOST_CHARACTERS = 1_000_000  # of them together
_MOST_COMPARED = 5_000_000  # pairs of fields and texts
_DEPTH = 20  # of fields in fields


@dataclass(frozen=True)
class Field:
    """The value of a form field at its place, with the name that the form gives it."""

    value: str
    name: str
    left: float
    bottom: float
    right: float
    top: float
    mark: bool = False
    """A box to tick: its label may stand on either side."""


def fields_and_notes(page: PageObject) -> tuple[list[Field], list[str]]:
    """Read the filled fields of a page, and its notes, each as one line that says it is a note."""
    fields: list[Field] = []
    notes: list[str] = []
    characters = 0
    for annotation in _annotations(page):
        if characters > _MOST_CHARACTERS:
            break
        try:
            read = _field_or_note(annotation)
        except MemoryError:
            raise
        except Exception:  # pypdf's documentation: broken files may cause any; a note must not cost the others
            continue
        if isinstance(read, Field):
            fields.append(read)
            characters += len(read.value) + len(read.name)
        elif read:
            notes.append(read)
            characters += len(read)
    return fields, notes


def _field_or_note(annotation: DictionaryObject) -> Field | str | None:
    kind = annotation.get("/Subtype")
    text = _line(annotation.get("/Contents"))
    if _number(annotation.get("/F")) & _HIDDEN:
        return None
    if kind == "/Widget":
        return _field(annotation)
    if not text or kind in _SILENT:
        return None
    if kind == "/FreeText":
        return Field(text, "", *_rectangle(annotation))
    author = _line(annotation.get("/T"))
    return f"[Note by {author}: {text}]" if author else f"[Note: {text}]"


def with_fields(parts: Sequence[Line], fields: Sequence[Field]) -> list[Line]:
    """Put the value of each field behind or under its label, or behind its name where no label is near.

    A text that somebody typed onto the page counts as a field without name; away from any label it is a note.
    """
    placed = list(parts)
    for field in fields[: _MOST_COMPARED // (len(parts) + 1)]:
        beside = _beside(placed, field)
        if beside is not None:
            label, before = beside
            line = placed[label]
            wide = max(field.right - field.left, 1.0)
            left = line.left - wide if before else max(field.left, line.right + 0.2 * line.size)
            value = _as_line(field, replace(line, left=left), left + wide - (0.3 * line.size if before else 0))
            placed.insert(label if before else label + 1, value)
        elif (above := _above(placed, field)) is not None:
            line = placed[above]
            colon = "" if line.text.endswith((":", "?")) else ":"
            placed[above] = replace(line, text=f"{line.text}{colon} {field.value}", right=field.right)
        else:
            text = f"{field.name}: {field.value}" if field.name else f"[Note: {field.value}]"
            under = min((line.base for line in placed), default=0.0) - 100
            placed.append(Line(text, 0, 5.0 * len(text), under, 10, 5.0))
    return placed


def _beside(parts: Sequence[Line], field: Field) -> tuple[int, bool] | None:
    """Find the nearest text in the same row: its place, and whether the field stands before it."""
    near: list[tuple[float, int, bool]] = []
    for i, line in enumerate(parts):
        if line.angle or not field.bottom - 0.5 * line.size <= line.base <= field.top:
            continue
        if line.right <= field.left + line.size:
            # Next to a box its own label stands on the right more often than the label before it ends on the left.
            near.append(((field.left - line.right) * (2 if field.mark and line.text[-1] not in ":?" else 1), i, False))
        elif field.mark and 0 <= line.left - field.right + 2 < 3 * line.size:
            near.append((line.left - field.right, i, True))
    if not near:
        return None
    distance, place, before = min(near)
    return None if distance > 400 else (place, before)


def _above(parts: Sequence[Line], field: Field) -> int | None:
    """Find the caption that stands over a field, or in its upper left corner."""
    captions = [
        (abs(line.base - field.top), i)
        for i, line in enumerate(parts)
        if not line.angle
        and abs(line.left - field.left) < 2 * line.size
        and -line.size < line.base - field.top < 1.5 * line.size
    ]
    return min(captions)[1] if captions and not field.mark else None


def _as_line(field: Field, beside: Line, right: float) -> Line:
    return Line(field.value, beside.left, right, beside.base, beside.size, right)


def _field(annotation: DictionaryObject) -> Field | None:
    kind, flags = _inherited(annotation, "/FT"), _number(_inherited(annotation, "/Ff"))
    name = _line(_inherited(annotation, "/TU")) or _line(_inherited(annotation, "/T"))
    if kind == "/Btn":
        if flags & _PUSH_BUTTON:
            return None
        state = str(annotation.get("/AS") or _inherited(annotation, "/V") or "/Off").lstrip("/")
        word = state if state.isalpha() and state.lower() not in ("on", "off", "x") and len(state) > 1 else "[x]"
        return Field("[ ]" if state == "Off" else word, name, *_rectangle(annotation), mark=True)
    value = _inherited(annotation, "/V")
    several = value[:_MOST] if isinstance(value, ArrayObject) else [value]
    text = ", ".join(line for item in several if (line := _line(item)))
    if kind not in ("/Tx", "/Ch") or (kind == "/Tx" and flags & _PASSWORD) or not text:
        return None
    return Field(text, name, *_rectangle(annotation))


def _annotations(page: PageObject) -> Iterator[DictionaryObject]:
    listed = page.get("/Annots")
    for item in listed[:_MOST] if isinstance(listed, ArrayObject) else ():
        annotation = item.get_object()
        if isinstance(annotation, DictionaryObject):
            yield annotation


def _inherited(annotation: DictionaryObject, key: str) -> object:
    field: object = annotation
    for _ in range(_DEPTH):
        if not isinstance(field, DictionaryObject):
            return None
        if (value := field.get(key)) is not None:
            return value
        field = field.get("/Parent")
    return None


def _rectangle(annotation: DictionaryObject) -> tuple[float, float, float, float]:
    corners = [float(number) for number in annotation.get("/Rect", ())][:4]
    if len(corners) < 4:
        return 0.0, 0.0, 0.0, 0.0
    return min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])


def _number(value: object) -> int:
    return int(value) if isinstance(value, int) else 0


def _line(value: object) -> str:
    """Write a text string on one line; what is none gives nothing."""
    return " ".join(clean(value[:_MOST_CHARACTERS]).split()) if isinstance(value, str) else ""
