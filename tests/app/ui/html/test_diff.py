from bs4 import BeautifulSoup

from app.ui.html.diff import MAX_DIFF_WORDS, inline_diff, word_diff


def soup(source):
    return BeautifulSoup(source, "html.parser")


def marked(fragment, side):
    """(class, text) of every difference on one side of a diff."""
    section = soup(fragment).find("section", {"aria-label": side})
    return [(tag["class"][0], tag.get_text()) for tag in section.find_all(["del", "ins"])]


def test_word_diff_marks_what_is_missing_added_and_changed():
    fragment = word_diff(
        "In 1911 the old harbour, then new, was deep.", "In 1971 the harbour, then new, was very deep."
    )
    assert marked(fragment, "Original") == [("ccf-chg", "1911"), ("ccf-del", "old")]
    assert marked(fragment, "Reconstruction") == [("ccf-chg", "1971"), ("ccf-ins", "very")]
    assert "<b>10 of 12</b>" in fragment


def test_word_diff_keeps_both_texts_and_their_lines():
    original, reconstruction = "One line.\n\n  Two  lines — 3.14, so.", "One line.\n\n  Two lines, 3.15 so?"
    page = soup(word_diff(original, reconstruction))
    assert [side.get_text() for side in page.select(".ccf-text")] == [original, reconstruction]


def test_punctuation_alone_does_not_make_a_word_differ():
    fragment = word_diff("to Paris, (then) home", "to Paris. then home")
    assert marked(fragment, "Original") == [("ccf-chg", ", ("), ("ccf-del", ")")]
    assert marked(fragment, "Reconstruction") == [("ccf-chg", ".")]


def test_word_diff_of_equal_and_of_empty_texts():
    assert marked(word_diff("same words", "same words"), "Original") == []
    assert "<b>2 of 2</b>" in word_diff("same words", "same words")
    assert "nothing" in word_diff("words", "")
    assert "nothing" in word_diff("", "words")


def test_word_diff_without_spaces_between_words():
    assert marked(word_diff("港は深い", "港は広い"), "Original") == [("ccf-chg", "深")]


def test_probabilities_mark_the_words_that_their_pieces_form():
    pieces = [
        ("The", 0.99),
        (" har", 0.9),
        ("bour", 0.3),
        (" is", 0.7),
        ("\ufffd", 0.1),
        (" deep", 0.94),
        (".", 1.0),
    ]
    page = soup(word_diff("The harbour is deep.", "The harbour is deep.", pieces))
    words = [(tag.get_text(), tag.get("class"), tag["title"]) for tag in page.select("section span[title]")]
    assert words == [
        ("The", None, "probability 0.99"),
        ("harbour", ["ccf-p0"], "probability 0.30"),
        ("is", ["ccf-p1"], "probability 0.70"),
        ("deep", ["ccf-p2"], "probability 0.94"),
        (".", None, "probability 1.00"),
    ]
    assert "probability under 0.5" in page.select_one(".ccf-legend").get_text()


def test_a_diff_beyond_the_cap_says_so():
    words = " ".join(str(i) for i in range(MAX_DIFF_WORDS + 5))
    fragment = word_diff(words, words)
    assert f"Only the first {MAX_DIFF_WORDS:,} words are compared." in fragment
    assert "Only the first" not in word_diff("a b", "a c")


def test_inline_diff_keeps_words_apart() -> None:
    html = inline_diff("Patience", "The Lady")
    assert "</del> <ins" in html
    assert "<del" not in inline_diff("same words", "same words")
