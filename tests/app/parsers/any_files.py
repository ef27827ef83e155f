"""Files to try the readers with: of every kind a sound one, and of most kinds any others."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from app.parsers import KINDS
from tests.app.parsers.hostile import FONT, paragraph, pdf_of, shown, word_of
from tests.app.parsers.office_files import (
    book_of,
    flat_opendocument_of,
    opendocument_of,
    outlook_of,
    slides_of,
    workbook_of,
)
from tests.app.parsers.word import level, numbering, word

NAMES = {kind.name: f"a{kind.suffixes[0]}" for kind in KINDS}
CHARACTERS = st.characters(codec="utf-8")
WORDS = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    ["word", "\u202e", "\u0301" * 9, "\ufdd0", "\U000e0041", "\x1f", "\u2028", "ﬁ", "-\n", "- 1 -", "|", "12"]
)


def joined(*fragments: str) -> st.SearchStrategy[bytes]:
    """Files made of these and of any words, in any order."""
    return st.lists(st.sampled_from(fragments) | WORDS, max_size=30).map(lambda parts: "".join(parts).encode())


HTML = joined(
    *("<p>", "</p>", "<div hidden>", "</div>", "<table>", "<tr>", "<td>", "</table>", "<li>", "<ul>", "<br>", "<pre>"),
    *("<title>", "</title>", "<h1>", "<script>", "</script>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml ", "?>"),
    *("<svg>", "<template>", "<select><option>", "<meta charset=utf-7>", "<a href='javascript:x'>", "&#0;", "&#xD800;"),
    *("<sup>", "</sup>", "<sub>", "<td rowspan=0>", "<td colspan=9>", "<th>", "<ol reversed type=i>", "<li value=-3>"),
    *("<math>", "<msup>", "<mfrac>", "<mi>", "</math>", "<input value=x>", "<input type=radio checked>", "<textarea>"),
    *("<nav><a href=#>Menu", "</a>", "</nav>", "<footer>", "<main>", "<noscript>", "<img alt=x>", "<rt>", "<q>"),
    *("&lt;", "&amp", "<p style='display:none'>", "<", ">", "&", "'", '"', "<!doctype html>", "\0", " ", "\n", "\t"),
)
MARKDOWN = joined(
    *("# ", "## ", "- ", "1. ", "99999999999. ", "> ", "    ", "\n", "\n\n", "```", "~~~", "---\n", "===\n", "|a|b|\n"),
    *("|-|-|\n", "*", "**", "_", "`", "[", "](", ")", "![", "<b>", "</b>", "<div>", "<!--", "[x]: y\n", "&amp;", "\\"),
    *("|a|b|c|`d|e`|\n", "$", "$$", "[^1]", "[^1]: ", "+++\n", "<sup>", "</sup>", "<T>", "<HOST>\n", "__a__"),
    *("title: t\n", "<http://a>", "~~", "\t", " ", "<script>", "\r"),
)
TEXT = st.builds(
    lambda text, encoding: text.encode(encoding, "replace"),
    st.text(st.characters(codec=None), max_size=200) | st.lists(WORDS, max_size=30).map("".join),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7"]),
)
WORD_XML = st.recursive(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="<&\ufffe\uffff"), max_size=9
    ).map("<w:r><w:t>{}</w:t></w:r>".format)
    | st.sampled_from(
        [
            *("<w:tab/>", "<w:br/>", '<w:footnoteReference w:id="9"/>', "<w:footnoteReference/>", "<w:pPr/>"),
            *('<w:gridSpan w:val="3"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>", "<w:vanish/>", "<w:sectPr/>"),
            *('<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>', "<w:sym/>"),
            *('<w:sym w:font="Wingdings" w:char="F0FE"/>', '<w:fldChar w:fldCharType="begin"/>'),
            *(
                '<w:fldChar w:fldCharType="separate"/>',
                '<w:fldChar w:fldCharType="end"/>',
                "<w:instrText>PAGE</w:instrText>",
            ),
            *('<w:commentRangeStart w:id="1"/>', '<w:commentRangeEnd w:id="1"/>', '<w:numId w:val="1"/>'),
            *('<w:ilvl w:val="1"/>', '<w:rFonts w:ascii="Symbol"/>', '<w:endnoteReference w:id="9"/>'),
            *("<v:imagedata/>", '<v:shape alt="x"><v:textpath string="y"/></v:shape>'),
            '<wp:docPr descr="x"/>',
        ]
    ),
    lambda inner: st.builds(
        "<w:{0}>{1}</w:{0}>".format,
        st.sampled_from(
            [
                *(
                    "p",
                    "tbl",
                    "tr",
                    "tc",
                    "sdt",
                    "del",
                    "ins",
                    "txbxContent",
                    "r",
                    "body",
                    "pPr",
                    "rPr",
                    "tcPr",
                    "trPr",
                ),
                *("numPr", "ruby", "rt", "rubyBase", "fldSimple"),
            ]
        ),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=20,
)
LIST = numbering(level(0, "decimal", "%1."), level(1, "lowerLetter", "%1%2)"))
WORD = st.lists(WORD_XML, max_size=6).map(lambda parts: word("".join(parts), LIST))
PAGE = st.lists(
    st.sampled_from(
        [
            "BT ",
            "ET ",
            "/F1 11 Tf ",
            "72 700 Td ",
            "(text) Tj ",
            "[(a) -250 (b)] TJ ",
            "T* ",
            "(q) ' ",
            "q ",
            "Q ",
            "cm ",
        ]
    )
    | st.sampled_from(
        ["1 0 0 1 0 0 ", "1e99 ", "-0 ", "/X Do ", "BI ID EI ", "<< ", ">> ", "[ ", "] ", "( ", ") ", "<FEFF"]
    )
    | st.text(CHARACTERS, max_size=5).map(lambda text: f"({text}) Tj "),
    max_size=25,
).map("".join)
FIELDS = "/Subtype /Widget |/FT /Tx |/FT /Btn |/FT /Ch |/V (value) |/V [(a) (b) 7] |/AS /On |/Ff 8192 |/Parent 100 0 R "
REMARKS = (
    "/Subtype /Text |/Subtype /FreeText |/T (name) |/Contents (note) |/Rect [72 690 300 712] |/Rect [1e99 (x)] |/F 2 "
)
ANNOTATION = st.lists(st.sampled_from(f"{FIELDS}|{REMARKS}".split("|")), max_size=8).map("".join)


def annotated(pages: list[str], annotations: list[str]) -> bytes:
    """A PDF of these pages, with these annotations on each."""
    references = " ".join(f"{100 + i} 0 R" for i in range(len(annotations)))
    objects = {100 + i: f"<< {entries}>>".encode() for i, entries in enumerate(annotations)}
    return pdf_of([page.encode() for page in pages], page=f"{FONT} /Annots [{references}]", objects=objects)


PDF = st.builds(annotated, st.lists(PAGE, min_size=1, max_size=4), st.lists(ANNOTATION, max_size=3))
TABLE = joined(
    *("a,b\n", "1,2\n", ";", "\t", "|", '"', '""', "\r\n", "\n", ",", " ", "2024-05-01", "15 €", "\0", "sep=;\n")
)
MAIL = joined(
    *(
        "From: a@b.c\n",
        "Subject: =?utf-8?b?w4RuZGVydW5n?=\n",
        "Subject: =?x?q?=E4?=\n",
        "\n\n",
        "\n",
        "--b\n",
        "--b--\n",
    ),
    *("Content-Type: multipart/mixed; boundary=b\n", "Content-Type: multipart/alternative; boundary=b\n"),
    *(
        "Content-Type: text/html; charset=shift_jis\n",
        "Content-Type: message/rfc822\n",
        "Content-Type: image/png; name=x\n",
    ),
    *(
        "Content-Transfer-Encoding: base64\n",
        "Content-Transfer-Encoding: quoted-printable\n",
        "SGVsbG8=\n",
        "=E4=\n",
        "<p>",
    ),
)
JSON = joined(
    *(
        '{"cells": [',
        '{"cell_type": "code", "source": ',
        '"outputs": [',
        '{"data": {"text/plain": ',
        "]",
        "}",
        "[",
        "{",
        ",",
    ),
    *(":", '"', '"a"', "\\u00e4", "\\ud800", "1.50", "null", "\n", " ", '"' + "A" * 1_200 + '"'),
)
XML = joined(
    *(
        "<a>",
        "</a>",
        "<title>",
        "</title>",
        '<b c="d"/>',
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?xml version='1.0'?>",
        "&amp;",
    ),
    *("<!DOCTYPE a [<!ENTITY e 'x'>]>", "&e;", "&#0;", "<x:y xmlns:x='u'>", "</x:y>", "<", ">", " ", "\n"),
)
LATEX = joined(
    *(
        "\\documentclass{a}",
        "\\begin{document}",
        "\\title{",
        "}",
        "{",
        '\\"a',
        "\\'{e}",
        "\\v{s}",
        "\\ss ",
        "%",
        "\n",
        "\\",
    ),
    *("\\section{", "\\begin{verbatim}", "$x$", "\\%", "&"),
)
RTF = joined(
    *(
        "{",
        "}",
        "\\par ",
        "\\'e4",
        "\\u8364?",
        "\\u-10179?",
        "\\uc2",
        "\\ansicpg932",
        "{\\fonttbl{\\f0\\fcharset128 x;}}",
        "\\f0 ",
    ),
    *(
        "\\cell",
        "\\row",
        "{\\v ",
        "\\footnote ",
        "{\\*\\shpinst ",
        "\\pict",
        "\\bin9 ",
        "{\\info{\\title ",
        "\\*",
        "\\",
        "\n",
    ),
).map(lambda body: b"{\\rtf1 " + body)
ODF_NAMES = [
    *("text:p", "text:h", "text:list", "text:list-item", "table:table", "table:table-row", "table:table-cell"),
    *("draw:page", "text:note-body", "office:annotation", "draw:text-box", "text:section"),
]
ODF_XML = st.recursive(
    st.sampled_from(["word", "<text:s text:c='3'/>", "<text:tab/>", "<text:span>x</text:span>", "<text:note/>"]),
    lambda inner: st.builds(
        "<{0} {1}>{2}</{0}>".format,
        st.sampled_from(ODF_NAMES),
        st.sampled_from(["", 'text:outline-level="3"', 'table:number-rows-repeated="5"', 'text:style-name="L"']),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=20,
)  # fmt: skip
OPENDOCUMENT = {
    sort: st.one_of([st.builds(build, st.just(sort), ODF_XML) for build in (opendocument_of, flat_opendocument_of)])
    for sort in ("odt", "ods", "odp")
}
CELLS = st.lists(st.lists(st.none() | st.integers() | st.floats() | st.booleans() | st.sampled_from(["a", "=A1"])))
BY_KIND = {
    **{
        "pdf": PDF,
        "docx": WORD,
        "html": HTML,
        "markdown": MARKDOWN,
        "text": TEXT,
        "csv": TABLE,
        "tsv": TABLE,
        "mail": MAIL,
    },
    **{"mhtml": MAIL, "notebook": JSON, "json": JSON, "xml": XML, "latex": LATEX, "rtf": RTF, **OPENDOCUMENT},
    **{"xlsx": CELLS.map(workbook_of), "epub": st.lists(HTML.map(bytes.decode), max_size=3).map(book_of)},
}


@cache
def whole(kind: str) -> bytes:
    """A file of the kind with a bit of everything."""
    page = b"<html><h1>T</h1><table><tr><td>a<td>b</table><pre>x\n y</pre><p>caf\xc3\xa9"
    return {
        "pdf": annotated(
            [shown("One page of text.").decode(), shown("Another page.").decode()],
            ["/Subtype /Widget /FT /Tx /V (v) /Rect [200 690 300 712]", "/Subtype /Text /Contents (n) /T (a)"],
        ),
        "docx": word_of(paragraph("Some words.") + f"<w:tbl><w:tr><w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"),
        "html": page,
        "markdown": b"---\ntitle: T\n---\n# T\n\n- a\n  1. b\n\n> *c* `d` <i>e</i>\n\n|a|b|\n|-|-|\n|c|d|\n",
        "text": "Cafe\u0301\r\n\u2028\x85\x0c words".encode(),
        "xlsx": workbook_of([["a", "b"], [1, "x"]]),
        "pptx": slides_of("Some words."),
        "odt": opendocument_of("odt", "<text:h>T</text:h><text:p>Some words.</text:p>"),
        "ods": opendocument_of("ods", "<table:table><table:table-row><table:table-cell><text:p>x</text:p>"
                               "</table:table-cell></table:table-row></table:table>"),
        "odp": opendocument_of("odp", "<draw:page><text:p>Some words.</text:p></draw:page>"),
        "epub": book_of(["<h1>T</h1><p>Some words."]),
        "rtf": rb"{\rtf1\ansi{\fonttbl{\f0 A;}}{\info{\title T}}Caf\'e9\par x\cell y\cell\row}",
        "msg": outlook_of({"__properties_version1.0": bytes(48), "__substg1.0_1000001E": b"Some words."}),
        "mail": b"From: a@b.c\nSubject: =?utf-8?q?T=C3=A4?=\nContent-Transfer-Encoding: base64\n\nU29tZSB3b3Jkcy4=\n",
        "mhtml": b"Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n" + page,
        "csv": b'no,town\n1,"Linz"\n2,Wels\n',
        "tsv": b"no\ttown\n1\tLinz\n",
        "notebook": b'{"cells": [{"cell_type": "code", "source": ["x"], "outputs": [{"text": "y"}]}]}',
        "json": b'{"a": ["\\u00e4", 1.50]}',
        "xml": b"<?xml version='1.0'?><a b='c'><title>T</title>Some <i>words</i>.</a>",
        "latex": b"\\documentclass{a}\\title{T}\\begin{document}Caf\\'{e} % no",
    }.get(kind, b"Some words.")  # fmt: skip
