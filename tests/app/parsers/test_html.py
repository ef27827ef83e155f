import pytest

from app.parsers import EmptyDocument, read

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
