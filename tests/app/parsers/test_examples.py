"""The example documents read without loss, and the answers expected to their questions stand in them."""

import json
from pathlib import Path

import pytest

from app.parsers import read

FOLDER = Path(__file__).parents[3] / "assets" / "examples"
EXAMPLES = json.loads((FOLDER / "examples.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["file"])
def test_title_and_answers_stand_in_the_text(example):
    document = read((FOLDER / example["file"]).read_bytes(), example["file"])
    assert document.title == example["title"]
    assert len(example["questions"]) == 4
    for row in example["questions"]:
        assert row["question"].endswith("?")
        assert (row["answer"] is None) == (row["at_4x"] == "abstains")
        if row["answer"] is not None:
            assert row["answer"] in document.text
            assert len(row["answer"].split()) <= 5
    assert [row["at_4x"] for row in example["questions"]].count("right") == 3


def test_three_kinds_within_sixty_kilobytes():
    documents = [(FOLDER / example["file"], example["file"]) for example in EXAMPLES]
    kinds = [read(path.read_bytes(), name).media_type for path, name in documents]
    assert kinds == ["text/plain", "application/pdf", "text/markdown"]
    assert sum(path.stat().st_size for path, _ in documents) <= 60_000


def test_a_real_pdf_gives_paragraphs_pages_and_a_table():
    document = read((FOLDER / "kelsa-battery-report.pdf").read_bytes(), "report.pdf")
    assert [page.number for page in document.pages] == [1, 2, 3, 4]
    assert "with a nominal capacity of 1,200 kWh and an inverter rated at 600 kW." in document.text  # over two pages
    assert "\nWhole pilot 5,875 633.5 86.3% 96.7%\n" in document.text
    assert document.text.count("Report 2024-17") == 1
    page = document.pages[2]
    assert page.number == 3
    assert page.start <= document.text.index("Ilse Brandt") < page.end
    assert document.notes == ("Left out: 3 copies of headers and footers, which are kept once, and 4 page numbers.",)
