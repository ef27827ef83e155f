"""Tables can be read in pieces: rows are numbered, and the header comes again."""

from __future__ import annotations

import csv
import datetime
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.comments import Comment

from app.parsers import DamagedDocument, NoTextInDocument, read
from tests.app.parsers.hostile import zip_of
from tests.app.parsers.office_files import opendocument_of, saved, slides_of, strict_of, workbook_of

CASES = Path(__file__).parent / "cases"


def table_of(rows: list[list[str]], delimiter: str = ",") -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue().encode()


def test_every_row_is_numbered_and_the_header_is_never_far() -> None:
    document = read((CASES / "members.csv").read_bytes(), "members.csv")
    lines = document.text.split("\n")
    assert lines[0] == "159 rows and 5 columns: no, name, town, joined, fee."
    assert "Row 97 | 97 | Hal T. | Linz | 2005 | 40" in lines
    assert lines[-1] == "Row 159 | 159 | Jon D. | Enns | 2021 | 35"
    header = "Row | no | name | town | joined | fee"
    places = [at for at, line in enumerate(lines) if line == header]
    assert max(after - before for before, after in zip(places, [*places[1:], len(lines)], strict=True)) <= 9
    assert document.notes == (
        "The table has 159 rows and 5 columns; its rows are numbered, and its header is repeated between its rows.",
    )
    assert (document.title, document.media_type) == ("members", "text/csv")


def test_wide_tables_name_every_cell() -> None:
    header = [f"measured value of sensor {n}" for n in range(40)]
    text = read(table_of([header, ["1"] * 40, ["2", "", *["3"] * 38]]), "x.csv").text
    assert "\nRow 1: measured value of sensor 0: 1; measured value of sensor 1: 1; " in text
    assert "\nRow 2: measured value of sensor 0: 2; measured value of sensor 2: 3; " in text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_and_lines_within_cells(delimiter: str) -> None:
    data = table_of(
        [["town", "price", "said"], ["Linz", "1,5", 'two\nlines, "here"; | there'], ["Wels", "2", ""]], delimiter
    )
    text = read(data, "x.tsv" if delimiter == "\t" else "x.csv").text
    assert text.startswith(
        "2 rows and 3 columns: town, price, said.\n\nRow | town | price | said\nRow 1 | Linz | 1,5 | two"
    )
    assert 'two lines, "here"; | there\nRow 2 | Wels | 2 |' in text


def test_a_table_without_a_header() -> None:
    document = read(b"1,Linz,15\n2,Wels,20\n", "x.csv")
    assert document.text == "2 rows and 3 columns.\n\nRow 1 | 1 | Linz | 15\nRow 2 | 2 | Wels | 20"
    assert document.notes[0].endswith("it has no header.")


def test_a_quotation_mark_that_is_never_closed_swallows_nothing() -> None:
    rows = "".join(f'{n},"5 inch {n}\n' for n in range(60))
    assert 'Row 60 | 59 | "5 inch 59' in read(f"no,size\n{rows}".encode(), "x.csv").text


def test_excel_says_its_delimiter_and_windows_its_encoding() -> None:
    data = "sep=;\r\nOrt;Preis\r\nWörgl;1,50 €\r\n".encode("cp1252")
    assert read(data, "x.csv").text == "1 row and 2 columns: Ort, Preis.\n\nRow | Ort | Preis\nRow 1 | Wörgl | 1,50 €"


def test_a_workbook() -> None:
    book = openpyxl.Workbook()
    fees, hidden = book.active, book.create_sheet("Old")
    assert fees is not None
    fees.title = "Fees"
    for row in (
        ["Harbour fees"],
        [],
        ["Boat", "Fee", "Share", "Due", "Paid"],
        ["Anna", 45, 0.25, datetime.datetime(2024, 5, 1), True],
        ["Berta", 90.5, 1, datetime.datetime(2024, 5, 1, 12, 30), False],
        [],
        ["Clara", "=SUM(B4:B5)"],
    ):
        fees.append(row)
    fees["C4"].number_format = "0%"
    fees["A4"].comment = Comment("sold in May", "K")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    document = read(saved(book), "fees.xlsx")
    assert document.text == (
        "Sheet “Fees”\n\nHarbour fees\n\n2 rows and 5 columns: Boat, Fee, Share, Due, Paid.\n\n"
        "Row | Boat | Fee | Share | Due | Paid\n"
        "Row 4 | Anna | 45 | 25% | 2024-05-01 | TRUE\n"
        "Row 5 | Berta | 90.5 | 1 | 2024-05-01 12:30 | FALSE\n\n"
        "Row | Boat | Fee | Share | Due | Paid\nRow 7 | Clara | =SUM(B4:B5) |  |  |\n\n"
        "Comment on cell A4 of “Fees”: sold in May"
    )
    assert "1 hidden sheet was left out." in document.notes
    assert [(part.what, part.text) for part in document.left_out] == [("Hidden sheets", "Sheet “Old”\n\nsecret")]


def test_hidden_rows_and_columns_are_left_out_and_handed_over() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Boat", "Fee", "Owner"], ["Anna", 45, "Ada"], ["Berta", 90, "Bo"], ["Clara", 60, "Cy"]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["C"].hidden = True
    document = read(saved(book), "fees.xlsx")
    assert document.text == (
        "Sheet “Sheet”\n\n2 rows and 2 columns: Boat, Fee.\n\nRow | Boat | Fee\nRow 2 | Anna | 45\nRow 4 | Clara | 60"
    )
    assert [(part.what, part.text) for part in document.left_out] == [
        (
            "Hidden rows and columns",
            "Sheet “Sheet”\n\nOwner\nAda\n\n2 rows and 3 columns.\n\nRow 3 | Berta | 90 | Bo\nRow 4 |  |  | Cy",
        )
    ]
    assert "Hidden rows and columns were left out." in document.notes


def test_a_sheet_that_is_hidden_row_by_row_is_read() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Anna", "Berta"])
    sheet.row_dimensions[1].hidden = True
    document = read(saved(book), "x.xlsx")
    assert ("Anna" in document.text, document.left_out) == (True, ())


def test_comments_stand_with_their_sheets() -> None:
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("Old"), book.create_sheet("New")):
        assert sheet is not None
        sheet.append([f"in {sheet.title}"])
        sheet["A1"].comment = Comment(f"on {sheet.title}", "K")
    book["Old"].sheet_state = "hidden"
    document = read(saved(book), "x.xlsx")
    assert document.text == (
        "Sheet “Sheet”\n\nin Sheet\n\nComment on cell A1 of “Sheet”: on Sheet\n\n"
        "Sheet “New”\n\nin New\n\nComment on cell A1 of “New”: on New"
    )
    assert "Comment on cell A1 of “Old”: on Old" in document.left_out[0].text


@pytest.mark.parametrize("name", ["fees.xlsx", "fees.pptx"])
def test_the_strict_variant_is_read_like_the_other(name: str) -> None:
    data = workbook_of([["Boat", "Fee"], ["Anna", 45]]) if name.endswith("xlsx") else slides_of("Ferries")
    assert read(strict_of(data), name).text == read(data, name).text


def test_a_workbook_without_a_part_that_it_names() -> None:
    whole = zipfile.ZipFile(io.BytesIO(workbook_of([[1, 2], [3, 4]])))
    entries = {name: whole.read(name) for name in whole.namelist() if name != "xl/sharedStrings.xml"}
    assert read(zip_of(entries), "x.xlsx").text.endswith("Row 1 | 1 | 2\nRow 2 | 3 | 4")


def test_a_workbook_without_cells_and_a_broken_one() -> None:
    with pytest.raises(NoTextInDocument, match="no cells"):
        read(workbook_of([]), "x.xlsx")
    with pytest.raises(DamagedDocument, match="The Excel file is damaged"):
        read(zip_of({"[Content_Types].xml": "x", "xl/workbook.xml": "<workbook/>"}), "x.xlsx")


def test_an_opendocument_spreadsheet() -> None:
    def row(*cells: str, of: str = "") -> str:
        inside = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
        empty = '<table:table-cell table:number-columns-repeated="16000"/>'
        return f"<table:table-row {of}>{inside}{empty}</table:table-row>"

    body = (
        '<table:table table:name="Fees">'
        + row("Boat", "Fee")
        + row("Anna", "45")
        + row("Berta", "90", of='table:number-rows-repeated="2"')
        + '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row></table:table>'
    )
    document = read(opendocument_of("ods", body), "x.ods")
    assert document.text == (
        "Sheet “Fees”\n\n3 rows and 2 columns: Boat, Fee.\n\n"
        "Row | Boat | Fee\nRow 2 | Anna | 45\nRow 3 | Berta | 90\nRow 4 | Berta | 90"
    )
