"""What holds for every page: readable by everybody, on a phone too, and without asking strangers."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright")
pytestmark = pytest.mark.browser
STATIC = Path(__file__).parents[2] / "src" / "turbine" / "http" / "static"
AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [
    "runs",
    "runs/order-1001",
    "runs/order-1100?step=5",
    "runs/order-1001?tab=logs",
    "runs/order-1001?tab=products",
    "runs/order-1001?tab=compare&compare=order-1002",
    "open",
    "start?workflow=place_order",
    "start?workflow=fetch_goods&when=cron",
    "approvals",
    "errors",
    "metrics",
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
    "sql",
    "api?operation=PUT+%2Fkv%2F%7Bkey%7D",
    "settings",
    "settings?tab=storage",
    "settings?tab=accounts",
    "settings?tab=tokens",
]
PICTURED = ["runs", "runs/order-1001", "start?workflow=place_order", "queues/render"]
"""Pages of which pictures are taken; of the others it is enough that they have words."""
NOTHING = 9_000
"""Bytes that a picture of an empty page does not reach."""
WORDS_OF_CHANGE = re.compile(
    r"^(Start|Run now|Pause|Edit|Add|New |Create|Delete|Cancel|Retry|Resume|Fork|Approve|Reject|Backfill|Send|Save)"
)
ROLES = {"viewer": set(), "operator": {"Start a run"}, "admin": {"Start a run", "Audit log"}}


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


def assert_shows_something(page: Any, path: str) -> None:
    assert page.locator("main").inner_text().strip()
    assert path not in PICTURED or len(page.screenshot()) > NOTHING


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_for_everybody(open_page: Callable[..., Any], path: str) -> None:
    """axe finds nothing serious, and there is something to see: in light, in dark, and on a phone without scrolling."""
    if not AXE.is_file():
        pytest.skip("AXE IS MISSING: run `npm ci` in ui/")
    page = open_page(path)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    settle(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert [] == page.evaluate(SERIOUS, None)
    assert_shows_something(page, path)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert [] == page.evaluate(SERIOUS, ["color-contrast"])
    assert_shows_something(page, path)
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert_shows_something(page, path)
    widths = page.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]")
    assert [390, 390] == widths, page.evaluate(TOO_WIDE)


def test_an_address_without_a_page_says_so(open_page: Callable[..., Any]) -> None:
    page = open_page("no/such/page")
    page.get_by_text("Page not found").wait_for()


def test_the_choice_of_light_or_dark_is_kept(open_page: Callable[..., Any]) -> None:
    page = open_page("queues")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitem", name="Dark").click()
    page.reload()
    assert page.evaluate("document.documentElement.classList.contains('dark')")


@pytest.mark.parametrize("role", ROLES)
def test_each_page_of_the_sidebar_opens_for_each_role_with_what_the_role_may(
    open_page: Callable[..., Any], site: Any, role: str
) -> None:
    page = open_page("login", is_known=False)
    account = {"email": f"{role}@roles.example.com", "password": "correct horse battery"}
    site.ask("POST", "accounts", account | {"role": role})
    page.get_by_label("E-mail").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Runs").wait_for()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status in (401, 403) else None)
    links = page.locator("nav a[href], aside a[href]")
    names = dict.fromkeys(text.strip().partition("\n")[0] for text in links.all_inner_texts() if text.strip())
    offered: list[str] = []
    for name in names:
        links.filter(has_text=name).first.click()
        settle(page)
        assert page.locator("main").inner_text().strip(), name
        buttons = page.locator("main").get_by_role("button").all_inner_texts()
        offered += [f"{name}: {button}" for button in buttons if WORDS_OF_CHANGE.match(button)]
    assert [] == refused
    assert (role == "viewer") == (offered == []), offered
    shown = {link.get_attribute("aria-label") or link.inner_text() for link in page.locator("a").all()}
    assert ROLES[role] == {"Start a run", "Audit log"} & {text.partition("\n")[0] for text in shown}
    site.ask("DELETE", f"accounts/{next(one['id'] for one in accounts(site) if one['email'] == account['email'])}")


def accounts(site: Any) -> Any:
    return site.ask("GET", "accounts")["items"]


def test_the_first_page_needs_little_code(open_page: Callable[..., Any]) -> None:
    page = open_page("runs")
    page.get_by_role("heading", name="Runs").wait_for()
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(one => one.name).filter(one => /js$/.test(one))"
    )
    scripts = [STATIC / "assets" / address.rpartition("/")[2] for address in loaded if "/assets/" in address]
    packed = sum(len(gzip.compress(script.read_bytes())) for script in scripts)
    assert 100_000 < packed <= 350_000
