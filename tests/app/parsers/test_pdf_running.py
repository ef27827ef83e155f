"""What repeats on the pages of a PDF is kept once; what only looks alike is kept."""

from __future__ import annotations

from pathlib import Path

from app.parsers import read
from tests.papers import pdf

CASES = Path(__file__).parent / "cases"
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
BODY = "The committee met in the town hall and spoke of the harbour for two hours, and of matter"


def test_numbers_that_differ_are_facts() -> None:
    document = read((CASES / "invoice-per-page.pdf").read_bytes(), "invoice-per-page.pdf")
    for fact in ("Invoice 1001", "Invoice 1004", "240.00 EUR", "915.50 EUR", "1,280.00 EUR", "99.90 EUR"):
        assert fact in document.text
    assert document.notes == ()
    assert document.left_out == ()


def test_numbers_that_count_up_are_facts_unless_they_are_the_page() -> None:
    pages = [
        [f"Report {i}", f"{i} May 2024", f"{BODY} {word}.", f"Closing balance {i}00.00", f"Page {i} of 4"]
        for i, word in enumerate(WORDS[:4], 1)
    ]
    document = read(pdf(pages), "x.pdf")
    for i in range(1, 5):
        assert f"Report {i}\n{i} May 2024" in document.text
        assert f"Closing balance {i}00.00" in document.text
    assert "of 4" not in document.text
    assert document.notes == ("Left out: 4 page numbers.",)
    assert (
        document.left_out[0].text
        == "Page 1: Page 1 of 4\nPage 2: Page 2 of 4\nPage 3: Page 3 of 4\nPage 4: Page 4 of 4"
    )


def test_a_label_stays_with_its_value() -> None:
    pages = [["Invoice number", f"{1000 + i}", f"{BODY} {word}."] for i, word in enumerate(WORDS)]
    document = read(pdf(pages), "x.pdf")
    assert document.text.count("Invoice number") == 8
    assert "Invoice number\n1007" in document.text


def test_right_and_left_pages_have_their_own_headers() -> None:
    pages = [
        ["Chapter One" if i % 2 else "The History of Lindness", f"{BODY} {word}.", str(i)]
        for i, word in enumerate(WORDS, 1)
    ]
    document = read(pdf(pages), "x.pdf")
    assert document.text.count("Chapter One") == document.text.count("The History of Lindness") == 1
    assert document.text.endswith("matter eight.\nChapter One\nThe History of Lindness")
    assert document.title == f"{BODY} one."


def test_a_footer_does_not_cut_a_sentence() -> None:
    pages = [
        ["Harbour news", "The road went on over the", "Confidential"],
        ["Harbour news", "hills and did not re-", "Confidential"],
        ["Harbour news", "turn to the sea.", "Confidential"],
    ]
    document = read(pdf(pages), "x.pdf")
    assert document.text == "The road went on over the hills and did not return to the sea.\nHarbour news\nConfidential"


def test_a_header_and_its_page_number_go_together() -> None:
    pages = [[f"Annual report of the harbour | {i}", f"{BODY} {word}."] for i, word in enumerate(WORDS, 11)]
    document = read(pdf(pages), "x.pdf")
    assert document.text.count("Annual report of the harbour") == 1
    assert document.left_out[0].text.count("Annual report of the harbour") == 7


def test_the_end_of_a_sentence_that_repeats_on_short_pages_is_text() -> None:
    between = [""] * 30
    pages = [
        [
            "Minutes",
            "",
            "",
            f"Item {i}: the owners agreed on {i}50 euros for the gate",
            "keeper, and on an",
            "audit in May.",
        ]
        for i in range(1, 4)
    ]
    numbered = [[*lines, *between, f"Page {i} of 3"] for i, lines in enumerate(pages, 1)]
    for document in (read(pdf(pages), "x.pdf"), read(pdf(numbered), "x.pdf")):
        assert document.text.count("keeper, and on an") == document.text.count("audit in May.") == 3
        assert document.text.count("Minutes") == 1
        assert "Page 2" not in document.text


def test_two_running_lines_at_an_edge_both_go() -> None:
    pages = [
        [f"{BODY} {word}.", *[""] * 20, "Harbour Office, Quay 5", "Confidential", f"Page {i}"]
        for i, word in enumerate(WORDS[:4], 1)
    ]
    document = read(pdf(pages), "x.pdf")
    assert document.text.count("Harbour Office, Quay 5") == document.text.count("Confidential") == 1
