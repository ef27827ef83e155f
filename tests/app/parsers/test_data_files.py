"""Notebooks, JSON, XML, LaTeX and other texts with a form of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.parsers import DamagedDocument, read

CASES = Path(__file__).parent / "cases"


def notebook_of(*cells: dict[str, object]) -> bytes:
    return json.dumps({"cells": cells, "nbformat": 4, "metadata": {}}).encode()


def test_a_notebook_without_its_pictures() -> None:
    document = read((CASES / "notebook.ipynb").read_bytes(), "notebook.ipynb")
    assert document.text == "Yield\n\nThe best field was number 7 with 8.4 tonnes.\n\nplot(yield)"
    assert document.title == "Yield"
    assert document.notes == ("1 picture among the outputs was left out.",)


def test_what_cells_print() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["8.4\n", "7.1\n"]},
        {"output_type": "execute_result", "data": {"text/plain": ["   a\n0  1"], "text/html": ["<table>"]}},
        {"output_type": "display_data", "data": {"text/html": "<b>bold</b>"}},
        {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["\x1b[31mlong"]},
    ]
    cell = {"cell_type": "code", "source": ["import x\n", "x.y()"], "outputs": outputs}
    text = read(notebook_of(cell), "x.ipynb").text
    assert text == "import x\nx.y()\n\nOutput: 8.4\n7.1\n\nOutput:    a\n0  1\n\nOutput: bold\n\nKeyError: 'x'"


@pytest.mark.parametrize("data", [b"[1]", b"{", b'{"cells": [1]}', b'{"cells": [{}]}', b'"' + b"x" * 99])
def test_a_broken_notebook(data: bytes) -> None:
    with pytest.raises(DamagedDocument, match="open it in Jupyter"):
        read(data, "x.ipynb")


def test_json_as_it_stands_or_in_lines() -> None:
    lines = '{\n  "a": 1.50,\n  "b": "x"\n}'
    assert read(lines.encode(), "x.json").text == lines
    minified = json.dumps({"town": "Wörgl", "ids": [1, 2], "none": {}, "text": "word " * 300})
    text = read(minified.encode(), "x.json").text
    assert text.startswith('{\n "town": "Wörgl",\n "ids": [\n  1,\n  2\n ],\n "none": {},\n "text": "word word')


def test_pictures_in_json_are_left_out() -> None:
    document = read(json.dumps({"name": "x", "image": "A" * 5_000}).encode(), "x.json")
    assert document.text == '{"name": "x", "image": "…"}'
    assert document.notes == ("1 value of more than 1,000 characters without a blank was left out as “…”.",)


def test_xml_by_its_names() -> None:
    data = (
        '<?xml version="1.0" encoding="iso-8859-1"?><!-- note --><shop:list xmlns:shop="u"><item id="7"><title>Fähre'
        "</title><price>15</price></item><p>All <b>bold</b> &amp; sound.</p></shop:list>"
    ).encode("latin-1")
    document = read(data, "x.xml")
    assert document.text == "list\n item id=7\n  title: Fähre\n  price: 15\n p: All bold & sound."
    assert document.title == "Fähre"


def test_pages_within_a_feed_lose_their_markup() -> None:
    data = b"<rss><item><title>A &lt; B</title><text><![CDATA[<p>The <b>ferry</b><br>leaves.</p>]]></text></item></rss>"
    assert read(data, "x.xml").text == "rss\n item\n  title: A < B\n  text: The ferry leaves."


def test_xml_that_is_not_well_formed_is_text() -> None:
    document = read(b"<a><b>x</a>", "x.xml")
    assert document.text == "<a><b>x</a>"
    assert document.notes == ("The XML is not well-formed; it was read as plain text.",)


def test_latex_without_preamble_and_comments() -> None:
    source = (
        '\\documentclass{article}\n\\usepackage{x}\n\\title{Die \\"Uberfahrt}\n\\begin{document}\n\\maketitle\n'
        "% a comment\n\\section{F\\\"ahre}\nStra\\ss{}e, caf\\'{e}, 50\\% more.\n\\end{document}\n"
    )
    document = read(source.encode(), "x.tex")
    assert document.title == "Die Überfahrt"
    assert document.text == (
        "\\title{Die Überfahrt}\n\n\\maketitle\n\n\\section{Fähre}\nStraße, café, 50\\% more.\n\\end{document}"
    )
    assert document.left_out[0].what == "Preamble"
    assert "\\usepackage{x}" in document.left_out[0].text


@pytest.mark.parametrize("name", ["x.rst", "x.yaml", "x.log", "x.py", "x.unheard-of"])
def test_other_texts_stay_as_they_stand(name: str) -> None:
    text = "=====\nFerry\n=====\n\nkey: *value*\n  - item"
    document = read(text.encode(), name)
    assert (document.text, document.title, document.notes) == (text, "Ferry", ())
