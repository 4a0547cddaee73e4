"""What holds for every page: readable by everybody, on a phone too, and without asking strangers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright")
pytestmark = pytest.mark.browser
AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [
    "runs",
    "runs/order-1001",
    "runs/order-1100?step=5",
    "runs/order-1001?tab=logs",
    "start?workflow=place_order",
    "approvals",
    "errors",
    "calendar",
    "logs",
    "workflows",
    "workflows/place_order",
    "queues",
    "queues/render",
    "schedules",
    "products",
    "kv",
    "notifications",
    "webhooks",
    "deliveries",
    "executors",
    "audit",
    "settings",
    "settings?tab=storage",
    "settings?tab=accounts",
]


SERIOUS = """async (rules) => (await axe.run(rules ? {runOnly: rules} : {})).violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | ")}`)"""


TOO_WIDE = """[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > 391)
    .map(one => one.outerHTML.slice(0, 120)).slice(0, 5)"""


def settle(page: Any) -> None:
    page.locator("main h1, main [role=tablist], main form").first.wait_for()
    page.locator("main [aria-label=Loading]").first.wait_for(state="detached")
    page.evaluate("document.fonts.ready.then(() => true)")
    # Two frames later everything stands where it belongs, also after a change of the window.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_for_everybody(open_page: Callable[..., Any], path: str) -> None:
    """axe finds nothing serious, in light and in dark, and a phone need not scroll sideways."""
    if not AXE.is_file():
        pytest.skip("AXE IS MISSING: run `npm ci` in ui/")
    page = open_page(path)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    settle(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert [] == page.evaluate(SERIOUS, None)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert [] == page.evaluate(SERIOUS, ["color-contrast"])
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]")
    assert [390, 390] == widths, page.evaluate(TOO_WIDE)


def test_an_address_without_a_page_says_so(open_page: Callable[..., Any]) -> None:
    page = open_page("no/such/page")
    page.get_by_text("No page at this address").wait_for()


def test_the_choice_of_light_or_dark_is_kept(open_page: Callable[..., Any]) -> None:
    page = open_page("queues")
    page.get_by_role("button", name="Light or dark").click()
    page.get_by_role("menuitem", name="Dark").click()
    page.reload()
    assert page.evaluate("document.documentElement.classList.contains('dark')")
