"""What axe-core finds on every tab, in light and in dark, and whether all of it can be reached by keyboard."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import steps

pytestmark = pytest.mark.browser


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
        expect(page.locator(".wrap.default.pending, .generating")).to_have_count(0, timeout=steps.PATIENCE)
        found[tab.inner_text()] = serious(page)
    assert len(found) > 2
    assert {name: broken for name, broken in found.items() if broken} == {}
