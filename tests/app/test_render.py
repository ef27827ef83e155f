import random
import re
from html.parser import HTMLParser

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from app import render

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>body{display:none}</style>",
    "</textarea></title><svg/onload=alert(1)>",
    "<!-- --><!doctype html><base href=//evil.example>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "${alert(1)} `${alert(1)}` {{constructor}} {{{value}}} \\u003cscript\\u003e",
    "\x00<\x00script>\x1b[31m\ud800",
]
ALLOWED_TAGS = {
    *("div", "span", "p", "b", "h4", "section", "article", "header", "dl", "dt", "dd"),
    *("details", "summary", "blockquote", "meter", "del", "ins"),
}
ALLOWED_ATTRIBUTES = {"class", "title", "dir", "role", "aria-label", "aria-hidden", "value", "min", "max"}


def soup(source):
    return BeautifulSoup(source, "html.parser")


class Inventory(HTMLParser):
    """Every tag and attribute of a fragment, and whether each opened tag is closed in order."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.open, self.balanced = set(), set(), [], True
        self.feed(source)
        self.close()
        self.balanced &= not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.balanced &= bool(self.open) and self.open.pop() == tag

    def handle_comment(self, data):
        self.tags.add("comment")

    def handle_decl(self, declaration):
        self.tags.add("declaration")


def fragments(text):
    """`text` through every function that makes HTML, in every place that takes text."""
    return [
        render.notice("info", text),
        render.document_card(text, [(text, text)], state=text, notes=[text], failed=True),
        render.evidence([(text, 0.5, text, 3), (text, 0.1, text, None)]),
        render.word_diff(text, "other " + text, [("other", 0.1), (text, 0.2)]),
        render.word_diff("other " + text, text),
    ]


@pytest.mark.parametrize("attack", ATTACKS)
def test_untrusted_text_adds_no_tag_and_no_attribute(attack):
    for fragment in fragments(attack):
        inventory = Inventory(fragment)
        assert inventory.tags <= ALLOWED_TAGS
        assert inventory.attributes <= ALLOWED_ATTRIBUTES
        assert inventory.balanced
        assert not re.search(r"[`${}\\\x00-\x08\x0b-\x1f\ud800-\udfff]", fragment)


@pytest.mark.parametrize("attack", ATTACKS[:-1])
def test_untrusted_text_is_shown_as_it_stands(attack):
    shown = [soup(fragment).get_text() for fragment in fragments(attack)]
    assert all(attack in text for text in shown)
    assert render.escape(attack).count("<") == 0


def test_random_text_never_breaks_out():
    generator = random.Random(11)
    for _ in range(300):
        text = "".join(generator.choices("<>&\"'`=/ ${}\\\n\u202eab-!", k=generator.randint(0, 40)))
        for fragment in fragments(text):
            inventory = Inventory(fragment)
            assert inventory.tags <= ALLOWED_TAGS
            assert inventory.attributes <= ALLOWED_ATTRIBUTES
            assert inventory.balanced


def test_characters_that_reorder_or_hide_are_made_visible_and_invisible_ones_go():
    assert render.escape("user\u202etxt.exe\u2066 \U000e0041") == "user[U+202E]txt.exe[U+2066] [U+E0041]"
    assert render.escape("a\u200bb\ufeffc\u00add\u200ee") == "abcde"
    assert render.escape("tab\tline\r\nnext\x07") == "tab\tline\nnext\ufffd"
    assert render.escape("नी می‌خواهم 👩‍🔬") == "नी می‌خواهم 👩‍🔬"
    for fragment in fragments("x\u202ey"):
        assert "\u202e" not in fragment
        assert "[U+202E]" in fragment


MARKDOWN = [
    *ATTACKS[:9],
    "# heading",
    "Setext\n===",
    "- item",
    "+ item",
    "1. item",
    "7) item",
    "> quote",
    "    code",
    "\tcode",
    "```\ncode\n```",
    "~~~\ncode",
    "*em* **strong** _em_ ~~gone~~ `code`",
    "[link](javascript:alert(1))",
    "![image](https://evil.example/x.png)",
    "<https://evil.example>",
    "[a]: https://evil.example\n\n[a]",
    "| a | b |\n|---|---|\n| c | d |",
    "---",
    "***",
    "$$x^2$$ \\(x\\)",
    "&copy; &#60;b&#62;",
    "line  \nbreak",
    "back\\slash \\*not em\\*",
    "[^1]: note",
    ":smile: @name #12",
]


@pytest.mark.parametrize("text", MARKDOWN)
def test_markdown_shows_text_literally(text):
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = soup(parser.render(render.escape_markdown(text)))
    assert {tag.name for tag in page.find_all(True)} <= {"p", "br"}
    assert page.get_text().replace("\u00a0", " ").split() == text.split()


def test_markdown_leaves_nothing_for_automatic_links():
    escaped = render.escape_markdown("https://evil.example www.evil.example me@evil.example")
    assert not re.search(r"https?://|www\.|\w@\w", escaped)


def marked(fragment, side):
    """(class, text) of every difference on one side of a diff."""
    section = soup(fragment).find("section", {"aria-label": side})
    return [(tag["class"][0], tag.get_text()) for tag in section.find_all(["del", "ins"])]


def test_word_diff_marks_what_is_missing_added_and_changed():
    fragment = render.word_diff(
        "In 1911 the old harbour, then new, was deep.", "In 1971 the harbour, then new, was very deep."
    )
    assert marked(fragment, "Original") == [("ccf-chg", "1911"), ("ccf-del", "old")]
    assert marked(fragment, "Reconstruction") == [("ccf-chg", "1971"), ("ccf-ins", "very")]
    assert "<b>10 of 12</b>" in fragment


def test_word_diff_keeps_both_texts_and_their_lines():
    original, reconstruction = "One line.\n\n  Two  lines — 3.14, so.", "One line.\n\n  Two lines, 3.15 so?"
    page = soup(render.word_diff(original, reconstruction))
    assert [side.get_text() for side in page.select(".ccf-text")] == [original, reconstruction]


def test_punctuation_alone_does_not_make_a_word_differ():
    fragment = render.word_diff("to Paris, (then) home", "to Paris. then home")
    assert marked(fragment, "Original") == [("ccf-chg", ", ("), ("ccf-del", ")")]
    assert marked(fragment, "Reconstruction") == [("ccf-chg", ".")]


def test_word_diff_of_equal_and_of_empty_texts():
    assert marked(render.word_diff("same words", "same words"), "Original") == []
    assert "<b>2 of 2</b>" in render.word_diff("same words", "same words")
    assert "nothing" in render.word_diff("words", "")
    assert "nothing" in render.word_diff("", "words")


def test_word_diff_without_spaces_between_words():
    assert marked(render.word_diff("港は深い", "港は広い"), "Original") == [("ccf-chg", "深")]


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
    page = soup(render.word_diff("The harbour is deep.", "The harbour is deep.", pieces))
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
    words = " ".join(str(i) for i in range(render.MAX_DIFF_WORDS + 5))
    fragment = render.word_diff(words, words)
    assert f"Only the first {render.MAX_DIFF_WORDS:,} words are compared." in fragment
    assert "Only the first" not in render.word_diff("a b", "a c")


def test_evidence_keeps_order_pages_and_shares():
    page = soup(
        render.evidence(
            [
                ("Segment 4", 0.61, "Text of four.", 2),
                ("Segment 1", 7.0, "One.", None),
                ("Segment 2", float("nan"), "Two.", None),
            ]
        )
    )
    assert [label.get_text() for label in page.select("details .ccf-label")] == [
        "Segment 4",
        "Segment 1",
        "Segment 2",
    ]
    assert [chip.meter["value"] for chip in page.select("details")] == ["0.6100", "1.0000", "0.0000"]
    assert [tag.get_text() for tag in page.select(".ccf-page")] == ["page 2"]
    assert page.blockquote.get_text() == "Text of four."
    assert "No evidence" in render.evidence([])


def test_notices_have_a_sign_besides_their_colour():
    signs = {kind: soup(render.notice(kind, "x")).select_one(".ccf-sign").get_text() for kind in render.NOTICES}
    assert len(set(signs.values())) == 4
    assert 'role="alert"' in render.notice("error", "x")
    with pytest.raises(ValueError, match="A notice is one of"):
        render.notice("fatal", "x")


def test_document_card_lists_facts_and_notes():
    page = soup(render.document_card("T", [("Pages", "2")], "ready", ["Page 2 holds no text."]))
    assert page.h4.get_text() == "T"
    assert [(row.dt.get_text(), row.dd.get_text()) for row in page.select("dl div")] == [("Pages", "2")]
    assert page.select_one(".ccf-state").get_text() == "ready"
    assert "Page 2 holds no text." in page.select_one(".ccf-notice").get_text()
