"""What was filled in or noted on a PDF's pages is part of its text."""

from __future__ import annotations

from pathlib import Path

from app.parsers import read
from tests.app.parsers.hostile import FONT, pdf_of

CASES = Path(__file__).parent / "cases"


def annotated(lines: dict[int, str], *annotations: str) -> str:
    """Read a page with lines at these heights and with these annotations."""
    drawn = "".join(f"1 0 0 1 72 {y} Tm ({text}) Tj " for y, text in lines.items())
    references = " ".join(f"{100 + i} 0 R" for i in range(len(annotations)))
    objects = {100 + i: f"<< /Type /Annot {entries} >>".encode() for i, entries in enumerate(annotations)}
    data = pdf_of([f"BT /F1 11 Tf {drawn}ET".encode()], page=f"{FONT} /Annots [{references}]", objects=objects)
    return read(data, "x.pdf").text


def widget(value: str, rectangle: str, kind: str = "/Tx", more: str = "") -> str:
    return f"/Subtype /Widget /FT {kind} /T (internal_7) /V {value} /Rect [{rectangle}] {more}"


def test_values_stand_behind_their_labels() -> None:
    document = read((CASES / "filled-form.pdf").read_bytes(), "filled-form.pdf")
    assert document.text.split("\n") == [
        "Travel request form",
        "Name of traveller: Elena Markovic",
        "Destination: Porto, 14 to 17 May",
        "Paid in advance: Yes",
    ]


def test_two_fields_in_a_row() -> None:
    content = b"BT /F1 11 Tf 1 0 0 1 72 700 Tm (From:) Tj 1 0 0 1 300 700 Tm (To:) Tj ET"
    objects = {
        100: f"<< {widget('(Graz)', '110 695 250 712')} >>".encode(),
        101: f"<< {widget('(Porto)', '330 695 450 712')} >>".encode(),
    }
    data = pdf_of([content], page=FONT + " /Annots [100 0 R 101 0 R]", objects=objects)
    assert read(data, "x.pdf").text == "From: Graz To: Porto"


def test_a_caption_over_a_field() -> None:
    text = annotated({700: "Family name", 600: "Other"}, widget("(Markovic)", "72 675 300 697"))
    assert text == "Family name: Markovic\nOther"


def test_a_field_far_from_any_text_goes_by_its_name() -> None:
    text = annotated({700: "Form"}, widget("(Markovic)", "72 175 300 197", more="/TU (Family name)"))
    assert text == "Form\nFamily name: Markovic"


def test_boxes_that_are_ticked_and_not() -> None:
    box = "/Subtype /Widget /FT /Btn /T (b) /Rect [{0}] /AS /{1}"
    content = b"BT /F1 11 Tf 1 0 0 1 92 700 Tm (By train) Tj 1 0 0 1 92 680 Tm (By air) Tj ET"
    objects = {
        100: f"<< {box.format('76 698 88 710', 'On')} >>".encode(),
        101: f"<< {box.format('76 678 88 690', 'Off')} >>".encode(),
    }
    data = pdf_of([content], page=FONT + " /Annots [100 0 R 101 0 R]", objects=objects)
    assert read(data, "x.pdf").text == "[x] By train\n[ ] By air"


def test_choices_parents_and_secrets() -> None:
    text = annotated(
        {700: "Meals:", 660: "Code:"},
        "/Subtype /Widget /Parent << /FT /Ch /T (m) /V [(lunch) (dinner)] >> /Rect [120 695 300 712]",
        widget("(open sesame)", "120 655 300 672", more="/Ff 8192"),
    )
    assert text == "Meals: lunch, dinner\nCode:"


def test_notes_are_marked_as_notes() -> None:
    document = read((CASES / "sticky-note.pdf").read_bytes(), "sticky-note.pdf")
    assert document.text.split("\n") == [
        "Draft budget for the library",
        "Books: 12,000 euro",
        "[Note: Reduce the sum for books to 9,500 euro, says the board.]",
    ]


def test_authors_hidden_notes_and_what_is_typed_onto_the_page() -> None:
    text = annotated(
        {700: "Signed by:", 600: "End."},
        "/Subtype /Highlight /T (Mia Rossi) /Contents (Check this\nsum.) /Rect [72 600 90 612]",
        "/Subtype /Text /F 2 /Contents (Not for you.) /Rect [72 600 90 612]",
        "/Subtype /FreeText /Contents (Otto Lind) /Rect [140 695 250 712]",
        "/Subtype /FreeText /Contents (Received on 3 May) /Rect [300 95 450 112]",
    )
    assert text == "Signed by: Otto Lind\nEnd.\n[Note: Received on 3 May]\n[Note by Mia Rossi: Check this sum.]"


def test_every_note_is_a_line() -> None:
    text = annotated({700: "End."}, *(f"/Subtype /Text /Contents (Remark {i} of the board.)" for i in range(3)))
    assert text.split("\n") == ["End.", *(f"[Note: Remark {i} of the board.]" for i in range(3))]


def test_a_form_without_any_printed_text() -> None:
    data = pdf_of(
        [b"0 0 9 9 re f"], page=FONT + " /Annots [100 0 R]",
        objects={100: f"<< {widget('(Markovic)', '72 175 300 197', more='/TU (Family name)')} >>".encode()},
    )  # fmt: skip
    assert read(data, "x.pdf").text == "Family name: Markovic"
