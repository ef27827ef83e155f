import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from app.parsers import (
    DamagedDocument,
    DocumentTooLarge,
    EncryptedDocument,
    Limits,
    NoTextInDocument,
    UnsupportedDocument,
    read,
)


def test_paragraphs_headings_and_lists(build_docx):
    def fill(document):
        document.core_properties.title = "The Lamp Book"
        document.add_heading("Lamps", level=1)
        document.add_paragraph("Trim the wick.\tThen light it.")
        for item in ("oil", "matches"):
            document.add_paragraph(item, style="List Bullet")
        document.add_paragraph("Done.")

    document = read(build_docx(fill), "lamps.docx")
    assert document.title == "The Lamp Book"
    assert document.media_type.endswith("wordprocessingml.document")
    assert document.text == "Lamps\n\nTrim the wick.\tThen light it.\n\n- oil\n- matches\n\nDone."
    assert (document.pages, document.notes) == ((), ())


def test_tables_are_flattened_in_place(build_docx):
    def fill(document):
        document.add_paragraph("Before.")
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(
            [c for row in table.rows for c in row.cells], ["Year", "Boats", "1901", "12"], strict=True
        ):
            cell.text = text
        nested = table.cell(1, 1).add_table(rows=1, cols=2)
        nested.cell(0, 0).text, nested.cell(0, 1).text = "of which", "5 new"
        document.add_paragraph("After.")

    document = read(build_docx(fill), "table.docx")
    assert document.text == "Before.\n\nYear | Boats\n1901 | 12 of which | 5 new\n\nAfter."
    assert document.notes == ("Tables were flattened: “ | ” stands between cells.",)


def test_content_controls_and_tracked_changes(build_docx):
    body = f"""<w:sdt {nsdecls("w")}><w:sdtContent><w:p>
        <w:r><w:t xml:space="preserve">The fee is </w:t></w:r>
        <w:del w:id="1" w:author="a"><w:r><w:delText>40</w:delText></w:r></w:del>
        <w:ins w:id="2" w:author="a"><w:r><w:t>45</w:t></w:r></w:ins>
        <w:r><w:t xml:space="preserve"> crowns.</w:t></w:r></w:p></w:sdtContent></w:sdt>"""
    document = read(build_docx(lambda d: d.element.body.insert(0, parse_xml(body))), "fee.docx")
    assert document.text == "The fee is 45 crowns."


def test_title_falls_back_to_a_heading(build_docx):
    def fill(document):
        document.add_paragraph("Confidential")
        document.add_heading("Tides", level=1)

    assert read(build_docx(fill), "x.docx").title == "Tides"


def test_pictures_only(build_docx):
    with pytest.raises(NoTextInDocument, match="OCR"):
        read(build_docx(lambda document: None), "empty.docx")


def test_cut_off(build_docx):
    data = build_docx(lambda document: document.add_paragraph("Text."))
    with pytest.raises(DamagedDocument, match="cut off or broken"):
        read(data[: len(data) // 2], "cut.docx")


def test_broken_inside(build_zip):
    with pytest.raises(DamagedDocument, match="save it again"):
        read(build_zip({"word/document.xml": b"<not closed"}), "broken.docx")


def test_macros_are_refused(build_docx, build_zip):
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(build_docx(lambda d: d.add_paragraph("Text.")))) as container:
        entries = {name: container.read(name) for name in container.namelist()}
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    macros = b"application/vnd.ms-word.document.macroEnabled.main+xml"
    entries["[Content_Types].xml"] = entries["[Content_Types].xml"].replace(plain, macros)
    with pytest.raises(UnsupportedDocument, match="macros"):
        read(build_zip(entries), "macros.docx")


def test_zip_bombs_are_not_unpacked(build_zip):
    bomb = build_zip({"word/document.xml": b"<w:document/>", "word/media/a.bin": bytes(20_000_000)})
    assert len(bomb) < 100_000
    with pytest.raises(DocumentTooLarge, match="unpacks to 20 MB"):
        read(bomb, "bomb.docx")
    many = build_zip({"word/document.xml": b"", **{f"part{i}": b"" for i in range(20)}})
    with pytest.raises(DocumentTooLarge, match="21 parts"):
        read(many, "many.docx", Limits(zip_entries=20))


def test_entities_are_not_expanded(build_docx, build_zip):
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(build_docx(lambda d: d.add_paragraph("MARK")))) as container:
        entries = {name: container.read(name) for name in container.namelist()}
    declaration, _, rest = entries["word/document.xml"].partition(b"?>")
    entities = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b SYSTEM "file:///etc/hostname">]>'
    entries["word/document.xml"] = declaration + b"?>" + entities + rest.replace(b"MARK", b"MARK&amp;&a;&b;")
    assert read(build_zip(entries), "entities.docx").text == "MARK&"


def test_password_protected_office_file():
    container = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(600)
    with pytest.raises(EncryptedDocument, match="needs a password"):
        read(container, "locked.docx")
