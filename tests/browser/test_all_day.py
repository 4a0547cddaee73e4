"""A dashboard that is left open: in many tabs, over sign-ins and lost streams, while others work on the same things."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]
AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
CONNECTIONS = 6
"""As many as a browser opens to one server."""
GROUPS = "aria-hidden-focus", "aria-dialog-name"
KEEP_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource { constructor(...all) { super(...all); streams.push(this); } };
"""
LOSE_STREAMS = "streams.forEach(one => { one.close(); one.onerror(); })"


def refund(site: Any, id: str) -> Any:
    """A new run that waits for a person, and its gate."""
    site.ask("POST", "trigger", {"name": "refund_payment", "input": {"ticket": id, "amount": "1.00"}, "id": id})
    while not (gates := site.ask("GET", f"approvals?workflow_id={id}")["items"]):
        continue
    return gates[0]


def test_more_tabs_than_a_browser_has_connections_are_live_also_when_the_first_one_is_closed(
    site: Any, signed_in: Any
) -> None:
    pages = [signed_in.new_page() for _ in range(CONNECTIONS + 1)]
    for page in pages:
        page.set_default_timeout(8000)
        page.goto(site.page("kv?prefix=tabs/"), wait_until="commit")
    for page in pages:
        page.locator("[data-stream=live]").wait_for()
    site.ask("PUT", "kv/tabs%2Fone", {"value": 1})
    for page in pages:
        page.get_by_text("tabs/one").wait_for()
    pages.pop(0).close()
    site.ask("PUT", "kv/tabs%2Ftwo", {"value": 2})
    for page in pages:
        page.get_by_text("tabs/two").wait_for()
        page.close()


def test_pages_ask_by_themselves_when_the_stream_is_lost(site: Any, signed_in: Any) -> None:
    page = signed_in.new_page()
    page.add_init_script(KEEP_STREAMS)
    page.clock.install()
    page.goto(site.page("kv?prefix=lost/"))
    page.locator("[data-stream=live]").wait_for()
    page.get_by_text("No keys with this prefix").wait_for()
    page.route("**/api/pt/stream", lambda route: route.abort())
    with page.expect_response(re.compile(r"/kv\?")):
        page.evaluate(LOSE_STREAMS)
    page.locator("[data-stream=polling]").wait_for()
    site.ask("PUT", "kv/lost%2Fone", {"value": 1})
    page.clock.fast_forward(6000)
    page.get_by_text("lost/one").wait_for()
    page.close()


def test_a_tab_goes_on_after_somebody_signed_in_anew_in_another_one(open_page: Open, site: Any) -> None:
    page = open_page("kv?prefix=anew/")
    page.get_by_role("button", name="Add key").first.click()
    account = {"email": "ada@example.com", "password": "correct horse battery"}
    assert page.request.post(f"{site.where}{site.prefix}/api/pt/login", data=account).ok
    page.get_by_role("textbox", name="Key *").fill("anew/one")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="anew/one").wait_for()


def test_a_decision_of_somebody_else_puts_no_other_approval_under_the_hand(open_page: Open, site: Any) -> None:
    mine, other = refund(site, "day-1"), refund(site, "day-2")
    page = open_page("approvals")
    page.get_by_placeholder("Search").fill("day-")
    page.get_by_role("heading", name="day-1").wait_for()
    rows = open_page("runs?status=WAITING_FOR_APPROVAL&q=day-").locator("[role=row][data-row]")
    expect(rows).to_have_count(2)
    site.ask("POST", f"approvals/{mine['id']}/decide", {"approved": True, "comment": "by telephone", "data": None})
    page.get_by_text("by telephone").wait_for()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    expect(rows).to_have_count(1)
    site.ask("POST", f"approvals/{other['id']}/decide", {"approved": False, "comment": "", "data": None})
    expect(rows).to_have_count(0)


def test_a_run_that_somebody_deleted_is_shown_no_longer(open_page: Open, site: Any) -> None:
    site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "gone"}, "id": "gone"})
    page = open_page("runs/gone")
    page.locator("header [data-status=SUCCESS]").first.wait_for()
    site.ask("DELETE", "workflows/gone")
    page.reload()
    page.get_by_text("Not found").wait_for()


def test_the_calendar_has_its_days_where_clocks_are_changed(open_page: Open) -> None:
    page = open_page("calendar")
    page.context.new_cdp_session(page).send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    page.reload()
    page.get_by_role("button", name=re.compile("[1-9].* succeeded")).first.wait_for()


def test_what_a_page_is_narrowed_to_and_what_it_has_opened_stand_in_its_address(open_page: Open) -> None:
    page = open_page("kv?prefix=conf&key=config%2Flimits")
    page.get_by_role("dialog", name="config/limits").wait_for()
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile(r"/kv\?prefix=conf$"))
    page.goto(page.url.replace("/kv?prefix=conf", "/logs?level=WARNING&q=gateway"))
    expect(page.get_by_role("button", name="Warn")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("log").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/runs/[^?]+\?step="))


def test_who_goes_back_is_where_he_was(open_page: Open) -> None:
    page = open_page("runs", height=600)
    page.locator("[data-row='16'] a").first.scroll_into_view_if_needed()
    stood = page.get_by_role("region", name="Runs").evaluate("one => one.scrollTop")
    assert stood > 100
    page.locator("[data-row='16'] a").first.click()
    page.get_by_role("tab", name="Steps").wait_for()
    page.go_back()
    expect(page.get_by_role("region", name="Runs")).to_have_js_property("scrollTop", stood)

    page.goto(page.url.replace("/runs", "/kv"))
    for opener in (page.get_by_role("button", name="config/limits"), page.get_by_role("button", name="Add key")):
        opener.focus()
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        expect(opener).to_be_focused()


def test_menus_and_filters_are_for_everybody_while_they_are_open(open_page: Open) -> None:
    if not AXE.is_file():
        pytest.skip("AXE IS MISSING: run `npm ci` in ui/")
    page = open_page("runs")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for name in ("Display", "Status"):
        page.get_by_role("button", name=name, exact=True).click()
        page.locator("[role=menu], [role=dialog]").wait_for()
        found = page.evaluate("rules => axe.run({runOnly: rules}).then(answer => answer.violations)", list(GROUPS))
        assert [] == [one["id"] for one in found]
        page.keyboard.press("Escape")
        page.locator("[role=menu], [role=dialog]").wait_for(state="detached")
