"""Presentations, OpenDocument texts, e-books and RTF."""

from __future__ import annotations

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from app.parsers import EncryptedDocument, NoTextInDocument, read
from tests.app.parsers.office_files import book_of, opendocument_of, saved


def test_slides_with_tables_charts_notes_and_hidden_ones() -> None:
    presentation = pptx.Presentation()
    first = presentation.slides.add_slide(presentation.slide_layouts[1])
    first.shapes.title.text = "Ferries"
    first.placeholders[1].text = "At seven\nAt nine"
    table = first.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(2)).table
    for at, text in enumerate(("Day", "Trips", "Mon", "6")):
        table.cell(at // 2, at % 2).text = text
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("Boats", (19.5, 21))
    first.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), data)
    first.notes_slide.notes_text_frame.text = "Speak slowly."
    hidden = presentation.slides.add_slide(presentation.slide_layouts[6])
    hidden.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "secret"
    hidden._element.set("show", "0")
    group = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    document = read(saved(presentation), "x.pptx")
    assert document.text == (
        "Ferries\n\nAt seven\nAt nine\n\nDay | Trips\nMon | 6\n\nCategory | Boats\nEast | 19.5\nWest | 21\n\n"
        "Speaker notes: Speak slowly.\n\nin a group"
    )
    assert [page.number for page in document.pages] == [1, 3]
    assert document.title == "Ferries"
    assert document.notes == ("Hidden slides were left out: 2.",)
    assert [(part.what, part.text) for part in document.left_out] == [("Hidden slides", "secret")]


def test_a_presentation_of_pictures() -> None:
    presentation = pptx.Presentation()
    presentation.slides.add_slide(presentation.slide_layouts[6])
    with pytest.raises(NoTextInDocument, match="OCR"):
        read(saved(presentation), "x.pptx")


STYLES = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" '
    'style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")" />'
    '</text:list-style><text:list-style style:name="B"><text:list-level-style-bullet text:level="1"/></text:list-style>'
)
ODT = """
<text:tracked-changes><text:changed-region><text:p>deleted</text:p></text:changed-region></text:tracked-changes>
<text:h text:outline-level="1">Ferry<text:s text:c="2"/>times</text:h>
<text:p>It leaves<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Not on Sundays.</text:p>
</text:note-body></text:note> at<text:tab/>seven.<text:line-break/>Really.</text:p>
<text:list text:style-name="L"><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>inner</text:p>
</text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>
<text:p>Between.</text:p>
<text:list text:style-name="L" text:continue-numbering="true"><text:list-item><text:p>three</text:p></text:list-item>
</text:list>
<text:list text:style-name="B"><text:list-item><text:p>dot</text:p></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell><text:p>b</text:p>
</table:table-cell></table:table-row></table:table>
<text:p><draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame></text:p>
"""


def test_an_opendocument_text() -> None:
    document = read(opendocument_of("odt", " ".join(ODT.split()), STYLES), "x.odt")
    assert document.text == (
        "Ferry  times\n\nIt leaves [1: Not on Sundays.] at\tseven.\nReally.\n\n"
        "1. one\n  a) inner\n2. two\n\nBetween.\n\n3. three\n\n- dot\n\na | b\n\nIn a box."
    )
    assert document.title == "Ferry times"
    assert document.notes == ("Tables were flattened: “ | ” stands between cells.",)


def test_opendocument_slides_are_pages() -> None:
    page = "<draw:page><draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame></draw:page>"
    document = read(opendocument_of("odp", page.format("One.") + page.format("two.")), "x.odp")
    assert (document.text, [page.number for page in document.pages]) == ("One.\n\ntwo.", [1, 2])


def test_an_opendocument_file_behind_a_password() -> None:
    manifest = {"META-INF/manifest.xml": "<manifest><encryption-data/></manifest>"}
    with pytest.raises(EncryptedDocument, match="needs a password"):
        read(opendocument_of("odt", "", more=manifest), "x.odt")


def test_a_book() -> None:
    chapters = [
        "<html><head><title/></head><body><h1>One</h1><p>First.</p></body></html>",
        "<p>Second &#8212; caf\u00e9.</p>",
    ]
    document = read(book_of(chapters, "The Ferry Book"), "x.epub")
    assert document.text == "One\n\nFirst.\n\nSecond — café."
    assert (document.title, document.media_type, document.pages) == ("The Ferry Book", "application/epub+zip", ())


def test_a_protected_book_is_refused() -> None:
    more = {"META-INF/encryption.xml": '<e><CipherReference URI="OPS/c0.xhtml"/></e>'}
    with pytest.raises(EncryptedDocument, match="protected"):
        read(book_of(["<p>x</p>"], more=more), "x.epub")


RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\info{\title F\'e4hren}}{\*\generator x;}"
    rb"\pard The ferry{\super 1}{\footnote Not on Sundays.} leaves.{\v hidden}\par "
    rb"Caf\'e9 \u8364?15 \u-10179?\u-8704?\par \trowd Day\cell Trips\cell\row Mon\cell 6\cell\row "
    rb"{\pict\pngblip " + b"89504e47" * 1000 + rb"}Last.}"
)


def test_rtf() -> None:
    document = read(RTF, "x.rtf")
    assert document.text == ("The ferry1\tNote: Not on Sundays. leaves.\nCafé €15 😀\nDay | Trips\nMon | 6\nLast.")
    assert (document.title, document.media_type) == ("Fähren", "application/rtf")
    assert read(RTF, "letter.doc").text == document.text
