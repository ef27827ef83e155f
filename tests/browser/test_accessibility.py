"""What axe-core finds on every tab, in light and in dark, and whether the keyboard gets everywhere."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import steps

#: Whether the element with the focus, or what frames it, looks different without it.
FOCUS_IS_SEEN = """() => {
    const focused = document.activeElement;
    const look = () => {
        let drawn = '';
        for (let one = focused, i = 0; one && i < 4; one = one.parentElement, i++) {
            const style = getComputedStyle(one);
            drawn += [style.outline, style.boxShadow, style.borderColor].join();
        }
        return drawn;
    };
    const before = look();
    focused.blur();
    const after = look();
    focused.focus();
    return focused !== document.body && before !== after;
}"""

#: Visible controls that are left out of the order of tabs; radios are reached by their group.
OUT_OF_REACH = """() => [...document.querySelectorAll('#bench :is(button, input, textarea, a[href], summary)')]
    .filter(one => one.checkVisibility() && !one.disabled && one.tabIndex < 0 && one.type !== 'file')
    .map(one => one.outerHTML.slice(0, 160))"""


def serious(page: Page) -> list[str]:
    """Rules broken seriously or worse, each with the first places where they are."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']}: " + "; ".join(node["html"][:200] for node in found["nodes"][:3])
        for found in violations
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_breaks_a_rule_of_accessibility(page: Page, tiny_app: str, scheme: str) -> None:
    steps.visit(page, f"{tiny_app}?__theme={scheme}")
    steps.ask(page, "Who counted the ships?")
    found = {}
    for tab in page.get_by_role("tab").all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        for folded in page.locator("button.label-wrap:not(.open):visible").all():
            folded.click()
        if tab.inner_text() == "Inspect":
            expect(page.locator("#sliced")).to_contain_text("At ")
            page.click("#look")
            expect(page.locator("#heat .js-plotly-plot .main-svg").first).to_be_visible()
            page.click("#reconstruct")
            expect(page.locator("#diff .ccf-diff")).to_be_visible()
        steps.settle(page)
        found[tab.inner_text()] = serious(page)
    assert len(found) > 2
    assert not any(found.values()), "\n".join(f"{name}: {rule}" for name, broken in found.items() for rule in broken)


def test_the_keyboard_reaches_every_control_of_every_tab(page: Page, tiny_app: str) -> None:
    steps.visit(page, tiny_app)
    for tab in page.get_by_role("tab").all():
        tab.focus()
        page.keyboard.press("Enter")
        expect(tab).to_have_attribute("aria-selected", "true")
        assert page.evaluate(OUT_OF_REACH) == []
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS_IS_SEEN), page.evaluate("() => document.activeElement.outerHTML.slice(0, 300)")
