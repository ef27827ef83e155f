"""The app as it is shipped: the trained adapter, live, from a PDF to an answer and back to the text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.answers.notes import ABSTAINED
from app.documents.examples import examples
from tests import papers
from tests.browser import steps

pytestmark = [pytest.mark.browser, pytest.mark.model]

REPORT = """The lighthouse at Grey Point was built in 1871 by the engineer Martha Lindqvist, who had already
finished two bridges and a small railway station further down the coast. The tower is forty
metres high and stands on a shelf of dark rock that the sea covers twice a day, so every stone
had to be laid in the few hours between two tides. The work took six years. Three boats brought
granite from the quarry on the other side of the bay, and each of them needed a full day for the
journey. In the first winter a storm carried away the workshop, the crane and most of the tools,
but nobody was hurt, because the men had gone home the evening before to celebrate a wedding.
The lamp burned oil until 1923, when a cable was laid along the beach and electric light was
installed. Until then two keepers lived in the tower with their families and took turns during
the night. They wrote down the weather every hour, and their notes fill eleven thick volumes,
which are kept in the town library today. The notes show that the summers were cooler and the
winters longer than they are now, and that fog was far more common in the month of June. One of
the keepers also drew the birds that rested on the balcony in spring and autumn, and he counted
them with great patience. His lists name eighty different kinds. In 1988 the last keeper left
and a small computer took over the lamp. The town bought the empty rooms and opened a museum in
them. It is run by volunteers and is open on Saturdays from May to October. Visitors may climb
the two hundred and twelve steps to the gallery, from where they can see the harbour, the quarry
and, on a clear day, the mountains in the north. About nine thousand people come every year, and
the money from the tickets pays for the repair of the windows and the old iron stairs.""".splitlines()


def test_a_pdf_is_compressed_asked_and_given_back(
    page: Page, shipped_app: str, screenshot: Callable[[str], None]
) -> None:
    steps.visit(page, shipped_app)
    steps.upload(page, ("lighthouse.pdf", "application/pdf", papers.paper(REPORT, "Grey Point")))
    expect(page.locator("#progress .ccf-success")).to_contain_text("Grey Point")

    steps.tick(page, "Grey Point")
    steps.ask(page, "Who built the lighthouse at Grey Point?")
    expect(steps.answer(page)).not_to_be_empty()
    expect(steps.answer(page)).not_to_contain_text("(no answer)")
    expect(page.locator("#chat .chip").first).to_contain_text("Grey Point")
    screenshot("live-ask")

    assert steps.reconstruct(page, "Grey Point", 4) >= 0.8
    screenshot("live-inspect")
    steps.see_savings(page, "Grey Point")
    screenshot("live-savings")


def test_an_answer_that_there_is_none_looks_different_and_can_be_asked_for_again(page: Page, shipped_app: str) -> None:
    steps.visit(page, shipped_app)
    example = next(e for e in examples() if e["questions"][-1]["at_4x"] == "abstains")
    question = example["questions"][-1]["question"]
    expect(page.locator("#listing .doc", has_text=example["title"])).to_contain_text("stored")
    steps.tick(page, example["title"])
    suggestion = page.locator("#suggested button", has_text=question)
    expect(suggestion).to_contain_text("the text does not say")
    suggestion.click()
    expect(page.locator("#chat .wb-abstained")).to_have_count(1)
    expect(page.locator("#chat [role=status]")).to_contain_text(ABSTAINED)
    suggestion.click()
    expect(steps.costs(page)).to_have_count(2)
    expect(steps.costs(page).last).not_to_contain_text("earlier turn")
    steps.ask(page, "And when was it built?")
    expect(steps.costs(page).last).to_contain_text("2 earlier turns")


def test_an_answer_that_is_stopped_keeps_what_was_written(page: Page, shipped_app: str) -> None:
    steps.visit(page, shipped_app)
    title = "The Last Crossing"
    expect(page.locator("#listing .doc", has_text=title)).to_contain_text("stored")
    steps.tick(page, title)
    assert any(steps.ask_and_stop(page, "Describe the boat in detail.") for _ in range(9))
    expect(page.locator("#chat [role=status]").last).to_contain_text("stopped before its end")
    expect(steps.answer(page)).not_to_be_empty()
    expect(page.locator("#chat .streaming")).to_have_count(0)


def test_the_shipped_adapter_has_every_curve(page: Page, shipped_app: str, screenshot: Callable[[str], None]) -> None:
    steps.visit(page, shipped_app)
    steps.open_tab(page, "Lab")
    for key in ("reconstruction", "questions", "long", "gain", "needle", "evidence"):
        figure = page.locator(f"#lab-{key} .js-plotly-plot .main-svg").first
        expect(figure).to_be_visible()
        expect(page.locator(f"#lab-{key}-definition")).to_contain_text("half B")
    screenshot("live-lab")
