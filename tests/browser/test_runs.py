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
    page = open_page("runs")
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
    page.get_by_label("Select all shown runs").check()
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
    page.get_by_role("menuitem", name="Save this view").click()
    page.get_by_label("Name").fill("Orders")
    page.get_by_role("button", name="Save view").click()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Orders", exact=True).click()
    expect(page).to_have_url(re.compile("workflow=place_order"))


def test_columns_are_chosen(open_page: Open) -> None:
    page = open_page("runs")
    expect(page.get_by_role("columnheader", name="Run id")).to_have_count(0)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("menuitemcheckbox", name="Run id").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="Run id")).to_be_visible()
