"""Letters of PDFs by their places: spaces that no file writes, accents drawn over letters, raised and lowered text."""

from __future__ import annotations

import pytest

from app.parsers import read
from tests.app.parsers.hostile import pdf_of


def drawn(operators: str) -> str:
    """The text of a page that draws with these operators, from (72, 700) on in a letter size of 10."""
    return read(pdf_of([f"BT /F1 10 Tf 72 700 Td {operators} ET".encode("cp1252")]), "x.pdf").text


def gapped(*words: str, gap: int, tracking: float = 0) -> str:
    """Operators for words on one line with gaps of so many thousandths of the letter size and no written spaces."""
    return f"{tracking} Tc [{f' {-gap} '.join(f'({word})' for word in words)}] TJ"


WORDS = ("the", "Mathematics", "Genealogy", "Project", "is", "a", "matter", "of", "importance", "for", "women")


@pytest.mark.parametrize("gap", [140, 160, 200, 278, 400, 700])
@pytest.mark.parametrize("tracking", [-0.15, 0, 0.3])
def test_gaps_between_words_are_spaces_however_tight_the_line(gap: int, tracking: float) -> None:
    assert drawn(gapped(*WORDS, gap=gap, tracking=tracking)) == " ".join(WORDS)


def test_kerning_within_words_is_no_space() -> None:
    line = "[(A) 74 (V) 70 (A) 30 (T) -40 (AR) -50 (S) 20 (and) -300 (W) 60 (a) -45 (ves) -300 (of) -300 (foam)] TJ"
    assert drawn(line) == "AVATARSand Waves of foam"


@pytest.mark.parametrize("tracking", [1, 2, 3])
def test_letters_set_wide_are_words_where_spaces_are_written(tracking: int) -> None:
    text = "The ships of the line went out at dawn, Pte Ltd."
    assert drawn(f"{tracking} Tc ({text}) Tj") == text


def test_a_sign_that_closes_stands_at_its_word() -> None:
    assert (
        drawn("[(f) -50 (\\() -110 (x) -130 (\\)) -400 (is) -400 (known) -120 (,) -400 (too)] TJ")
        == "f(x) is known, too"
    )


@pytest.mark.parametrize(
    ("accent", "letter", "back", "right"),
    [("\\264", "e", 445, "é"), ("\\250", "o", 445, "ö"), ("\\210", "a", 445, "â"), ("\\270", "c", 416, "ç")],
)
def test_accents_drawn_over_a_letter_belong_to_it(accent: str, letter: str, back: int, right: str) -> None:
    after = f"[(Prot{letter}) {back} ({accent}) -100 (g)] TJ"
    assert drawn(after).replace(" ", "") == f"Prot{right}g"
    before = f"[(Prot{accent}) 445 ({letter}) 0 (g)] TJ"
    assert drawn(before).replace(" ", "") == f"Prot{right}g"


def test_signs_that_look_like_accents_stay_signs() -> None:
    for text in ("`make` and ~user in a^b", "90\xb4 or 12\xa8 long", "l\xb4eau d\xb4ici"):
        assert drawn(f"({text}) Tj") == text


def test_raised_text_stays_apart() -> None:
    raised = (
        "(About 10) Tj 7 Tf 4 Ts (6) Tj 10 Tf 0 Ts ( fish pass 2.4 m) Tj 7 Tf 4 Ts (3) Tj 10 Tf 0 Ts ( a second.) Tj"
    )
    assert drawn(raised.replace("7 Tf", "/F1 7 Tf").replace("10 Tf", "/F1 10 Tf")) == (
        "About 10^6 fish pass 2.4 m^3 a second."
    )


def test_marks_of_references_stay_apart() -> None:
    marked = "(They are apparent) Tj /F1 7 Tf 4 Ts (1,9) Tj /F1 10 Tf 0 Ts ( to all in the 2) Tj"
    ordinal = " /F1 7 Tf 4 Ts (nd) Tj /F1 10 Tf 0 Ts ( year.) Tj"
    assert drawn(marked + ordinal) == "They are apparent^1,9 to all in the 2nd year."


def test_lowered_numbers_stay_apart_from_numbers_alone() -> None:
    lowered = "(Of H) Tj /F1 7 Tf -2 Ts (2) Tj /F1 10 Tf 0 Ts (O and 1101) Tj /F1 7 Tf -2 Ts (2) Tj"
    assert drawn(lowered) == "Of H2O and 1101_2"


def test_small_text_on_the_line_is_not_raised() -> None:
    assert drawn("(N) Tj /F1 7 Tf (ATURE) Tj /F1 10 Tf ( 12) Tj /F1 7 Tf (34) Tj") == "NATURE 1234"


def test_a_page_of_accents_alone_is_read() -> None:
    assert drawn("(" + "\xb4" * 3000 + ") Tj").startswith("\xb4")
