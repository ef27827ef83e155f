"""Presentations, OpenDocument texts, e-books and RTF."""

from __future__ import annotations

import io
import zipfile

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Inches

from app.parsers import EncryptedDocument, NoTextInDocument, read
from tests.app.parsers.hostile import zip_of
from tests.app.parsers.office_files import ODF, book_of, diagram_of, flat_opendocument_of, opendocument_of, saved


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


def test_a_chart_of_a_kind_that_the_library_does_not_know() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("Boats", (19.5, 21))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, Inches(3), Inches(3), data)
    whole = zipfile.ZipFile(io.BytesIO(saved(presentation)))
    entries = {name: whole.read(name).replace(b"c:pieChart>", b"c:ofPieChart>") for name in whole.namelist()}
    assert read(zip_of(entries), "x.pptx").text == "Boats | East | West | 19.5 | 21"


def test_numbers_powers_and_levels_on_a_slide() -> None:
    def line(text: str, more: str = "", level: int = 0) -> str:
        return f'<a:p {nsdecls("a")}><a:pPr lvl="{level}">{more}</a:pPr>{text}</a:p>'

    def run(text: str, baseline: int = 0) -> str:
        return f'<a:r><a:rPr baseline="{baseline}"/><a:t>{text}</a:t></a:r>'

    def number(form: str, start: str = "") -> str:
        return f'<a:buAutoNum type="{form}" {start}/>'

    steps, letters = number("arabicPeriod", 'startAt="3"'), number("alphaLcParenR")
    presentation = pptx.Presentation()
    frame = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9).text_frame
    for text in (
        *(
            line(run("Take 10") + run("6", 30_000) + run(" m") + run("3", 30_000), steps),
            line(run("gates"), letters, 1),
        ),
        *(line(run("keys"), letters, 1), line("", steps), line(run("H") + run("2", -25_000) + run("O"), steps)),
        *(line(run("Then")), line(run("Again"), steps), line(run("IV"), number("circleNumDbPlain"))),
    ):
        frame._txBody.append(parse_xml(text))
    assert read(saved(presentation), "x.pptx").text == (
        "3. Take 10^6 m^3\n  a) gates\n  b) keys\n4. H2O\nThen\n3. Again\n1. IV"
    )


DIAGRAM_FRAME = (
    f'<p:graphicFrame {nsdecls("p", "a", "r")}><p:nvGraphicFramePr><p:cNvPr id="9" name="D"/><p:cNvGraphicFramePr/>'
    '<p:nvPr/></p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></p:xfrm><a:graphic>'
    '<a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/diagram"><dgm:relIds r:dm="{}" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"/></a:graphicData></a:graphic></p:graphicFrame>'
)


def test_a_diagram_is_read_where_it_stands_in_its_own_order() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    data = diagram_of(
        ["all", "Return", "Load", "Ropes"], [("all", "Load"), ("Load", "Ropes"), ("all", "Return"), ("Ropes", "Load")]
    )
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", presentation.part.package, data.encode())
    name = slide.part.relate_to(part, RT.DIAGRAM_DATA)
    slide.shapes._spTree.append(parse_xml(DIAGRAM_FRAME.replace("{}", name)))
    slide.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "after it"
    assert read(saved(presentation), "x.pptx").text == "Load\n  Ropes\nReturn\n\nafter it"


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


def test_headers_and_footers_of_an_opendocument_text_stand_once() -> None:
    def page(name: str, header: str, footer: str, more: str = "") -> str:
        return (
            f'<style:master-page style:name="{name}"><style:header><text:p>{header}</text:p></style:header>'
            f"<style:footer><text:p>{footer}</text:p></style:footer>{more}</style:master-page>"
        )

    number, count = "<text:page-number>1</text:page-number>", "<text:page-count>9</text:page-count>"
    unused = '<style:header-first style:display="false"><text:p>Never</text:p></style:header-first>'
    styles = (
        page("Standard", f"Harbour rules<text:tab/>{number}", f"Page {number} of {count}", unused)
        + page("Annex", "Harbour rules", "Printed in Bergen")
        + page("Spare", "Spare header", "Spare footer")
    )
    parts = {"styles.xml": f"<office:document-styles {ODF}>{styles}</office:document-styles>"}
    annex = '<style:style style:name="P1" style:master-page-name="Annex"/>'
    document = read(opendocument_of("odt", "<text:p>Moor here.</text:p>", annex, more=parts), "x.odt")
    assert document.text == "[Header] Harbour rules\n\nMoor here.\n\n[Footer] Printed in Bergen"


def test_raised_and_lowered_text_of_an_opendocument_text() -> None:
    def style(name: str, position: str) -> str:
        return (
            f'<style:style style:name="{name}"><style:text-properties style:text-position="{position}"/></style:style>'
        )

    def span(name: str, text: str) -> str:
        return f'<text:span text:style-name="{name}">{text}</text:span>'

    powers = f"10{span('S', '6')} m{span('S', '3')}, 1{span('S', 'st')}"
    body = f"<text:p>{powers}, H{span('B', '2')}O, b{span('N', '0')}.</text:p>"
    styles = style("S", "super 58%") + style("B", "-33% 58%") + style("N", "0% 100%")
    assert read(opendocument_of("odt", body, styles), "x.odt").text == "10^6 m^3, 1st, H2O, b0."


def test_a_formula_of_an_opendocument_text_without_what_was_typed() -> None:
    space = 'xmlns:math="http://www.w3.org/1998/Math/MathML"'
    parts = {
        "Object 1/content.xml": f"<math:math {space}><math:msup><math:mi>c</math:mi><math:mn>2</math:mn>"
        "</math:msup></math:math>"
    }
    body = '<text:p>It is <draw:object xlink:href="./Object 1" xmlns:xlink="http://www.w3.org/1999/xlink"/>.</text:p>'
    assert read(opendocument_of("odt", body, more=parts), "x.odt").text == "It is c^2."


FLAT_MATH = (
    '<draw:object><math xmlns="http://www.w3.org/1998/Math/MathML"><mi>E</mi><annotation>E = m c^2</annotation></math>'
    "</draw:object>"
)


@pytest.mark.parametrize("before", ["", '<?xml version="1.0" encoding="UTF-8"?>\n', "\ufeff"])
def test_flat_opendocument_files(before: str) -> None:
    def flat(sort: str, body: str) -> bytes:
        return flat_opendocument_of(sort, body, before)

    picture = f"<draw:image><office:binary-data>{'QUJD' * 3_000_000}</office:binary-data></draw:image>"
    text = read(flat("odt", f"<text:p>\n  Wide\n  lines. {picture}{FLAT_MATH}</text:p>"), "x.fodt")
    assert (text.text, text.title) == ("Wide lines. E = m c^2", "Flat")
    assert text.media_type == "application/vnd.oasis.opendocument.text"
    row = "<table:table-row><table:table-cell><text:p>a</text:p></table:table-cell></table:table-row>"
    assert read(flat("ods", f'<table:table table:name="S">{row}</table:table>'), "x.fods").text == "Sheet “S”\n\na"
    slide = "<draw:page><draw:frame><draw:text-box><text:p>One</text:p></draw:text-box></draw:frame></draw:page>"
    assert [page.number for page in read(flat("odp", slide), "x.xml").pages] == [1]


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


def test_lists_and_formulas_of_a_book_are_written_as_those_of_a_page() -> None:
    fraction = "<m:mfrac><m:mi>P</m:mi><m:mrow><m:mi>Q</m:mi><m:mo>+</m:mo><m:mn>1</m:mn></m:mrow></m:mfrac>"
    chapter = (
        '<html xmlns:m="http://www.w3.org/1998/Math/MathML"><body>'
        '<ol start="3"><li>Lock the gate.</li><li>Go.</li></ol>'
        f"<p>E = <m:math><m:mspace/>{fraction}</m:math></p></body></html>"
    )
    assert read(book_of([chapter]), "x.epub").text == "3. Lock the gate.\n4. Go.\n\nE = P/(Q + 1)"


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


def test_rtf_in_the_character_sets_of_its_fonts() -> None:
    table = (
        rb"{\fonttbl{\f0\froman\fcharset0\fprq2{\*\panose 02020603050405020304}Times New Roman;}"
        b"{\\f1\\fswiss Arial;}\r\n{\\f22\\fbidi \\froman\\fcharset204 Times New Roman{\\*\\falt Times} Cyr;}}"
    )
    body = rb"\f22 " + "".join(f"\\'{byte:02x}" for byte in "Порт".encode("cp1251")).encode() + rb"\f0  caf\'e9}"
    assert read(rb"{\rtf1\ansi\ansicpg1252\deff0" + table + body, "x.rtf").text == "Порт café"


def test_raised_and_lowered_text_of_rtf() -> None:
    powers = rb"{\rtf1 10{\super 6} m{\b\super\fs20 3}, H{\sub 2}O, 1{\super st}, \pard{\superfluous x}.}"
    assert read(powers, "x.rtf").text == "10^6 m^3, H2O, 1st, x."
