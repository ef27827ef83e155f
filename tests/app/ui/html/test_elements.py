import pytest
from bs4 import BeautifulSoup

from app.ui.html.elements import NOTICES, facts, notice, table


def soup(source):
    return BeautifulSoup(source, "html.parser")


def test_notices_have_a_sign_besides_their_colour():
    signs = {kind: soup(notice(kind, "x")).select_one(".ccf-sign").get_text() for kind in NOTICES}
    assert len(set(signs.values())) == 4
    assert 'role="alert"' in notice("error", "x")
    with pytest.raises(ValueError, match="A notice is one of"):
        notice("fatal", "x")


def test_facts_have_their_definition_on_hover():
    page = soup(facts([("Pages", "2", "sheets of the file")], "ccf-facts"))
    assert [(row["title"], row.dt.get_text(), row.dd.get_text()) for row in page.select("dl.ccf-facts div")] == [
        ("sheets of the file", "Pages", "2")
    ]


def test_a_table_names_its_rows_and_can_be_scrolled_by_keyboard():
    page = soup(table("costs", [("Setting", ""), ("KV held", "bytes")], [("full", "100 B")], "Costs"))
    assert [(head.get_text(), head.get("title")) for head in page.select("thead th")] == [
        ("Setting", None), ("KV held", "bytes"),
    ]  # fmt: skip
    assert (page.select_one("tbody th").get_text(), page.select_one("tbody td").get_text()) == ("full", "100 B")
    assert page.select_one(".wb-scroll")["aria-label"] == "Costs"
