"""The list of runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]


def rows(page: Any) -> Any:
    return page.get_by_role("table", name="Runs").locator("[data-row]")


def test_filters_narrow_the_list_and_stand_in_the_address(open_page: Open) -> None:
    page = open_page("runs?workflow=place_order")  # other tests make runs of others fail
    expect(rows(page).first).to_be_visible()
    page.get_by_role("button", name="Status").click()
    page.get_by_label("ERROR").check()
    expect(rows(page)).to_have_count(2)
    assert "status=ERROR" in page.url
    page.reload()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_test_id("runs-count")).to_have_text("2")


def test_search_finds_and_marks_words(open_page: Open) -> None:
    page = open_page("runs")
    page.get_by_role("searchbox", name="Search runs").fill("Barbara")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("mark").first).to_have_text("Barbara")
    page.get_by_role("button", name="Clear filters").click()
    expect(rows(page).nth(5)).to_be_visible()


def test_a_list_without_matches_says_what_to_do(open_page: Open) -> None:
    page = open_page("runs?q=nothing-is-called-this")
    page.get_by_text("No runs match").wait_for()
    page.get_by_role("button", name="Clear filters").last.click()
    expect(rows(page).first).to_be_visible()


def test_a_new_run_comes_by_itself_and_waits_while_the_list_is_read(open_page: Open, site: Any) -> None:
    page = open_page("runs?workflow=send_invoice&q=live-")
    page.get_by_text("No runs match").wait_for()
    expect(page.locator("[data-stream=live]")).to_be_visible()
    site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "live-1"}, "id": "live-1"})
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first.locator("[data-status=SUCCESS]")).to_be_visible()

    rows(page).first.hover()
    site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "live-2"}, "id": "live-2"})
    page.get_by_role("button", name="1 new").click()
    expect(rows(page)).to_have_count(2)


def test_keys_walk_the_list_and_open_a_run(open_page: Open) -> None:
    page = open_page("runs?workflow=place_order&status=ERROR")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="place_order").wait_for()


def test_the_palette_finds_runs_pages_and_workflows(open_page: Open) -> None:
    page = open_page("runs")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("Order 1003")
    page.get_by_role("option").filter(has_text="Order 1003 for Alan Turing").click()
    expect(page).to_have_url(re.compile("runs/order-1003$"))
    page.keyboard.press("Control+k")
    page.keyboard.type("schedu")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Schedules").wait_for()


def test_a_bulk_action_says_how_many_before_it_acts(open_page: Open, site: Any) -> None:
    page = open_page("runs?queue=render&status=ENQUEUED")
    expect(rows(page)).to_have_count(4)
    page.get_by_label("Select all visible runs").check()
    page.get_by_role("toolbar").get_by_role("button", name="Cancel").click()
    expect(page.get_by_test_id("bulk-count")).to_have_text(re.compile("^4"))
    page.get_by_label("Reason").fill("not needed")
    page.get_by_role("button", name="Cancel 4").click()
    page.get_by_text("4 runs cancelled").wait_for()
    films = [site.ask("GET", f"workflows/film-{number}") for number in range(2, 6)]
    assert {"CANCELLED"} == {film["status"] for film in films}
    assert {"not needed"} == {film["reason"] for film in films}


def test_a_view_is_kept(open_page: Open) -> None:
    page = open_page("runs?workflow=place_order")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Save view").click()
    page.get_by_label("Name").fill("Orders")
    page.get_by_role("button", name="Save view").click()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Orders", exact=True).click()
    expect(page).to_have_url(re.compile("workflow=place_order"))

    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Edit saved views").click()
    page.get_by_label("Name of view 1").fill("All orders")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Views").click()
    expect(page.get_by_role("menuitem", name="All orders", exact=True)).to_be_visible()
    page.get_by_role("menuitem", name="Edit saved views").click()
    page.get_by_role("button", name="Remove “All orders”").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Views").click()
    expect(page.get_by_role("menuitem", name="Save view")).to_be_visible()
    expect(page.get_by_role("menuitem", name="All orders", exact=True)).to_have_count(0)


def test_columns_are_chosen(open_page: Open) -> None:
    page = open_page("runs")
    expect(page.get_by_role("columnheader", name="Run ID")).to_have_count(0)
    page.get_by_role("button", name="Display").click()
    page.get_by_role("menuitemcheckbox", name="Run ID").click()
    page.get_by_role("menuitemcheckbox", name="Compact rows").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="Run ID")).to_be_visible()
    assert 28 == rows(page).first.bounding_box()["height"]


def test_planned_runs_stand_above_until_they_are_turned_off(open_page: Open) -> None:
    page = open_page("runs")
    planned = rows(page).filter(has=page.locator("[data-status=PLANNED]")).filter(has_text="nightly_report")
    expect(planned).to_contain_text(re.compile(r"in \d+[hm]"))
    page.get_by_role("button", name="Display").click()
    page.get_by_role("menuitemcheckbox", name="Planned runs").click()
    page.keyboard.press("Escape")
    expect(planned).to_have_count(0)


def test_runs_are_narrowed_by_length_and_class_of_error(open_page: Open) -> None:
    page = open_page("runs?workflow=place_order")
    page.get_by_role("button", name="Duration", exact=True).click()
    page.get_by_label("At most").fill("1x")
    expect(page.get_by_text("Use a duration such as 250ms, 10s, 5m or 2h")).to_be_visible()
    page.get_by_label("At least").fill("10m")
    page.get_by_label("At most").fill("")
    page.keyboard.press("Enter")
    page.get_by_text("No runs match").wait_for()
    assert "took=10m.." in page.url
    page.get_by_role("button", name="Clear duration filter").click()
    expect(rows(page).first).to_be_visible()
    page.get_by_role("button", name="Error class").click()
    page.get_by_label("Find error class").fill("Payment")
    page.get_by_role("checkbox", name="shop.PaymentDeclined").check()
    page.keyboard.press("Escape")
    expect(page.locator("[data-status=SUCCESS]")).to_have_count(0)
    expect(rows(page).first.locator("[data-status=ERROR]")).to_be_visible()


def test_words_that_only_the_input_has_are_shown_there(open_page: Open) -> None:
    page = open_page("runs?q=CABLE-1")
    expect(rows(page).first.locator("mark")).to_have_text("in input")
    rows(page).filter(has_text="Order 1002").get_by_role("link").first.click()
    expect(page.get_by_role("group", name="Input").get_by_text('"CABLE-1"')).to_be_visible()


def test_a_bulk_action_tells_what_was_refused(open_page: Open, site: Any) -> None:
    for number, day in enumerate(("mon", "tue", "wed")):
        site.ask("POST", "trigger", {"name": "close_books", "input": {"day": day}, "id": f"bulk-{number}"})
    site.ask("POST", "trigger", {"name": "remind_later", "input": {"name": "x"}, "id": "bulk-3"})
    page = open_page("runs?q=bulk-")
    expect(rows(page)).to_have_count(4)
    expect(page.locator("[data-status=ERROR]")).to_have_count(3)
    page.get_by_label("Select all visible runs").check()
    page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
    expect(page.get_by_test_id("bulk-count")).to_contain_text("Of 4 selected")
    page.get_by_role("button", name="Delete 3").click()
    progress = page.get_by_test_id("bulk-progress")
    expect(progress).to_contain_text("3 done")
    expect(progress).to_contain_text("1 failed")
    expect(progress.get_by_role("list", name="Failed runs")).to_contain_text("bulk-3")
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    expect(rows(page)).to_have_count(1)
