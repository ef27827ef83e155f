from app.parsers import read

SOURCE = """---
title: "The Oil Press"
date: 2031-05-01
---
# Oil *press*

Press the olives
within **a day** of [picking](https://example.org/a "b") them.\\
Never wait: `press --now`.

1. Wash
2. Crush
   - slowly
   - cold

> Cold oil keeps.

| Press | Litres |
|-------|-------:|
| old   | 40     |

```python
x = a * b * c
```

![a stone mill](mill.png) and <b>bold</b> &amp; 5 \\* 3 <https://example.org>

<div><p>Raw <em>block</em></p><script>alert(1)</script></div>

Setext heading
==============
"""


def test_words_without_markup():
    document = read(SOURCE.encode(), "press.md")
    assert document.text == (
        "Oil press\n\nPress the olives within a day of picking them.\nNever wait: press --now.\n\n"
        "1. Wash\n2. Crush\n  - slowly\n  - cold\n\nCold oil keeps.\n\n"
        "Press | Litres\nold | 40\n\nx = a * b * c\n\n"
        "a stone mill and bold & 5 * 3 https://example.org\n\nRaw block\n\nSetext heading"
    )
    assert (document.title, document.media_type) == ("The Oil Press", "text/markdown")
    assert document.notes == (
        "The front matter was left out.",
        "Tables were flattened: “ | ” stands between cells.",
    )


def test_title_from_the_first_heading():
    assert read(b"Intro.\n\n## The `second` *try*\n", "x.md").title == "The second try"
    assert read(b"Only a sentence\nof two lines.", "olive_notes.md").title == "olive notes"


def test_deep_nesting_loses_nothing():
    assert "deepest" in read((b"> " * 60) + b"deepest", "deep.md").text


def test_loose_lists_and_starting_numbers():
    assert read(b"7. Seven\n\n8. Eight\n\nEnd.", "x.md").text == "7. Seven\n\n8. Eight\n\nEnd."
