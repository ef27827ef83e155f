"""Spreadsheets, OpenDocument files, e-books, RTF, mails and data files that mean harm, each with what becomes of it."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from app.parsers import DamagedDocument, DocumentTooLarge, NoTextInDocument, read_in_sandbox
from tests.app.parsers.hostile import understated, zip_of
from tests.app.parsers.office_files import book_of, opendocument_of, outlook_of, sheet_of
from tests.app.parsers.test_hostile import LAUGHS, MB, PATIENT

CELL = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c></row>'
NESTED_LIST = ("<text:list><text:list-item>", "</text:list-item></text:list>")
NESTED_TABLE = (
    "<table:table><table:table-row><table:table-cell>",
    "</table:table-cell></table:table-row></table:table>",
)
ENDLESS_CELL = (
    '<table:table><table:table-row table:number-rows-repeated="999999999"><table:table-cell '
    'table:number-columns-repeated="999999999"><text:p>x</text:p></table:table-cell></table:table-row></table:table>'
)
PART = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
PROPERTIES = {"__properties_version1.0": bytes(32)}

FLAT = b'<office:document xmlns:office="o" office:mimetype="application/vnd.oasis.opendocument.text">'

REFUSED: dict[str, tuple[str, Callable[[], bytes], type[Exception], str]] = {
    "zip bomb in a workbook": ("a.xlsx", lambda: zip_of({"xl/workbook.xml": "x", "b": bytes(30 * MB)}),
                               DocumentTooLarge, "unpacks to 30 MB"),
    "zip bomb in slides": ("a.pptx", lambda: zip_of({"ppt/presentation.xml": "x", "b": bytes(30 * MB)}),
                           DocumentTooLarge, "unpacks to 30 MB"),
    "zip bomb in a book": ("a.epub", lambda: book_of(["x"], more={"b": bytes(30 * MB)}),
                           DocumentTooLarge, "unpacks to 30 MB"),
    "zip bomb that lies about its size": ("a.odt", lambda: understated(opendocument_of("odt", "a" * 20 * MB)),
                                          DamagedDocument, "damaged"),
    "row a billion": ("a.xlsx", lambda: sheet_of(CELL.format(1, "x") + CELL.format(10**9, "y")),
                      DocumentTooLarge, "1,048,576 rows"),
    "entities in a sheet": ("a.xlsx", lambda: sheet_of(CELL.format(1, "&l9;"), LAUGHS), DamagedDocument, "damaged"),
    "entities in a text": ("a.odt", lambda: opendocument_of("odt", "<text:p>&l9;</text:p>", before=LAUGHS),
                           DamagedDocument, "damaged"),
    "lists nested without end": ("a.odt", lambda: opendocument_of(
        "odt", NESTED_LIST[0] * 5_000 + NESTED_LIST[1] * 5_000), DamagedDocument, "damaged"),
    "rows that never end": ("a.xlsx", lambda: sheet_of('<row hidden="1" ' * 50_000), DamagedDocument, "damaged"),
    "pictures that never begin": ("a.fodt", lambda: FLAT + b"<office:binary-data>" * 100_000,
                                  DamagedDocument, "damaged"),
    "book of another folder": ("a.epub", lambda: book_of([], more={
        "META-INF/container.xml": '<c><rootfile full-path="../../etc/passwd"/></c>'}), DamagedDocument, "damaged"),
    "tags that never end": ("a.epub", lambda: book_of(["<a " * 100_000]), NoTextInDocument, "no text"),
    "pictures that never end": ("a.rtf", lambda: rb"{\rtf1{\pict\bin999999999999 x}y}", NoTextInDocument, "no text"),
    "a character beyond all": ("a.rtf", lambda: rb"{\rtf1\uc999999999\u65 x\u99999999 y}", DamagedDocument, "damaged"),
    "parts in parts": ("a.eml", lambda: b"".join(PART % (n, n) for n in range(3_000)), DamagedDocument, "damaged"),
    "mails in mails": ("a.eml", lambda: b"Content-Type: message/rfc822\n\n" * 3_000, DamagedDocument, "damaged"),
    "a mail of many parts": ("a.eml", lambda: PART % (1, 1) + b"\nx\n--b1\n" * 9_000, DocumentTooLarge, "2,000 parts"),
    "compressed RTF that lies": ("a.msg", lambda: outlook_of(PROPERTIES | {"__substg1.0_10090102": struct.pack(
        "<IIII", 10, 2**32 - 1, 0x75465A4C, 0) + b"\xff" * 99}), DamagedDocument, "damaged"),
    "a mail with a table of gigabytes": ("a.msg", lambda: outlook_of(PROPERTIES)[:64] + struct.pack("<I", 2**24)
                                         + outlook_of(PROPERTIES)[68:], DamagedDocument, "damaged"),
    "a notebook nested without end": ("a.ipynb", lambda: b"[" * MB, DamagedDocument, "Jupyter"),
    "a number without end": ("a.ipynb", lambda: b'{"cells": [' + b"9" * 100_000 + b"]}", DamagedDocument, "Jupyter"),
    "arrays that never end": ("a.json", lambda: b"[" * MB, DocumentTooLarge, "characters"),
}  # fmt: skip

READ: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a column beyond Excel's": ("a.xlsx", lambda: sheet_of('<row><c r="ZZZ1"><v>7</v></c></row>'), "Sheet “Sheet1”"),
    "every column hidden, and again": ("a.xlsx", lambda: sheet_of(
        CELL.format(1, "x") + '<col min="1" max="9999999" hidden="1"/>' * 20_000), "Sheet “Sheet1”\n\nx"),
    "a cell a billion times": ("a.ods", lambda: opendocument_of("ods", ENDLESS_CELL), "Sheet “”"),
    "a billion spaces": ("a.odt", lambda: opendocument_of(
        "odt", '<text:p>a<text:s text:c="999999999"/>b</text:p>'), "a  "),
    "level a billion": ("a.odt", lambda: opendocument_of(
        "odt", '<text:h text:outline-level="999999999">x</text:h>'), "x"),
    "tables in tables": ("a.odt", lambda: opendocument_of("odt", NESTED_TABLE[0] * 60 + "<text:p>x</text:p>"
                                                          + NESTED_TABLE[1] * 60), "x"),
    "entities in a book": ("a.epub", lambda: book_of([LAUGHS + "<p>&l9;seen</p>"]), "]>\n\n&l9;seen"),
    "groups that never end": ("a.rtf", lambda: rb"{\rtf1 " + b"{" * MB + b"x", "x"),
    "fields that never end": ("a.rtf", lambda: rb"{\rtf1 x" + rb"{\field{\*\fldinst{HYPERLINK " * 30_000, "x"),
    "fonts that are none": ("a.rtf", lambda: rb"{\rtf1{\fonttbl " + rb"\f1 " * 200_000 + b"}x}", "x"),
    "fonts that never end": ("a.rtf", lambda: rb"{\rtf1{\fonttbl{" + rb"\f1\fcharset1 y" * 50_000 + b"}}x}", "x"),
    "a header of many words": ("a.eml", lambda: b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\nx", "Subject: aaaa"),
    "a header of many bad bytes": ("a.eml", lambda: b"Subject: \xe9t\xe9\n" * 100_000 + b"\nx", "Subject: été"),
    "a body from elsewhere": ("a.eml", lambda: b"Subject: x\nContent-Type: message/external-body; "
                              b"access-type=local-file; name=/etc/passwd\n\n\n", "Subject: x"),
    "a million quotation marks": ("a.csv", lambda: b"a,b\n" + b'"' * MB, "1 row"),
    "a line of many columns": ("a.csv", lambda: b",".join(b"a%d" % n for n in range(100_000)) + b"\n1\n", "1 row"),
    "a formula of another program": ("a.csv", lambda: b"a,b\n=cmd|' /C calc'!A0,2", "1 row and 2 columns: a, b."),
    "a string that never ends": ("a.json", lambda: b'"' + b"\\" * MB, '"\n\\\\'),
    "elements nested without end": ("a.xml", lambda: b"<a>" * 100_000, "<a><a>"),
    "attributes without end": ("a.xml", lambda: b"<a " + b" ".join(b'a%d="x"' % n for n in range(200_000)) + b"/>",
                               "a a0=x a1=x"),
    "entities that multiply": ("a.xml", lambda: (LAUGHS + "<d>&l9;&file;</d>").encode(), "<!DOCTYPE"),
    "accents that never end": ("a.tex", lambda: b'\\"' * MB, '\\"'),
    "titles in titles": ("a.tex", lambda: b"\\title{" * 100_000, "\\title{"),
    "a header that never ends": ("a", lambda: b"A:b\n" * 100_000, "A:b"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_what_to_do(case: str) -> None:
    name, build, error, said = REFUSED[case]
    with pytest.raises(error, match=said) as caught:
        read_in_sandbox(build(), name, PATIENT)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("case", READ)
def test_read_for_what_a_person_sees_of_it(case: str) -> None:
    name, build, text = READ[case]
    document = read_in_sandbox(build(), name, PATIENT)
    assert document.text.startswith(text)
    assert "root:" not in document.text
