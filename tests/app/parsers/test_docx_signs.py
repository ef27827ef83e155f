"""What stands between the letters of a Word document: equations, signs, boxes, raised text, fields, hidden text."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parsers import read
from tests.app.parsers.word import W, par, run, word

CASES = Path(__file__).parent / "cases"
RAISED, LOWERED = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'


def text(inside: str, parts: dict[str, str] | None = None) -> str:
    return read(word(par(inside), parts), "signs.docx").text


def test_parts_that_are_easily_lost():
    document = read((CASES / "word-lost-parts.docx").read_bytes(), "order.docx")
    assert document.text == (
        "[Header] Order 2024-117, confidential, for Lena Vogt only\n\n"
        "The load is F=m·a=450/3 kN at the middle pier.\n\n"
        "The beam carries 10^6 N per m^2.\n\n"
        "Tested: ☑ yes  ☐ no; tolerance ±5 mm\n\n"
        "佐藤(さとう)が担当する。\n\n"
        "The price is 80 euro.\n\nLeft\tRight\n\n"
        "[Comment by Reviewer on “The price is 80 euro.”] Should be 95 euro, agreed with Lena on Monday.\n\n"
        "[Footer] Bridge Works Ltd, phone (555) 010-7788"
    )
    assert document.title.startswith("The load is")


def t(letters: str) -> str:
    return f"<m:r><m:t>{letters}</m:t></m:r>"


def m(name: str, *parts: str, **settings: str) -> str:
    properties = "".join(f'<m:{key} m:val="{value}"/>' for key, value in settings.items())
    return f"<m:{name}><m:{name}Pr>{properties}</m:{name}Pr>{''.join(parts)}</m:{name}>"


def part(name: str, *inside: str) -> str:
    return f"<m:{name}>{''.join(inside)}</m:{name}>"


E, SUB, SUP = "e", "sub", "sup"
EQUATIONS = {
    "x_1^2+(a+b)/2c": m("sSubSup", part(E, t("x")), part(SUB, t("1")), part(SUP, t("2"))) + t("+")
    + m("f", part("num", t("a+b")), part("den", t("2c"))),
    "e^(-t/τ)": m("sSup", part(E, t("e")), part(SUP, t("-"), m("f", part("num", t("t")), part("den", t("τ"))))),
    "√(b^2-4ac)": m(
        "rad", part("deg"), part(E, m("sSup", part(E, t("b")), part(SUP, t("2"))) + t("-4ac")), degHide="1"
    ),
    "^3√(x)": m("rad", part("deg", t("3")), part(E, t("x"))),
    "∑_(i=1)^n i": m("nary", part(SUB, t("i=1")), part(SUP, t("n")), part(E, t("i")), chr="∑"),
    "∫_0^∞ f(x)dx": m("nary", part(SUB, t("0")), part(SUP, t("∞")), part(E, t("f"), m("d", part(E, t("x"))), t("dx"))),
    "|x|": m("d", part(E, t("x")), begChr="|", endChr="|"),
    "{x; y": m("d", part(E, m("eqArr", part(E, t("&amp;x")), part(E, t("&amp;y")))), begChr="{", endChr=""),
    "(1, 2; 3, 4)": m("d", part(E, m("m", *(part("mr", part(E, t(a)), part(E, t(b))) for a, b in ("12", "34"))))),
    "sin x": m("func", part("fName", t("sin")), part(E, t("x"))),
    "lim_(x→0) f": m("func", part("fName", m("limLow", part(E, t("lim")), part("lim", t("x→0")))), part(E, t("f"))),
    "(n choose k)": m("d", part(E, m("f", part("num", t("n")), part("den", t("k")), type="noBar"))),
    "x̄": m("bar", part(E, t("x")), pos="top"),
    "v⃗": m("acc", part(E, t("v")), chr="\u20d7"),
    "_6^14C": m("sPre", part(SUB, t("6")), part(SUP, t("14")), part(E, t("C"))),
    "a=b": t("a=") + '<w:del w:id="1" w:author="a">' + t("c") + "</w:del>" + m("box", part(E, t("b"))),
    "xz": t("x") + m("phant", part(E, t("y")), show="0") + t("z"),
}  # fmt: skip


@pytest.mark.parametrize("written", EQUATIONS)
def test_equations(written):
    assert text(run("So ") + f"<m:oMathPara><m:oMath>{EQUATIONS[written]}</m:oMath></m:oMathPara>") == f"So {written}"


@pytest.mark.parametrize(
    ("font", "code", "sign"),
    [
        ("Wingdings", "F0FC", "✓"),
        ("Wingdings", "00FE", "☑"),
        ("Wingdings", "F0FD", "☒"),
        ("Wingdings", "F06F", "☐"),
        ("Wingdings", "F0E0", "→"),
        ("Wingdings 2", "F052", "☑"),
        ("Wingdings 2", "F0A3", "☐"),
        ("Symbol", "F070", "π"),
        ("Symbol", "F0B3", "≥"),
        ("Segoe UI Symbol", "2612", "☒"),
        ("Segoe UI Symbol", "F0B3", "≥"),
        ("Symbol", "no code", ""),
        ("Symbol", "", ""),
        ("Wingdings", "FFFFFFFFFF", ""),
    ],
)
def test_signs_of_symbol_fonts(font, code, sign):
    assert text(run("a") + f'<w:r><w:sym w:font="{font}" w:char="{code}"/></w:r>' + run("b")) == f"a{sign}b"


def test_letters_set_in_a_symbol_font_are_signs():
    assert text(run("\u00fe", '<w:rFonts w:ascii="Wingdings" w:hAnsi="Wingdings"/>') + run(" þ")) == "☑ þ"
    assert text(run("\uf0b1", '<w:rFonts w:ascii="Calibri"/>') + run("5")) == "±5"


@pytest.mark.parametrize(
    ("base", "properties", "script", "rest", "written"),
    [
        ("10", RAISED, "6", " N", "10^6 N"),
        ("10", RAISED, "-4", "", "10^-4"),
        ("x", RAISED, "a+b", "", "x^(a+b)"),
        ("in 1998", RAISED, "2", " the", "in 1998^2 the"),
        ("1998.", RAISED, "[12]", "", "1998.[12]"),
        ("the 1", RAISED, "st", " of May", "the 1st of May"),
        ("le XX", RAISED, "e", " siècle", "le XXe siècle"),
        ("20", RAISED, "o", "C", "20°C"),
        ("Acme", RAISED, "®", "", "Acme®"),
        ("", RAISED, "1", " See below.", "1 See below."),
        ("H", LOWERED, "2", "O", "H2O"),
        ("Ca(OH)", LOWERED, "2", "", "Ca(OH)2"),
        ("log", LOWERED, "2", "8", "log_28"),
        ("v", LOWERED, "max", "", "v_max"),
        ("101", LOWERED, "2", "", "101_2"),
    ],
)
def test_raised_and_lowered_text_stays_apart(base, properties, script, rest, written):
    halves = "".join(run(letter, properties) for letter in script)
    assert text(run(base) + halves + run(rest)) == written


def test_raised_by_a_style():
    style = f'<w:style w:type="character" w:styleId="S"><w:name w:val="Power"/><w:rPr>{RAISED}</w:rPr></w:style>'
    parts = {"styles": f"<w:styles {W}>{style}</w:styles>"}
    power = '<w:rStyle w:val="S"/>'
    assert text(run("10") + run("6", power), parts) == "10^6"
    assert text(run("10") + run("6", power + '<w:vertAlign w:val="baseline"/>'), parts) == "106"


def test_ruby_text_follows_its_word():
    def ruby(base: str, reading: str) -> str:
        inside = f"<w:rubyPr/><w:rt>{run(reading)}</w:rt><w:rubyBase>{run(base)}</w:rubyBase>"
        return f"<w:r><w:ruby>{inside}</w:ruby></w:r>"

    assert text(ruby("佐", "さ") + ruby("藤", "とう") + run("です")) == "佐藤(さとう)です"


def box(state: str) -> str:
    return (
        f'<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val="{state}"/></w14:checkbox></w:sdtPr>'
        f"<w:sdtContent>{run('?')}</w:sdtContent></w:sdt>"
    )


def field(instruction: str, result: str, form: str = "") -> str:
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{form}</w:fldChar></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_boxes_and_lists_to_choose_from():
    assert text(box("1") + run(" yes ") + box("0") + run(" no")) == "☒ yes ☐ no"
    ticked = "<w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>"
    empty = "<w:ffData><w:checkBox><w:default w:val='1'/><w:checked w:val='0'/></w:checkBox></w:ffData>"
    assert text(field("FORMCHECKBOX", "", ticked) + run(" ") + field("FORMCHECKBOX", "", empty) + run(" x")) == "☒ ☐ x"
    entries = "".join(f'<w:listEntry w:val="{town}"/>' for town in ("Ghent", "Bruges"))
    chosen = f'<w:ffData><w:ddList><w:result w:val="1"/>{entries}</w:ddList></w:ffData>'
    assert text(run("Town: ") + field("FORMDROPDOWN", "", chosen)) == "Town: Bruges"
    beyond = f'<w:ffData><w:ddList><w:result w:val="99"/>{entries}</w:ddList></w:ffData>'
    assert text(run("Town:") + field("FORMDROPDOWN", "", beyond)) == "Town:"
    typed = "<w:ffData><w:textInput/></w:ffData>"
    assert text(run("Name: ") + field("FORMTEXT", run("Ada"), typed)) == "Name: Ada"


def test_fields_show_their_results_alone():
    inner = field("IF " + "</w:instrText></w:r>" + field("MERGEFIELD a", run("no")) + "<w:r><w:instrText>", run("12"))
    assert text(run("of ") + inner + run(" boats")) == "of 12 boats"
    assert text(run("a") + '<w:r><w:fldChar w:fldCharType="begin"/></w:r>' + "</w:p><w:p>" + run("b")) == "a\n\nb"
    assert text('<w:r><w:fldChar w:fldCharType="end"/></w:r>' + run("a")) == "a"


def test_hidden_text_is_left_out_and_handed_over():
    document = read((CASES / "tracked.docx").read_bytes(), "tracked.docx")
    assert document.text == "Pay twelve euro."
    assert [(part.what, part.text.strip()) for part in document.left_out] == [("Hidden text", "HIDDEN NOTE")]
    assert document.notes == ("Hidden text was left out.",)


def test_text_hidden_by_a_style():
    styles = f"""<w:styles {W}>
        <w:style w:type="paragraph" w:styleId="P"><w:rPr><w:vanish/></w:rPr></w:style>
        <w:style w:type="paragraph" w:styleId="Q"><w:basedOn w:val="P"/></w:style>
        <w:style w:type="character" w:styleId="C"><w:rPr><w:vanish w:val="true"/></w:rPr></w:style></w:styles>"""
    body = par(run("a") + run("b", '<w:rStyle w:val="C"/>') + run("c", '<w:rStyle w:val="C"/><w:vanish w:val="0"/>'))
    body += par(run("d"), '<w:pStyle w:val="Q"/>') + par(run("e"))
    document = read(word(body, {"styles": styles}), "hidden.docx")
    assert document.text == "ac\n\ne"
    assert [part.text for part in document.left_out] == ["b\nd"]
