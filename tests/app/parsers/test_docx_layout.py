"""What surrounds and divides the text of a Word document: tables, headers, comments, changes, the Strict variant."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from app.parsers import NoTextInDocument, read
from tests.app.parsers.hostile import zip_of
from tests.app.parsers.office_files import diagram_of
from tests.app.parsers.word import R, W, cell, par, run, table, word

CASES = Path(__file__).parent / "cases"
DOWN, DOWN_ON = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"


def text(body: str, parts: dict[str, str] | None = None) -> str:
    return read(word(body, parts), "layout.docx").text


def across(columns: int) -> str:
    return f'<w:gridSpan w:val="{columns}"/>'


def test_merged_cells():
    document = read((CASES / "merged-cells.docx").read_bytes(), "merged-cells.docx")
    assert document.text == (
        "Line | Stop | Time\n7 | Quay | 08:10\n7 | Mill | 08:19\n9 | Fort | 09:02\n\n"
        "r0c0 | r0c1 r0c2 |  | r0c3\nr1c0 | r1c1 | r1c2 | r1c3"
    )


def test_rows_have_as_many_columns():
    rows = (
        cell("Year") + cell("Boats", across(2)) + cell("Crew"),
        cell("1901", DOWN) + cell("new") + cell("old", DOWN) + cell("12"),
        cell("", DOWN_ON) + cell("wet") + cell("", DOWN_ON) + cell("7"),
        cell("1902") + cell("dry") + cell("", DOWN_ON) + cell("9"),
    )
    assert text(table(*rows)) == (
        "Year | Boats |  | Crew\n1901 | new | old | 12\n1901 | wet | old | 7\n1902 | dry | old | 9"
    )


def test_a_row_may_begin_later():
    late = '<w:trPr><w:gridBefore w:val="1"/></w:trPr>' + cell("b2")
    assert text(table(cell("a1") + cell("b1"), late)) == "a1 | b1\n | b2"


def test_a_long_text_over_several_rows_is_not_repeated():
    long = "word " * 30
    rows = (cell(long, DOWN) + cell("x"), cell("", DOWN_ON) + cell("y"))
    assert text(table(*rows)) == f"{long.strip()} | x\n | y"


def test_a_form_is_no_grid():
    """Every row divides the width its own way; columns that no row fills would be blank."""
    rows = ("".join(cell(f"{i}{j}", across(3 + 2 * i)) for j in range(2)) for i in range(5))
    assert text(table(*rows)).split("\n") == [f"{i}0 | {i}1" for i in range(5)]


def test_a_frame_of_one_cell_keeps_its_paragraphs():
    document = read(word(table(f"<w:tc>{par(run('a'))}{par(run('b'))}</w:tc>")), "frame.docx")
    assert (document.text, document.notes) == ("a\n\nb", ())


def test_deleted_rows_and_paragraph_ends():
    gone = '<w:trPr><w:del w:id="1" w:author="a"/></w:trPr><w:tc><w:p/></w:tc><w:tc><w:p/></w:tc>'
    assert text(table(cell("a") + cell("b"), gone)) == "a | b"
    ended = '<w:rPr><w:del w:id="1" w:author="a"/></w:rPr>'
    assert (
        text(par(run("one "), ended) + par(run("line"), ended) + par(run(".")) + par(run("two"))) == "one line.\n\ntwo"
    )
    assert text(par(run("last"), ended)) == "last"


def test_moved_text_stands_where_it_was_moved_to():
    moved = f'<w:moveFrom w:id="1" w:author="a">{run("a")}</w:moveFrom>'
    assert text(par(moved + run("b") + f'<w:moveTo w:id="2" w:author="a">{run("a")}</w:moveTo>')) == "ba"


def section(*references: str, more: str = "") -> str:
    return f"<w:sectPr>{''.join(references)}{more}</w:sectPr>"


def reference(part: str, use: str = "default") -> str:
    return f'<w:{part.rstrip("0123456789")}Reference w:type="{use}" r:id="{part}"/>'


def header(inside: str) -> str:
    return f"<w:hdr {W} {R}>{inside}</w:hdr>"


def page(instruction: str = "PAGE") -> str:
    return f'<w:fldSimple w:instr=" {instruction} \\* MERGEFORMAT ">{run("7")}</w:fldSimple>'


def test_headers_and_footers_stand_once():
    body = par(run("One.")) + par("", section(reference("header1"), reference("footer1")))
    body += par(run("Two.")) + section(reference("header2"), reference("footer1"))
    parts = {
        "header1": header(par(run("Order 117"))),
        "header2": header(par(run("Order 117")) + par(run("Part B"))),
        "footer1": header(par(run("Call 555") + "<w:r><w:tab/></w:r>" + run("Page ") + page() + run(" of 9"))),
    }
    assert text(body, parts) == (
        "[Header] Order 117\n\n[Header] Part B\n\nOne.\n\nTwo.\n\n[Footer] Call 555 | Page  of 9"
    )


def test_page_numbers_alone_say_nothing():
    for before, between in (("Page ", " of "), ("Seite ", " von "), ("- ", " -"), ("第", "页共"), ("", "/")):
        line = par(run(before) + page() + run(between) + page("NUMPAGES"))
        parts = {"footer1": header(f"<w:sdt><w:sdtContent>{line}</w:sdtContent></w:sdt>")}
        assert text(par(run("One.")) + section(reference("footer1")), parts) == "One."


def test_headers_that_are_not_in_use():
    """Those of first and of even pages are kept by Word when their switch is turned off."""
    parts = {f"header{i}": header(par(run(words))) for i, words in enumerate(("all", "first", "even"))}
    references = reference("header0"), reference("header1", "first"), reference("header2", "even")
    body = par(run("One."))
    assert text(body + section(*references), parts) == "[Header] all\n\nOne."
    parts["settings"] = f"<w:settings {W}><w:evenAndOddHeaders/></w:settings>"
    shown = text(body + section(*references, more="<w:titlePg/>"), parts)
    assert shown == "[Header] all\n\n[Header] first\n\n[Header] even\n\nOne."


def test_a_chapter_in_the_header_is_in_the_text_already():
    parts = {"header1": header(par(run("Tides")))}
    assert (
        text(par(run("Tides")) + par(run("They turn.")) + section(reference("header1")), parts) == "Tides\n\nThey turn."
    )


def test_a_header_alone_is_no_text():
    with pytest.raises(NoTextInDocument, match="OCR"):
        text(section(reference("header1")), {"header1": header(par(run("Scanned by us")))})


def test_notes():
    notes = (
        f'<w:footnotes {W}><w:footnote w:type="separator" w:id="0">{par(run("___"))}</w:footnote>'
        f'<w:footnote w:id="1">{par(run("Wet.") + run("Very."))}</w:footnote></w:footnotes>'
    )
    mark = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:footnoteReference w:id="1"/></w:r>'
    assert text(par(run("Rain") + mark), {"footnotes": notes}) == "Rain[1]\n\n[1] Wet.Very."


def note_mark(kind: str, number: int, more: str = "") -> str:
    return f'<w:r><w:{kind}Reference w:id="{number}" {more}/></w:r>'


def notes_of(kind: str, **words: str) -> str:
    """The part of a kind of notes; an identifier is an underscore and a number."""
    inside = "".join(f'<w:{kind} w:id="{name[1:]}">{par(run(text))}</w:{kind}>' for name, text in words.items())
    return f"<w:{kind}s {W}>{inside}</w:{kind}s>"


def test_notes_have_the_numbers_that_a_person_sees():
    deleted = f"<w:del>{note_mark('footnote', 4)}</w:del>"
    body = par(run("a") + note_mark("footnote", 7) + run(" b") + note_mark("endnote", 2) + deleted)
    body += par(run("c") + note_mark("footnote", 2) + run(" d") + note_mark("footnote", 3, 'w:customMarkFollows="1"'))
    body += par(run("*") + run(" e") + note_mark("endnote", 3))
    parts = {
        "footnotes": notes_of("footnote", _2="second", _3="* starred", _4="gone", _7="first"),
        "endnotes": notes_of("endnote", _2="at the end", _3="last"),
    }
    assert text(body, parts) == (
        "a[1] b[i]\n\nc[2] d\n\n* e[ii]\n\n[1] first\n\n[2] second\n\n* starred\n\n[i] at the end\n\n[ii] last"
    )


def test_notes_numbered_as_the_document_says_and_never_two_alike():
    body = par(run("a") + note_mark("footnote", 1) + note_mark("endnote", 1))
    body += '<w:sectPr><w:footnotePr><w:numFmt w:val="lowerRoman"/><w:numStart w:val="4"/></w:footnotePr></w:sectPr>'
    parts = {"footnotes": notes_of("footnote", _1="foot"), "endnotes": notes_of("endnote", _1="end")}
    assert text(body, parts) == "a[iv][1]\n\n[iv] foot\n\n[1] end"


@pytest.mark.parametrize("line", ["-2", "- 2 -", "2", "Page 2", "2/17"])
def test_a_page_number_that_was_typed_goes_with_its_signs(line):
    parts = {"footer1": header(par(run(line)))}
    assert text(par(run("One.")) + section(reference("footer1")), parts) == "One."


def test_a_header_with_a_number_that_is_no_page():
    parts = {"header1": header(par(run("Form 12")) + par(run("2023")))}
    assert text(par(run("One.")) + section(reference("header1")), parts) == "[Header] Form 12\n2023\n\nOne."


@pytest.mark.parametrize(
    ("description", "read_as"),
    [
        ("A map of the harbour", "See [Picture: A map of the harbour]"),
        ("Power generated by the mill", "See [Picture: Power generated by the mill]"),
        ("image1.png", "See"),
        ("C:\\Users\\Ada\\my map.JPG", "See"),
        ("Picture 3", "See"),
        ("A boat on water&#10;&#10;Description automatically generated", "See"),
        ("图形用户界面, 文本&#10;&#10;AI 生成的内容可能不正确。", "See"),
        ("", "See"),
    ],
)
def test_descriptions_of_pictures_that_their_authors_wrote(description, read_as):
    drawing = f'<w:drawing><wp:inline><wp:docPr id="1" name="Picture 1" descr="{description}"/></wp:inline></w:drawing>'
    assert text(par(run("See ") + f"<w:r>{drawing}</w:r>")) == read_as


def test_pictures_and_wordart_of_older_programs():
    art = '<w:pict><v:shape alt="x y z"><v:textpath string="DRAFT"/></v:shape></w:pict>'
    picture = '<w:pict><v:shape alt="The old pier"><v:imagedata/></v:shape></w:pict>'
    assert text(par(f"<w:r>{art}</w:r>") + par(f"<w:r>{picture}</w:r>")) == "DRAFT\n\n[Picture: The old pier]"


def test_a_diagram_stands_in_its_place():
    space = 'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
    drawing = f'<w:r><w:drawing><dgm:relIds {space} r:dm="diagramData1"/></w:drawing></w:r>'
    parts = {"diagramData1": diagram_of(["all", "Load", "Return"], [("all", "Load"), ("all", "Return")])}
    assert text(par(run("Steps")) + par(drawing) + par(run("End")), parts) == "Steps\n\nLoad\nReturn\n\nEnd"


def test_comments_name_who_and_what():
    comments = "".join(
        f'<w:comment w:id="{i}" w:author="{author}">{par(run(words))}</w:comment>'
        for i, (author, words) in enumerate([("Ada", "Too dear?"), ("", "All of it."), ("Bo", ""), ("Cy", "Where?")])
    )
    starts, ends = ([f'<w:commentRange{which} w:id="{i}"/>' for i in (0, 1)] for which in ("Start", "End"))
    body = starts[0] + par(run("It costs ") + starts[1] + run("80 euro") + ends[0] + run("."))
    body += par(run("So.")) + ends[1]
    marked = text(body, {"comments": f"<w:comments {W}>{comments}</w:comments>"})
    assert marked == (
        "It costs 80 euro.\n\nSo.\n\n[Comment by Ada on “It costs 80 euro”] Too dear?\n\n"
        "[Comment on “80 euro. So.”] All of it.\n\n[Comment by Cy] Where?"
    )


def test_variants_of_one_content_stand_once():
    def variant(name: str, words: str) -> str:
        return f"<mc:{name}><w:r><w:pict><w:txbxContent>{par(run(words))}</w:txbxContent></w:pict></w:r></mc:{name}>"

    both = variant("Choice", "box") + variant("Fallback", "box")
    assert text(par(f"<mc:AlternateContent>{both}</mc:AlternateContent>")) == "box"
    assert text(par(f"<mc:AlternateContent>{variant('Fallback', 'old')}</mc:AlternateContent>")) == "old"


def test_the_strict_variant():
    document = read((CASES / "strict.docx").read_bytes(), "strict.docx")
    assert (document.title, document.text) == ("Ferry", "Ferry\n\nThe last ferry leaves at 22:40.")


def test_the_strict_variant_is_read_like_the_other():
    data = (CASES / "word-lost-parts.docx").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        entries = {name: container.read(name) for name in container.namelist()}
    strict = {
        name: re.sub(
            rb"http://schemas.openxmlformats.org/(officeDocument|wordprocessingml|drawingml)/2006/",
            rb"http://purl.oclc.org/ooxml/\1/",
            content,
        )
        if name.endswith((".xml", ".rels")) and name != "[Content_Types].xml"
        else content
        for name, content in entries.items()
    }
    assert read(zip_of(strict), "a.docx").text == read(data, "a.docx").text


def test_a_missing_picture_costs_nothing_else():
    rels = word(par(run("Text.")), {"image1": ""})
    with zipfile.ZipFile(io.BytesIO(rels)) as container:
        entries = {name: container.read(name) for name in container.namelist() if name != "word/image1.xml"}
    assert read(zip_of(entries), "a.docx").text == "Text."
