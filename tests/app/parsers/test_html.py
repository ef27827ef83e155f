from pathlib import Path

import pytest

from app.parsers import EmptyDocument, read

CASES = Path(__file__).parent / "cases"
PAGE = """<!DOCTYPE html>
<html><head><title>The &amp; Ferry</title><style>p { color: red }</style></head>
<body onload="alert(1)">
  <!-- not for readers -->
  <h1>Ferry times</h1>
  <p>The ferry <b>leaves</b>
     at&nbsp;seven.<br>It returns at nine.</p>
  <ul><li>Adults: 4 crowns</li><li><p>Children: 2 crowns</p></li></ul>
  <table><thead><tr><th>Day</th><th>Trips</th></tr></thead>
    <tr><td><p>Monday</p></td><td><p>6</p></td></tr><tr><td>Sunday</td><td>2</td></tr></table>
  <pre>line one
    line two</pre>
  <div hidden>secret</div><div style="display: none">secret</div>
  <script>document.write("secret")</script><noscript>secret</noscript><template>secret</template>
  <p>Last.</p>
</body></html>"""


def test_visible_text_with_its_blocks():
    document = read(PAGE.encode(), "ferry.html")
    assert document.text == (
        "Ferry times\n\nThe ferry leaves at seven.\nIt returns at nine.\n\n"
        "- Adults: 4 crowns\n- Children: 2 crowns\n\n"
        "Day | Trips\nMonday | 6\nSunday | 2\n\n"
        "line one\n    line two\n\nLast."
    )
    assert (document.title, document.media_type, document.pages) == ("The & Ferry", "text/html", ())
    assert document.notes == ("Tables were flattened: “ | ” stands between cells.",)


def test_title_from_the_first_heading():
    assert read(b"<html><h1>Ferry <i>times</i></h1><p>x", "x.html").title == "Ferry times"


def test_markup_inside_words_leaves_them_whole():
    assert read(b"<p>un<b>believ</b>able <i> things </i> happen", "x.htm").text == "unbelievable things happen"


def test_nested_and_ordered_markup_that_is_never_closed():
    depth = 3000
    assert read(b"<div>" * depth + b"deep" + b"<p>er", "deep.html").text == "deep\n\ner"
    assert read(b"<html><!--" * 5000 + b"-->seen", "comments.html").text == "seen"


def test_declared_legacy_encodings_are_honoured():
    page = '<meta charset="iso-8859-1"><p>caf\u00e9 \u201cnoir\u201d'.encode("cp1252")
    assert read(page, "old.html").text == "café “noir”"
    assert read('<meta charset="iso-8859-1"><p>caf\u00e9'.encode(), "mislabelled.html").text == "café"
    assert read("<p>caf\u00e9 noir".encode("cp1252"), "undeclared.html").text == "café noir"
    assert read('<meta charset="unicode_escape"><p>caf\u00e9 noir'.encode("cp1252"), "strange.html").text == "café noir"


def test_nothing_visible():
    with pytest.raises(EmptyDocument, match="no visible text"):
        read(b"<html><script>var text = 1</script></html>", "x.html")


def text_of(body: str) -> str:
    return read(f"<html><body>{body}</body></html>".encode(), "x.html").text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "superscripts.html",
            "Grain store\n\nThe store holds 10^6 kernels per m^3, and the mite count was 3.2×10^-4.[12] "  # noqa: RUF001
            "In 1998^2 the roof was mended. Fertiliser is NH4NO3.",
        ),
        ("mathml.html", "The speed is v=\\frac{s}{t} here."),
        ("buttons-glued.html", "Choose\n\nMonday Tuesday First link Second link Yes No Sold 120 EUR"),
        (
            "options.html",
            "Country: Iceland Note: Deliver to the back door [x] Gift\nChart: sales rose from 12 to 31 in 2023",
        ),
    ],
)
def test_cases(name, text):
    assert read((CASES / name).read_bytes(), name).text == text


def test_ordered_lists_keep_their_numbers():
    assert text_of("<ol start=3><li>c<li value=7>g<li>h</ol>") == "3. c\n7. g\n8. h"
    assert text_of("<ol reversed><li>c<li>b<li>a</ol>") == "3. c\n2. b\n1. a"
    assert text_of("<ol type=a start=26><li>x<li>y<ol type=I><li>one<li>two</ol></ol>") == (
        "z. x\naa. y\n  I. one\n  II. two"
    )
    assert (
        text_of("<ol style='list-style-type:lower-roman' start=4><li>x</ol><ul><li><img><li>y</ul>") == "iv. x\n\n- y"
    )


def test_superscripts_and_subscripts_keep_their_meaning():
    assert text_of(
        "1<sup>st</sup>, x<sup>n+1</sup>, SO<sub>4</sub><sup>2-</sup>, v<sub>max</sub>, 101<sub>2</sub>"
    ) == ("1st, x^(n+1), SO4^(2-), v_max, 101_2")
    assert text_of("3<sup>1</sup>/<sub>2</sub> cups, word<sup class=reference>[4]</sup>, Brand<sup>TM</sup>") == (
        "3 1/2 cups, word[4], Brand™"
    )
    assert text_of("0.05<a href='#n'><sup>1</sup></a> 5<span style='vertical-align: super'>2</span>") == "0.05[1] 5^2"
    assert text_of("<p><sup>1</sup>The note.") == "[1] The note."


def test_formulas_in_a_line():
    root = "<msqrt><msup><mi>b</mi><mn>2</mn></msup><mo>-</mo><mn>4</mn><mi>a</mi><mi>c</mi></msqrt>"
    assert text_of(f"<math><mi>x</mi><mo>=</mo><mfrac>{root}<mrow><mn>2</mn><mi>a</mi></mrow></mfrac></math>") == (
        "x = (√(b^2 - 4ac))/2a"
    )
    assert (
        text_of(
            "<span class=katex><span class=katex-mathml><math><semantics><mi>E</mi><annotation encoding="
            "'application/x-tex'>E=mc^2</annotation></semantics></math></span>"
            "<span class=katex-html aria-hidden=true>E=mc2</span></span>"
        )
        == "E=mc^2"
    )


def test_cells_that_span_stand_in_each_place():
    assert text_of(
        "<table><tr><th rowspan=2>Name<th colspan=2>2023<tr><th>H1<th>H2<tr><td colspan=3>Group A"
        "<tr><td rowspan=2>Anna<td>1<td>2<tr><td>3<td>4<tr><td>Ad<br>dress</table>"
    ) == ("Name | 2023 | 2023\nName | H1 | H2\nGroup A | |\nAnna | 1 | 2\nAnna | 3 | 4\nAd / dress | |")
    assert text_of("<table><tr><td>k<form><td>v <input value=3></form></table>") == "k / v 3"


def test_tables_that_lay_a_page_out_are_blocks():
    assert text_of("<table><tr><td><table><tr><td>a<td>b</table><td><h2>Right</h2></table>") == "a | b\n\nRight"


def test_fields_show_their_state():
    several = "<select multiple><option selected>A<option>B<option selected>C</select>"
    fields = "<input type=password value=secret><input type=radio checked> Yes <input type=radio> No"
    rest = "<select><option>First<option>Second</select><textarea>two\nlines</textarea>"
    assert text_of(f"<label>Name<input value='Eva Berg'></label>{fields}{several}{rest}") == (
        "Name Eva Berg [x] Yes [ ] No A, C First two\nlines"
    )


def test_boxes_are_apart_and_words_whole():
    assert text_of("<b style='display:inline-block'>Box</b>Next <span class=c1>Hel</span><span class=c2>lo</span>") == (
        "Box Next Hello"
    )
    assert text_of("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby> <q>so</q>") == "漢(kan) “so”"


def test_the_main_content_is_the_text_and_the_rest_is_handed_over():
    document = read((CASES / "saved-page.html").read_bytes(), "saved-page.html")
    assert document.text == "Bakery\n\nThe bakery was opened in 1911 by Klara Holm. It closed in 1987 after a flood."
    assert document.notes == ("Menus and what else stands around the page's main content were left out.",)
    (around,) = document.left_out
    assert around.what == "The page around its main content"
    assert around.text.count("Menu entry") == 300
    assert "Language 12" in around.text
    assert "Bakery" not in around.text


MENU = "<nav><ul>" + "".join(f"<li><a href=/{i}>Menu entry {i}</a>" for i in range(60)) + "</ul></nav>"
PROSE = "<p>The mill by the river was built of oak in 1780, and its wheel turned until the great flood.</p>" * 5


def test_lists_and_tables_are_written_alike_inside_the_main_content():
    document = read(
        f"<html><body>{MENU}<main><h1>Mill</h1>{PROSE}<ol start=4><li>10<sup>6</sup> sacks</ol>"
        f"<table><tr><th>Year<th>Sacks<tr><td>1781<td>300</table>{PROSE}</main></body></html>".encode(),
        "x.html",
    )
    assert "4. 10^6 sacks\n\nYear | Sacks\n1781 | 300\n\n" in document.text
    assert "Menu entry" not in document.text
    assert len(document.left_out) == 1


@pytest.mark.parametrize(
    "page",
    [
        PROSE + "<footer>Call 555 0199.</footer>",
        "<h1>Links</h1><p>These are all the links of my page about old mills.</p>" + MENU.replace("nav>", "div>"),
        "<form>" + "".join(f"<p><label>Field {i}</label> <input value='value {i}'>" for i in range(50)) + "</form>",
        "<table>" + "".join(f"<tr><td>Row {i}<td><a href=/{i}>Item {i}</a><td>{i * 7}" for i in range(80)) + "</table>",
    ],
    ids=["small page", "links", "form", "table"],
)
def test_a_page_without_clear_main_content_is_read_whole(page):
    document = read(f"<html><body>{page}</body></html>".encode(), "x.html")
    assert document.left_out == ()
    for word in ("555", "entry 59", "value 49", "Row 79"):
        assert (word in page) == (word in document.text)


def test_text_that_only_a_script_shows():
    document = read(f"<html><body><p>Loading</p><noscript>{PROSE}</noscript></body></html>".encode(), "x.html")
    assert document.text.count("great flood") == 5
    assert "only by a script" in document.notes[0]
