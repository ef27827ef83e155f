"""Numbers that Word counts itself, as they stand before clauses, items and headings."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parsers import read
from tests.app.parsers.word import W, cell, item, level, numbering, par, run, table, word

CASES = Path(__file__).parent / "cases"
CLAUSES = numbering(level(0, "decimal", "%1."), level(1, "decimal", "%1.%2"), level(2, "lowerLetter", "(%3)"))


def text(body: str, parts: dict[str, str] | None = None) -> str:
    return read(word(body, parts), "list.docx").text


def test_clauses_of_a_lease():
    document = read((CASES / "numbered-clauses.docx").read_bytes(), "numbered-clauses.docx")
    assert document.title == "Lease of the mill"
    assert document.text == (
        "Lease of the mill\n\n"
        "1. Term\n1.1 The lease runs for five years.\n"
        "1.2 It may be ended with six months' notice under clause 3.2.\n"
        "2. Rent\n2.1 The rent is 900 euro a month.\n2.2 It is due on the third working day.\n"
        "3. Ending\n3.1 The owner may end the lease if rent is two months late.\n"
        "3.2 The tenant may end the lease if:\n"
        "(a) the roof leaks for more than ten days;\n(b) the access road is closed for a month."
    )


@pytest.mark.parametrize(
    ("form", "first", "written"),
    [
        ("lowerLetter", 26, ["z", "aa"]),
        ("upperLetter", 53, ["AAA", "BBB"]),
        ("lowerRoman", 3, ["iii", "iv"]),
        ("upperRoman", 1998, ["MCMXCVIII", "MCMXCIX"]),
        ("ordinal", 111, ["111th", "112th"]),
        ("ordinal", 22, ["22nd", "23rd"]),
        ("decimalZero", 9, ["09", "10"]),
        ("decimalZero", 0, ["00", "01"]),
        ("lowerLetter", 0, ["0", "a"]),
        ("decimalEnclosedCircle", 20, ["⑳", "21"]),
        ("japaneseCounting", 10, ["十", "十一"]),
        ("japaneseCounting", 119, ["百十九", "百二十"]),
        ("chineseCounting", 109, ["一百零九", "一百一十"]),
        ("ideographDigital", 10, ["一〇", "一一"]),
        ("chineseLegalSimplified", 10, ["壹拾", "壹拾壹"]),
        ("ganada", 14, ["하", "가"]),
        ("russianLower", 1, ["а", "б"]),  # noqa: RUF001
        ("no such form", 7, ["7", "8"]),
        ("lowerRoman", 123456, ["123456", "123457"]),
    ],
)
def test_forms_of_numbers(form, first, written):
    parts = numbering(level(0, form, "%1)", start=first))
    assert text(item("one") + item("two"), parts) == f"{written[0]}) one\n{written[1]}) two"


def test_deeper_levels_begin_anew_unless_they_say_otherwise():
    body = item("a") + item("b", 1) + item("c", 1) + item("d") + item("e", 1)
    assert text(body, CLAUSES) == "1. a\n1.1 b\n1.2 c\n2. d\n2.1 e"
    going_on = numbering(level(0, "decimal", "%1."), level(1, "decimal", "%2)", '<w:lvlRestart w:val="0"/>'))
    assert text(body, going_on) == "1. a\n1) b\n2) c\n2. d\n3) e"


def test_a_level_that_was_skipped_counts_as_begun():
    assert text(item("a", 1) + item("b", 1) + item("c"), CLAUSES) == "1.1 a\n1.2 b\n2. c"


def test_lists_of_the_same_rules_go_on_from_each_other_or_start_where_they_say():
    lists = "".join(f'<w:num w:numId="{number}"><w:abstractNumId w:val="0"/></w:num>' for number in (1, 2))
    lists += (
        '<w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/>'
        "</w:lvlOverride></w:num>"
    )
    lists += (
        f'<w:num w:numId="4"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">{level(0, "upperLetter", "%1:")}'
        "</w:lvlOverride></w:num>"
    )
    parts = numbering(level(0, "decimal", "%1."), lists=lists)
    body = "".join(item(f"list {number}", number=number) for number in (1, 2, 3, 3, 1, 4))
    assert text(body, parts) == "1. list 1\n2. list 2\n7. list 3\n8. list 3\n9. list 1\nJ: list 4"


def test_all_digits_in_legal_numbering():
    legal = numbering(level(0, "upperRoman", "%1."), level(1, "decimal", "%1.%2", "<w:isLgl/>"))
    assert text(item("a") + item("b", 1), legal) == "I. a\n1.1 b"


def test_numbers_filled_up_with_zeros():
    custom = (
        '<w:lvl w:ilvl="0"><w:start w:val="8"/><mc:AlternateContent><mc:Choice Requires="w14"><w:numFmt w:val="custom" '
        'w:format="001, 002, 003, ..."/></mc:Choice><mc:Fallback><w:numFmt w:val="decimal"/></mc:Fallback>'
        '</mc:AlternateContent><w:lvlText w:val="Claim %1"/></w:lvl>'
    )
    assert text(item("a"), numbering(custom)) == "Claim 008 a"


def test_numbers_from_styles():
    """Headings are numbered by their styles, the level by which style it is linked to; 0 takes the number away."""
    styles = f"""<w:styles {W}>
        <w:style w:type="paragraph" w:default="1" w:styleId="N"><w:name w:val="Normal"/></w:style>
        <w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:basedOn w:val="N"/>
          <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
        <w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="N"/>
          <w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
        <w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="H2"/></w:style>
        <w:style w:type="paragraph" w:styleId="Circle"><w:basedOn w:val="Circle"/></w:style></w:styles>"""
    parts = {
        "styles": styles,
        **numbering(
            level(0, "decimal", "§ %1", '<w:pStyle w:val="H1"/>'),
            level(1, "decimal", "%1.%2", '<w:pStyle w:val="H2"/>'),
        ),
    }

    def styled(style: str, words: str, more: str = "") -> str:
        return par(run(words), f'<w:pStyle w:val="{style}"/>{more}')

    body = (
        styled("H1", "Rain") + styled("N", "Wet.") + styled("H2", "Drizzle") + styled("Mine", "Hail")
        + styled("H1", "Unnumbered", '<w:numPr><w:numId w:val="0"/></w:numPr>') + styled("H1", "Sun")
        + styled("Circle", "Round.")
    )  # fmt: skip
    document = read(word(body, parts), "weather.docx")
    assert document.text == "§ 1 Rain\n\nWet.\n\n1.1 Drizzle\n\n1.2 Hail\n\nUnnumbered\n\n§ 2 Sun\n\nRound."
    assert document.title == "Rain"


def test_rules_that_a_style_of_lists_stands_for():
    rules = (
        f'<w:abstractNum w:abstractNumId="0">{level(0, "upperLetter", "%1.")}</w:abstractNum>'
        '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="L"/></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="0"/></w:num>'
    )
    style = '<w:style w:type="numbering" w:styleId="L"><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>'
    parts = {"numbering": f"<w:numbering {W}>{rules}</w:numbering>", "styles": f"<w:styles {W}>{style}</w:styles>"}
    assert text(item("a") + item("b"), parts) == "A. a\nB. b"


def test_bullets():
    def bullet(sign: str, font: str) -> str:
        return level(0, "bullet", sign).replace("</w:lvl>", f'<w:rPr><w:rFonts w:ascii="{font}"/></w:rPr></w:lvl>')

    assert text(item("a"), numbering(bullet("\uf0b7", "Symbol"))) == "- a"
    assert text(item("a"), numbering(bullet("o", "Courier New"))) == "- a"
    assert text(item("a"), numbering(bullet("\uf0fe", "Wingdings"))) == "☑ a"
    assert text(item("a"), numbering(level(0, "none", ""))) == "a"
    assert text(item("a", number=9), CLAUSES) == "- a"


def test_what_is_not_to_be_seen_is_not_counted():
    properties = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    hidden = par(run("b", "<w:vanish/>"), properties + "<w:rPr><w:vanish/></w:rPr>")
    deleted = par(
        '<w:del w:id="1" w:author="a"><w:r><w:delText>c</w:delText></w:r></w:del>',
        properties + '<w:rPr><w:del w:id="2" w:author="a"/></w:rPr>',
    )
    document = read(word(item("a") + hidden + deleted + item("d"), CLAUSES), "list.docx")
    assert document.text == "1. a\n2. d"
    assert [(part.what, part.text) for part in document.left_out] == [("Hidden text", "b")]


def test_a_column_of_numbers_without_text():
    rows = [f"<w:tc>{item('')}</w:tc>{cell(name)}" for name in ("oil", "wick")]
    assert text(table(*rows), CLAUSES) == "1. | oil\n2. | wick"
