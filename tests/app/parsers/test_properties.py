"""Whatever a file holds, its reader gives a document that keeps its promises, or an error that says what to do."""

from __future__ import annotations

import unicodedata
from functools import cache

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.parsers import KINDS, Limits, ReadDocument, ReadError, read, read_in_sandbox
from tests.app.parsers.hostile import paragraph, pdf_of, shown, word_of
from tests.app.parsers.word import level, numbering, word

NAMES = {"pdf": "a.pdf", "docx": "a.docx", "html": "a.html", "markdown": "a.md", "text": "a.txt"}
#: What turns the order of letters around, and what cannot be seen.
DECEPTIVE = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\U000e0041"
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
    *("&lt;", "&amp", "<p style='display:none'>", "<", ">", "&", "'", '"', "<!doctype html>", "\0", " ", "\n", "\t"),
)
MARKDOWN = joined(
    *("# ", "## ", "- ", "1. ", "99999999999. ", "> ", "    ", "\n", "\n\n", "```", "~~~", "---\n", "===\n", "|a|b|\n"),
    *("|-|-|\n", "*", "**", "_", "`", "[", "](", ")", "![", "<b>", "</b>", "<div>", "<!--", "[x]: y\n", "&amp;", "\\"),
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
            *('<w:ilvl w:val="1"/>', '<w:rFonts w:ascii="Symbol"/>'),
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
PDF = st.lists(PAGE, min_size=1, max_size=4).map(lambda pages: pdf_of([page.encode() for page in pages]))
BY_KIND = {"pdf": PDF, "docx": WORD, "html": HTML, "markdown": MARKDOWN, "text": TEXT}


@cache
def whole(kind: str) -> bytes:
    """A file of the kind with a bit of everything."""
    page = b"<html><h1>T</h1><table><tr><td>a<td>b</table><pre>x\n y</pre><p>caf\xc3\xa9"
    return {
        "pdf": pdf_of([shown("One page of text."), shown("Another page.")]),
        "docx": word_of(paragraph("Some words.") + f"<w:tbl><w:tr><w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"),
        "html": page,
        "markdown": b"---\ntitle: T\n---\n# T\n\n- a\n  1. b\n\n> *c* `d` <i>e</i>\n\n|a|b|\n|-|-|\n|c|d|\n",
        "text": "Cafe\u0301\r\n\u2028\x85\x0c words".encode(),
    }[kind]


def check(data: bytes, name: str) -> None:
    try:
        document = read(data, name)
    except ReadError as error:
        assert type(error) is not ReadError
        assert str(error)[0].isupper()
        assert str(error).endswith(".")
        assert str(error).isprintable()
    else:
        check_promises(document)


def check_promises(document: ReadDocument) -> None:
    text = document.text
    assert text.strip()
    assert text == text.strip("\n")
    assert "\n\n\n" not in text
    assert unicodedata.is_normalized("NFC", text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text)
    assert not any("\ufdd0" <= c <= "\ufdef" for c in text)
    assert 0 < len(document.title) <= 120
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in DECEPTIVE for c in document.title)
    assert document.media_type in {kind.media_type for kind in KINDS}
    ends = [0, *(offset for page in document.pages for offset in (page.start, page.end)), len(text)]
    assert ends == sorted(ends)
    assert [page.number for page in document.pages] == sorted({page.number for page in document.pages})
    assert all(note.endswith(".") for note in document.notes)


@pytest.mark.parametrize("kind", BY_KIND)
@given(data=st.data())
def test_files_of_its_kind(kind: str, data: st.DataObject) -> None:
    check(data.draw(BY_KIND[kind]), NAMES[kind])


@pytest.mark.parametrize("kind", BY_KIND)
@given(data=st.data())
def test_damaged_files(kind: str, data: st.DataObject) -> None:
    """A sound file with a few bytes overwritten, put in or cut out, or cut off altogether."""
    damaged = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(damaged)))
        damaged[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    check(bytes(damaged[: data.draw(st.just(None) | st.integers(0, len(damaged)))]), NAMES[kind])


@given(data=st.binary(max_size=400), name=st.sampled_from([*NAMES.values(), "a"]), start=st.sampled_from(
    [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"<!doctype html>"]
))  # fmt: skip
def test_any_bytes(data: bytes, name: str, start: bytes) -> None:
    check(start + data, name)


@given(name=st.text(st.characters(codec=None), max_size=300))
@example(name="../../etc/passwd")
@example(name="<script>alert(1)</script>.txt")
@example(name="\u202efdp.exe")
@example(name="\0.txt")
@example(name="\ud800.md")
def test_any_name(name: str) -> None:
    check(b"Words.\nMore words.", name)


@given(kind=st.sampled_from(sorted(BY_KIND)), data=st.data())
@settings(max_examples=settings.default.max_examples // 5)
def test_another_process_gives_the_same(kind: str, data: st.DataObject) -> None:
    content, name = data.draw(BY_KIND[kind]), data.draw(st.sampled_from([NAMES[kind], "\ud800\n"]))
    assume(content.strip())
    limits = Limits(characters=data.draw(st.sampled_from([10, 10_000])))
    outcomes = []
    for door in (read, read_in_sandbox):
        try:
            outcomes.append(door(content, name, limits))
        except ReadError as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]
