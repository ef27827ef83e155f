from pathlib import Path

import pytest

from app.parsers import read

CASES = Path(__file__).parent / "cases"

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
        'title: "The Oil Press"\ndate: 2031-05-01\n\n'
        "Oil press\n\nPress the olives within a day of picking them.\nNever wait: press --now.\n\n"
        "1. Wash\n2. Crush\n  - slowly\n  - cold\n\nCold oil keeps.\n\n"
        "Press | Litres\nold | 40\n\nx = a * b * c\n\n"
        "a stone mill and bold & 5 * 3 https://example.org\n\nRaw block\n\nSetext heading"
    )
    assert (document.title, document.media_type) == ("The Oil Press", "text/markdown")
    assert document.notes == ("Tables were flattened: “ | ” stands between cells.",)


def test_title_from_the_first_heading():
    assert read(b"Intro.\n\n## The `second` *try*\n", "x.md").title == "The second try"
    assert read(b"Only a sentence\nof two lines.", "olive_notes.md").title == "olive notes"


def test_deep_nesting_loses_nothing():
    assert "deepest" in read((b"> " * 60) + b"deepest", "deep.md").text


def test_loose_lists_and_starting_numbers():
    assert read(b"7. Seven\n\n8. Eight\n\nEnd.", "x.md").text == "7. Seven\n\n8. Eight\n\nEnd."


def text_of(source: str) -> str:
    return read(source.encode(), "x.md").text


def test_text_between_two_rules_is_text():
    document = read((CASES / "rule-first.md").read_bytes(), "rule-first.md")
    assert document.text == (
        "The harbour master is Nils Aker. His office is on pier 4.\n\nOpening hours are 7 to 15.\n\n"
        "Fees\n\nBoats pay 45 euro a week."
    )
    assert (document.title, document.notes) == ("Fees", ())


def test_front_matter_is_text_and_gives_the_title():
    document = read((CASES / "front-matter.md").read_bytes(), "front-matter.md")
    assert document.text == (
        "title: Harbour rules\nauthor: Nils Aker\ndate: 2024-03-05\nversion: 2.1\n\nRules\n\nBoats pay 45 euro a week."
    )
    assert document.title == "Harbour rules"
    toml = read(b'+++\ntitle = "Pier 4"\nweight = 3\n+++\n# Fees\n', "x.md")
    assert (toml.title, toml.text) == ("Pier 4", 'title = "Pier 4"\nweight = 3\n\nFees')


@pytest.mark.parametrize("front", ["- a\n- b", "plain words", "a: [", "a: &x 1\nb: *y", "**Note**: two: three"])
def test_what_is_no_mapping_is_no_front_matter(front):
    document = read(f"---\n{front}\n---\nEnd.".encode(), "x.md")
    words = front.replace("*", " ").replace(":", " ").split()
    assert all(word.strip("-[&") in document.text for word in words)
    assert document.text.endswith("End.")


def test_signs_stay_where_they_are_no_emphasis():
    assert read((CASES / "star-maths.md").read_bytes(), "star-maths.md").text == (
        "Area\n\nThe area is 3*4*5 cm, the file is data_set_one.csv, the path is C:\\temp\\new\\_old, "
        "the formula $a_{1}*b_{2}*c$ and $x < y > z$.\n\nSee the rules.\n\nChart: Sales rose to 31"
    )
    assert text_of("a*b*c, src/**/test*.py, __init__ and **bold**, *it*; $5 and $10, data\\_set") == (
        "a*b*c, src/**/test*.py, __init__ and bold, it; $5 and $10, data_set"
    )


def test_emphasis_between_letters_of_scripts_without_blanks():
    assert text_of("这是**重点**内容") == "这是重点内容"


def test_lists_tables_notes_and_tasks():
    document = read((CASES / "heredoc.md").read_bytes(), "heredoc.md")
    assert document.text == (
        "Setup\n\n1. Install\n\npip install x\n\n2. Run\n\n  - with cache\n  - without\n3. Stop\n\n"
        "a | b\n1 x|y | 2\n\nTerm[^1]\n\n[^1]: The note says 14 days.\n\n- [x] paid\n- [ ] sent"
    )


def test_no_cell_note_or_definition_is_lost():
    assert text_of("|a|b|\n|-|-|\n|1|2|3|\n|x<br>y|z|") == "a | b |\n1 | 2 | 3\nx / y | z |"
    assert text_of("Term[^n]\n\n[^n]: Fourteen") == "Term[^n]\n\n[^n]: Fourteen"
    assert text_of("[due]: 2024-03-05\n\nSee [this].\n\n[this]: /x") == "See this.\n\n[due]: 2024-03-05"
    assert text_of("1. a\n3. b\n7. c") == "1. a\n3. b\n7. c"
    assert text_of("1. a\n1. b\n1. c") == "1. a\n2. b\n3. c"


def test_angle_brackets_that_are_no_html_stay():
    assert text_of("cat <<EOF > x; List<String>, vector<b> x, <your-name> and <EOF > y") == (
        "cat <<EOF > x; List<String>, vector<b> x, <your-name> and <EOF > y"
    )
    assert text_of("<HOST>\nport 3\n\nEnd.") == "<HOST>\nport 3\n\nEnd."
    assert (
        text_of("Use the <script> tag.\n\n<script>\nnever closed") == "Use the <script> tag.\n\n<script>\nnever closed"
    )
    assert text_of("10<sup>6</sup> H<sub>2</sub>O <b>bold</b> <!-- x -->end") == "10^6 H2O bold end"
