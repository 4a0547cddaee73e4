"""Starting, deciding, queues, schedules, values, and what goes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]


def test_the_form_of_a_workflow_finds_faults_at_their_fields_and_starts_it(open_page: Open) -> None:
    page = open_page("start?workflow=place_order")
    page.get_by_label("Order Id").fill("2001")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_label("Customer")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Customer").fill("Joan Clarke")
    page.get_by_role("button", name="Add item").click()
    page.get_by_label("Sku").fill("LAMP-2")
    page.get_by_label("Quantity").fill("0")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_text("Must be at least 1.")).to_be_visible()
    page.get_by_label("Quantity").fill("3")
    page.get_by_role("button", name="Start run").click()
    page.get_by_text("Order 2001 for Joan Clarke").wait_for()


def test_the_input_is_the_same_as_form_and_as_json(open_page: Open) -> None:
    page = open_page("start?workflow=send_invoice")
    page.get_by_label("order_id").fill("json-1")
    page.get_by_role("button", name="JSON", exact=True).click()
    editor = page.get_by_role("textbox", name="Input")
    expect(editor).to_contain_text('"order_id": "json-1"')
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("oops")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("alert")).to_contain_text("Invalid JSON")
    editor.click()
    page.keyboard.press("Control+End")
    for _ in range(4):
        page.keyboard.press("Backspace")
    page.get_by_role("button", name="Start run").click()
    page.get_by_role("heading", name="send_invoice").wait_for()
    expect(page.get_by_text("Invoice json-1", exact=True)).to_be_visible()


def test_an_approval_is_given_on_a_phone(open_page: Open, site: Any) -> None:
    page = open_page("approvals", width=390, height=844)
    page.get_by_role("button", name="Release order 1200").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text(re.compile("Required|one of the options")).first).to_be_visible()
    page.get_by_role("button", name="ups").click()
    page.get_by_label("Comment").fill("known customer")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("status").get_by_text("Approved").wait_for()
    decided = site.ask("GET", "approvals?open=all&workflow_id=order-1200")["items"][0]
    assert ("approved", "known customer", "ada@example.com") == (decided["status"], decided["comment"], decided["by"])
    assert {"carrier": "ups", "insured": True, "limit": 500} == decided["data"]


def test_approvals_are_counted_in_the_title_and_decided_together(open_page: Open, site: Any) -> None:
    page = open_page("approvals")
    page.get_by_label("Select all without a form").check()
    expect(page).to_have_title(re.compile(r"^\(\d+\) Approvals"))
    page.get_by_role("button", name="Reject").first.click()
    page.get_by_label("Comment for all").fill("not today")
    page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    page.get_by_text("2 decided").wait_for()
    page.get_by_role("button", name="Decided").click()
    expect(page.get_by_text("Refund 120.00 EUR for T-77").first).to_be_visible()
    assert {"rejected"} == {gate["status"] for id in ("refund-77", "refund-78") for gate in approvals_of(site, id)}


def approvals_of(site: Any, id: str) -> Any:
    return site.ask("GET", f"approvals?open=all&workflow_id={id}")["items"]


def test_a_queue_is_paused_and_its_limits_changed(open_page: Open, site: Any) -> None:
    page = open_page("queues")
    page.get_by_role("link", name="render").click()
    expect(page.get_by_role("table", name="Slot holders")).to_contain_text("film-0")
    page.get_by_role("button", name="Edit limits").click()
    page.get_by_label("Total concurrency").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("5 in total")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    queue = site.ask("GET", "queues/render")
    assert (5, True) == (queue["global_concurrency"], queue["paused"])
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Paused", exact=True)).to_have_count(0)


def test_a_schedule_is_made_seen_ahead_turned_off_and_deleted(open_page: Open) -> None:
    page = open_page("start?workflow=send_invoice&when=cron")
    page.get_by_label("Cron expression").fill("*/15 8-18 * * 1-5")
    expect(page.get_by_text("Every 15 minutes, between 08:00 and 18:59, Monday through Friday")).to_be_visible()
    expect(page.get_by_text("Next 10 ticks")).to_be_visible()
    page.get_by_label("Name").fill("invoices")
    page.get_by_label("order_id").fill("from-schedule")
    page.get_by_role("button", name="Create schedule").click()
    expect(page).to_have_url(re.compile("schedules/"))
    page.get_by_role("switch", name="Turn invoices on or off").click()
    expect(page.get_by_text("Schedule turned off")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("heading", name="send_invoice").wait_for()
    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("link", name="invoices").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="invoices")).to_have_count(0)


def test_a_value_is_saved_only_if_nobody_changed_it_meanwhile(open_page: Open, site: Any) -> None:
    page = open_page("kv")
    page.get_by_role("button", name="config/limits").click()
    field = page.get_by_label("Release above")
    expect(field).to_have_value("1500")
    site.ask("PUT", "kv/config%2Flimits", {"value": {"release_above": 99, "currencies": []}})
    field.fill("2000")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This value was changed in the meantime")).to_be_visible()
    page.get_by_role("button", name="Overwrite").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("status").get_by_text("Saved").wait_for()
    assert 2000 == site.ask("GET", "kv/config%2Flimits")["value"]["release_above"]


def test_a_new_key_does_not_take_the_place_of_one_that_is_there(open_page: Open, site: Any) -> None:
    page = open_page("kv")
    page.get_by_role("button", name="Add key").click()
    page.get_by_role("dialog").get_by_role("textbox", name="Key").fill("greeting")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This value was changed in the meantime")).to_be_visible()
    assert "hello" == site.ask("GET", "kv/greeting")["value"]


def test_errors_are_grouped_and_retried_together(open_page: Open) -> None:
    page = open_page("errors")
    card = page.get_by_role("listitem").filter(has_text="PaymentDeclined")
    card.get_by_role("button", name="Details").click()
    expect(page.get_by_role("link", name="order-1100")).to_be_visible()
    card.get_by_role("button", name="Retry all").click()
    expect(page.get_by_test_id("bulk-count")).to_contain_text("will be resumed")
    page.get_by_role("button", name="Keep runs").click()


def test_a_webhook_is_made_and_turned_off(open_page: Open, site: Any) -> None:
    page = open_page("webhooks")
    page.get_by_role("button", name="Add webhook").first.click()
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Error", exact=True).click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("switch", name="Turn http://127.0.0.1:9/hook on or off").click()
    expect(page.get_by_role("switch", name="Turn http://127.0.0.1:9/hook on or off")).not_to_be_checked()
    hook = site.ask("GET", "webhooks")["items"][0]
    assert (False, True, ["workflow.ERROR"]) == (hook["enabled"], hook["secret_set"], hook["events"])
    site.ask("DELETE", f"webhooks/{hook['id']}")


def test_the_address_of_a_channel_is_built_from_its_parts(open_page: Open, site: Any) -> None:
    page = open_page("notifications")
    page.get_by_role("button", name="Add channel").first.click()
    page.get_by_label("Name").fill("oncall")
    page.get_by_label("Service").select_option("ntfys")
    page.get_by_label("Server").fill("ntfy.example.com")
    page.get_by_label("Topic").fill("alerts")
    expect(page.get_by_text("ntfys://ntfy.example.com/alerts")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="oncall").wait_for()
    channel = site.ask("GET", "alert-channels")["items"][0]
    assert ("oncall", ["workflow.ERROR"]) == (channel["name"], channel["events"])
    site.ask("DELETE", f"alert-channels/{channel['id']}")


def test_a_token_is_shown_once(open_page: Open) -> None:
    page = open_page("settings?tab=tokens")
    page.get_by_role("button", name="Create token").click()
    page.get_by_label("Name").fill("deploy")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Copy token: "))).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("table", name="API tokens")).to_contain_text("deploy")


def test_an_account_with_a_role_sees_what_the_role_allows(open_page: Open) -> None:
    page = open_page("settings?tab=accounts")
    page.get_by_role("button", name="Add account").click()
    page.get_by_label("E-mail").fill("viewer@example.com")
    page.get_by_label("Password").fill("looks but does not touch")
    page.get_by_role("button", name="Viewer").click()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("table", name="Accounts")).to_contain_text("viewer@example.com")

    theirs = open_page("runs/order-1001", is_known=False)
    theirs.get_by_label("E-mail").fill("viewer@example.com")
    theirs.get_by_label("Password").fill("looks but does not touch")
    theirs.get_by_role("button", name="Sign in").click()
    theirs.get_by_role("heading", name="place_order").wait_for()
    expect(theirs.get_by_role("button", name="Fork", exact=True)).to_have_count(0)
    expect(theirs.get_by_role("link", name="Audit log")).to_have_count(0)
    expect(theirs.get_by_role("link", name="Start a run")).to_have_count(0)
