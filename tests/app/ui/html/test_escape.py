import random
import re
from html.parser import HTMLParser

import pytest
from bs4 import BeautifulSoup

from app.ui.html.diff import inline_diff, word_diff
from app.ui.html.elements import button, facts, note, notice, progress, table
from app.ui.html.escape import escape

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
    *("div", "span", "p", "b", "h4", "section", "dl", "dt", "dd", "progress", "button", "del", "ins"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ALLOWED_ATTRIBUTES = {
    *("class", "title", "dir", "role", "aria-label", "aria-hidden", "value", "max"),
    *("type", "data-act", "data-of", "scope", "tabindex"),
}


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
        notice("info", text),
        note(text, status=True),
        progress(text, text, 0.5),
        button("read", "Read", "7", text) + note(text),
        facts([(text, text, text)]),
        table("costs", [(text, text), (text, "")], [(text, text)], text),
        word_diff(text, "other " + text, [("other", 0.1), (text, 0.2)]),
        word_diff("other " + text, text),
        inline_diff("other words", text),
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
    assert escape(attack).count("<") == 0


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
    assert escape("user\u202etxt.exe\u2066 \U000e0041") == "user[U+202E]txt.exe[U+2066] [U+E0041]"
    assert escape("a\u200bb\ufeffc\u00add\u200ee") == "abcde"
    assert escape("tab\tline\r\nnext\x07") == "tab\tline\nnext\ufffd"
    assert escape("नी می‌خواهم 👩‍🔬") == "नी می‌خواهم 👩‍🔬"
    for fragment in fragments("x\u202ey"):
        assert "\u202e" not in fragment
        assert "[U+202E]" in fragment
