"""The text of PDFs as a person reads it: rows, code and talk keep their lines, running text loses them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from app.parsers import read
from tests.app.parsers.hostile import FONT, pdf_of, stream
from tests.papers import pdf

CASES = Path(__file__).parent / "cases"
LINES_APART: dict[str, list[str]] = {
    "rows that end in amounts": [
        "item quantity price",
        "apples from Styria 12 3.40",
        "pears from Kent 7 2.10",
        "plums from Bosnia 31 9.90",
    ],
    "rows of names": [
        "Town River Country Founded by",
        "Graz Mur Austria Romans and Slavs",
        "Linz Danube Austria Romans and Celts",
        "Bern Aare Switzerland Duke Berthold",
        "Lyon Rhone France Lucius Plancus",
    ],
    "a statement": [
        "2024-01-03 Rent for January paid to the landlord 840.00",
        "2024-01-05 Electricity paid by standing order 61.20",
        "2024-01-09 Groceries bought at the market hall 35.75",
        "2024-01-12 Salary received from the harbour office 2,410.00",
    ],
    "a list without marks": [
        "a dozen eggs",
        "two litres of milk from the farm",
        "one loaf of bread",
        "half a pound of butter",
        "three lemons",
    ],
    "commands": [
        "sudo apt-get update",
        "sudo apt-get install nginx",
        "systemctl restart nginx",
        "curl -I http://localhost",
    ],
    "speakers with a colon": [
        "Anna: Where did you leave the key to the boathouse last night?",
        "Ben: On the hook behind the door, where it always hangs.",
        "Anna: It is not there now, and the rowing boat has gone too.",
    ],
    "speech in quotation marks": [
        "“Where did you leave the key to the boathouse last night?” she asked him.",
        "“On the hook behind the door,” said Ben, who had not looked up from his tea.",
        "“It is not there now, and the rowing boat has gone too, with the nets in it.”",
    ],
    "a poem": [
        "The sea is calm tonight.",
        "The tide is full, the moon lies fair",
        "Upon the straits; on the French coast the light",
        "Gleams and is gone; the cliffs of England stand,",
        "Glimmering and vast, out in the tranquil bay.",
    ],
    "an address": ["Ann Bauer", "Hauptstrasse 5", "8010 Graz", "Austria"],
}
RUNNING = {
    "names and numbers": "The meeting was opened by Dr. Anna Bauer of Graz University, who thanked Otto Lind, Mia "
    "Rossi and Jan Novak for their work on the Harbour Act of 1998. In 2003 the Ministry of Transport asked Professor "
    "Klein for an opinion on the fees, which had risen by 40% since 1990 and which the Council of Towns called unfair.",
    "German nouns": "Der Vertrag über die Lieferung von Möbeln an die Stadt Graz wurde am Montag von Bürgermeisterin "
    "Huber und dem Geschäftsführer der Firma Holzbau Lind unterzeichnet. Die Lieferung der Stühle und Tische beginnt "
    "im September und endet im Dezember. Die Kosten von 48.000 Euro trägt die Stadt, die Montage übernimmt die Firma.",
}


def case(name: str) -> str:
    return read((CASES / name).read_bytes(), name).text


def placed(*words: tuple[str, float, float]) -> bytes:
    """A content stream that puts each text at its place."""
    drawn = "".join(f"1 0 0 1 {x} {y} Tm ({text}) Tj " for text, x, y in words)
    return f"BT /F1 11 Tf {drawn}ET".encode()


@pytest.mark.parametrize("kind", LINES_APART)
def test_lines_that_stand_for_themselves_stay_lines(kind: str) -> None:
    assert read(pdf([LINES_APART[kind]]), "x.pdf").text.split("\n") == LINES_APART[kind]


@pytest.mark.parametrize("kind", RUNNING)
@pytest.mark.parametrize("width", [50, 70, 90])
def test_running_text_is_one_line(kind: str, width: int) -> None:
    assert read(pdf([textwrap.wrap(RUNNING[kind], width)]), "x.pdf").text == RUNNING[kind]


def test_rows_of_one_length_stay_rows() -> None:
    rows = case("table-rows-glued.pdf").split("\n")
    assert rows[0] == "Site Office Contract Staff Budget"
    assert rows[3] == "Cedar Western district office permanent 88 3,400.25"
    assert len(rows) == 6


def test_cells_that_are_drawn_apart_are_rows() -> None:
    cells = [("Town", "Fee"), ("Graz on the Mur", "45"), ("Linz", "210")]
    drawn = [(text, 72 + 250 * i, 700 - 30 * row) for row, pair in enumerate(cells) for i, text in enumerate(pair)]
    assert read(pdf_of([placed(*drawn)]), "x.pdf").text == "Town Fee\nGraz on the Mur 45\nLinz 210"


def test_words_that_are_drawn_one_by_one_are_a_line() -> None:
    words = ["Each", "word", "of", "this", "line", "has", "an", "order", "of", "its", "own", "to", "be", "drawn"]
    content = b"".join(
        b"BT /F1 11 Tf 1 0 0 1 %d 700 Tm (%b) Tj ET " % (72 + 36 * i, w.encode()) for i, w in enumerate(words)
    )
    assert read(pdf_of([content]), "x.pdf").text == " ".join(words)


def test_code_keeps_its_lines_and_levels() -> None:
    lines = ["def total(rows):", "    sum = 0", "    for row in rows:", "        sum += row.price", "    return sum"]
    read_lines = read(pdf([lines]), "x.pdf").text.split("\n")
    assert [line.strip() for line in read_lines] == [line.strip() for line in lines]
    depths = [len(line) - len(line.lstrip()) for line in read_lines]
    assert depths[0] == 0 < depths[1] == depths[2] == depths[4] < depths[3]


def test_prose_around_code_is_joined() -> None:
    prose = ["The function adds prices of all rows that the customer has ordered so far and", "returns the sum:"]
    code = ["total = 0", "for row in rows:", "    total = total + row.price", "print(total)"]
    after = ["It is called once a day by the timer and writes what it returns into the log."]
    text = read(pdf([[*prose, *code, *after]]), "x.pdf").text.split("\n")
    assert [line.strip() for line in text] == [" ".join(prose), *(line.strip() for line in code), *after]


def test_addresses_are_not_broken() -> None:
    lines = [
        "The form is at https://www.harbour.example.org/fees/2024/",
        "application-form.html and the rules are at https://rules.example.org/harbour-",
        "fees/2024.pdf for all boats; write to anna.bauer@",
        "harbour.example.org or to the office at fees@harbour.example.",
        "org before the end of the month, or see https://www.example.org/",
        "for the rest of the rules that hold in the harbour and on the quays.",
    ]
    text = read(pdf([lines]), "x.pdf").text
    assert "https://www.harbour.example.org/fees/2024/application-form.html and" in text
    assert "https://rules.example.org/harbour-fees/2024.pdf for" in text
    assert "anna.bauer@harbour.example.org or" in text
    assert "fees@harbour.example.org before" in text
    assert "https://www.example.org/ for the rest" in text


def test_hyphens_stay_where_they_belong() -> None:
    lines = [
        "The plant at the lower end of the harbour town has a self-",
        "service desk that sells tickets and maps of the years 2019-",
        "2024 and answers questions about the tides by letter or e-",
        "mail, before and after COVID-",
        "19, in all of the state's pre- and post-war offices, where the under-",
        "standing of tides is an A-",
        "level course, with in- and out-of-print books for summer-",
        "and winter guests of the town.",
    ]
    text = read(pdf([lines]), "x.pdf").text
    for right in ("self-service", "2019-2024", "e-mail", "COVID-19", "understanding", "A-level", "summer- and winter"):
        assert right in text


def test_letters_printed_twice_are_read_once() -> None:
    assert case("fake-bold.pdf").split("\n")[0] == "Payment within 30 days"
    bold = placed(*(("Still all bills will fill", 72 + shift, 700) for shift in (0, 0.3, 0.6)), ("Next.", 72, 650))
    assert read(pdf_of([bold]), "x.pdf").text == "Still all bills will fill\nNext."


def test_a_glyph_of_two_letters_is_two_letters() -> None:
    mapped = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 100 0 R >>"
    mapping = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00><ff> endcodespacerange\n"
        b"2 beginbfchar\n<41> <00660066>\n<42> <0066006C>\nendbfchar endcmap"
    )
    data = pdf_of([placed(("oA to the oAice Boor", 72, 700))], objects={3: mapped, 100: stream(mapping)})
    assert read(data, "x.pdf").text == "off to the office floor"


def test_chinese_and_japanese_lines_are_joined_without_spaces() -> None:
    text = case("cjk-lines.pdf")
    assert "遅延損害金" in text
    assert "佐藤花子である。" in text
    assert "契約" in text
    assert " " not in text


def test_columns_are_read_one_after_the_other() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    left = [(f"The left column has its line number {n} and", 40, 700 - 14 * i) for i, n in enumerate(words)]
    right = [(f"the right column has another number {n} or", 310, 700 - 14 * i) for i, n in enumerate(words)]
    text = read(pdf_of([placed(*left, *right)]), "x.pdf").text
    assert text.index("left column has its line number twelve") < text.index("right column has another number one")
    assert "number twelve and the right column" in text


def test_a_turned_page_is_read_like_any_other() -> None:
    drawn = b"".join(
        b"0 1 -1 0 %d 72 Tm (%b) Tj " % (100 + 14 * i, line.encode())
        for i, line in enumerate(textwrap.wrap(RUNNING["names and numbers"], 70))
    )
    page = FONT + " /Rotate 90"
    assert read(pdf_of([b"BT /F1 11 Tf " + drawn + b"ET"], page=page), "x.pdf").text == RUNNING["names and numbers"]


@pytest.mark.parametrize("matrix", ["-1 0 0 -1", "0 1 -1 0", "0 -1 1 0"])
def test_text_turned_on_an_upright_page_is_read_along_its_lines(matrix: str) -> None:
    upright = b"BT /F1 11 Tf 1 0 0 1 72 760 Tm (The table stands on its side or on its head.) Tj ET "
    words = [("This", 0), ("is", 40), ("written", 80), ("up", 140), ("from", 180), ("bottom", 220)]
    a, b, *_ = (int(number) for number in matrix.split())
    turned = " ".join(f"{matrix} {300 + a * x} {400 + b * x} Tm ({word}) Tj" for word, x in words)
    text = read(pdf_of([upright + f"BT /F1 11 Tf {turned} ET".encode()]), "x.pdf").text
    assert "This is written up from bottom" in text


def test_gibberish_is_noted() -> None:
    shifted = RUNNING["names and numbers"].translate({code: code + 3 for code in range(65, 120)})
    note = "Many characters have no known meaning in this PDF; the text may be unreadable."
    assert note in read(pdf([textwrap.wrap(shifted, 70)]), "x.pdf").notes
    assert read(pdf([textwrap.wrap(RUNNING["German nouns"], 70)]), "x.pdf").notes == ()


@pytest.mark.parametrize("name", ["title-anonymous.pdf", "title-untitled.pdf"])
def test_text_of_files_with_default_titles(name: str) -> None:
    assert case(name) == "Harbour fees 2024\nThe fee for boats under 10 m is 45 euro a week."
