"""What holds for every kind: content decides, names are harmless, limits and errors are clear."""

import gzip
import pickle
import random
import unicodedata

import pytest

from app import parsers
from app.parsers import DamagedDocument, DocumentTooLarge, Limits, ReadError, UnsupportedDocument, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.mark.parametrize("name", ["x.pdf", "x.docx", "x.html", "x.md", "x.txt", "x.py", "x"])
@pytest.mark.parametrize(
    "data",
    [PNG, gzip.compress(b"text", mtime=0), b"MZ" + bytes(100), random.Random(0).randbytes(4000), b"%!PS-Adobe-3.0 x"],
)
def test_a_renamed_binary_is_refused_under_every_name(data, name):
    with pytest.raises(UnsupportedDocument, match="whatever its name says; choose a PDF"):
        read(data, name)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("xl/workbook.bin", r"a binary workbook \(xlsb\): save it as xlsx"),
        ("Index/Document.iwa", "a Pages, Numbers or Keynote file"),
        ("content.xml", "an OpenDocument file of another kind"),
        ("a.txt", "a zip archive"),
    ],
)
def test_other_zip_containers_are_named(build_zip, entry, kind):
    with pytest.raises(UnsupportedDocument, match=f"The content is {kind}"):
        read(build_zip({entry: b"x"}), "report.docx")


def test_empty_zip_and_old_office(build_zip):
    with pytest.raises(UnsupportedDocument, match="zip archive"):
        read(build_zip({}), "x.docx")
    with pytest.raises(UnsupportedDocument, match="save it as docx"):
        read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000), "x.doc")
    with pytest.raises(DamagedDocument):
        read(b"PK\x03\x04" + bytes(100), "x.docx")


def test_content_decides_and_a_note_says_so(build_pdf, build_docx):
    note = "The file's name suggests another kind, but its content is {0}; it was read as {0}."
    pdf = read(build_pdf([["Printed."]]), "printed.txt")
    word = read(build_docx(lambda d: d.add_paragraph("Written.")), "written.pdf")
    page = read(b"<!doctype html><p>Log in", "report.pdf")
    text = read(b"plain words", "words.docx")
    assert [d.text for d in (pdf, word, page, text)] == ["Printed.", "Written.", "Log in", "plain words"]
    kinds = ("PDF", "Word", "HTML", "plain text")
    assert [d.notes for d in (pdf, word, page, text)] == [(note.format(kind),) for kind in kinds]


def test_the_name_chooses_among_kinds_of_text():
    source = b"<html><p>*one*</p></html>"
    assert read(source, "x.html").text == "*one*"
    assert read(source, "x.md").text == "*one*"
    assert read(source, "x.txt").text == source.decode()
    assert read(source, "x").text == "*one*"
    assert read(b"# one", "x.md").text == "one"
    assert read(b"# one", "x.py").text == "# one"


def test_text_that_speaks_of_pdf_is_text():
    assert read(b"A PDF file begins with %PDF-1.7 and so on.", "note.txt").media_type == "text/plain"


def test_titles_are_one_clean_line():
    title = read("\u202eevil\u0007\u200b <b>title</b>\n\nBody.".encode(), "x.txt").title
    assert title == "evil <b>title</b>"
    long = read(b"x\ny", "word " * 60 + ".txt").title
    assert len(long) <= 120
    assert long.endswith("word…")
    assert read(b"1\n2", "../../etc/passwd").title == "passwd"
    assert read(b"1\n2", "\u202e\n").title == "Untitled"


def test_size_limit_and_character_limit():
    with pytest.raises(DocumentTooLarge, match="split it into parts"):
        read(b"x" * 101, "x.txt", Limits(size=100))
    for name in ("x.txt", "x.md", "x.html"):
        with pytest.raises(DocumentTooLarge, match="50 characters"):
            read(b"word " * 20, name, Limits(characters=50))


def test_default_limits():
    assert (Limits().size, Limits().pages, Limits().characters) == (50_000_000, 2_000, 10_000_000)


def test_every_error_is_a_read_error_and_survives_pickling():
    errors = [getattr(parsers, name) for name in parsers.__all__ if isinstance(getattr(parsers, name), type)]
    errors = [error for error in errors if issubclass(error, ReadError)]
    assert len(errors) == 9
    for error in errors:
        copy = pickle.loads(pickle.dumps(error("A sentence.")))
        assert (type(copy), str(copy), issubclass(error, ValueError)) == (error, "A sentence.", True)


def test_promises_about_text_hold_for_arbitrary_bytes(build_pdf, build_docx):
    """Seeded mutations of every kind give a document that keeps its promises or a ReadError."""
    seeds = {
        "a.pdf": build_pdf([["One page of text."], ["Another page."]]),
        "a.docx": build_docx(lambda d: d.add_paragraph("Some words.")),
        "a.html": b"<h1>T</h1><table><tr><td>a<td>b</table><pre>x\n y</pre><p>caf\xc3\xa9",
        "a.md": b"# T\n\n- a\n  1. b\n\n> *c* `d` <i>e</i>\n\n|a|b|\n|-|-|\n|c|d|\n",
        "a.txt": "Cafe\u0301\r\n\u2028\x85\x0c words".encode(),
    }
    generator = random.Random(7)
    read_documents = 0
    for name, seed in seeds.items():
        for _ in range(40):
            data = bytearray(seed)
            for _ in range(generator.randint(1, 6)):
                position = generator.randrange(len(data))
                scrap = generator.choices(b"<>&*`|-#[]\n \x07\xe2\x00", k=generator.randint(1, 3))
                data[position : position + len(scrap)] = bytes(scrap)
            try:
                document = read(bytes(data), name)
            except ReadError:
                continue
            read_documents += 1
            text = document.text
            assert text.strip()
            assert unicodedata.is_normalized("NFC", text)
            assert "\n\n\n" not in text
            assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text)
            assert 0 < len(document.title) <= 120
            assert all(0 <= page.start < page.end <= len(text) for page in document.pages)
    assert read_documents > 50
