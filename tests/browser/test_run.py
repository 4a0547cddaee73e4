"""The page of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]


def status(page: Any, word: str) -> None:
    expect(page.locator("h1 + [data-status]")).to_have_attribute("data-status", word)


def test_the_steps_of_a_run_are_shown_with_exact_numbers(open_page: Open) -> None:
    page = open_page("runs/order-1001")
    status(page, "SUCCESS")
    timeline = page.get_by_role("group", name="Step timeline")
    expect(timeline.get_by_role("listitem").filter(has_text="print_label")).to_be_visible()
    timeline.get_by_role("button", name="validate_order").click()
    inspector = page.get_by_test_id("inspector")
    expect(inspector.get_by_text("123456789012345678901234567890")).to_be_visible()
    expect(inspector.get_by_text("order 1001 has 2 items")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("facts")).to_be_visible()


def test_a_step_that_was_tried_again_shows_its_attempts(open_page: Open) -> None:
    page = open_page("runs/order-1001?step=5")
    inspector = page.get_by_test_id("inspector")
    expect(inspector.get_by_text("2 attempts")).to_be_visible()
    expect(inspector.get_by_text("TimeoutError: gateway did not answer within 600 ms")).to_be_visible()


def test_a_failed_run_says_why_and_where(open_page: Open) -> None:
    page = open_page("runs/order-1100")
    status(page, "ERROR")
    failure = page.get_by_role("group", name="Error")
    expect(failure.get_by_text("PaymentDeclined: card ending in 4242")).to_be_visible()
    failure.get_by_role("button", name="Traceback", exact=True).click()
    expect(failure.locator("pre")).to_contain_text("in charge")
    page.get_by_text("Failed at step 5, charge").click()
    expect(page.get_by_test_id("inspector").get_by_text("4 attempts")).to_be_visible()


def test_the_graph_shows_the_steps(open_page: Open) -> None:
    page = open_page("runs/order-1001")
    page.get_by_role("button", name="Graph").click()
    expect(page.get_by_test_id("graph").get_by_text("reserve_stock")).to_be_visible()


def test_a_sleeping_run_is_woken_by_the_button(open_page: Open) -> None:
    page = open_page("runs/reminder-1")
    expect(page.get_by_test_id("waiting")).to_contain_text("Sleeping")
    page.get_by_role("button", name="Wake now").click()
    status(page, "SUCCESS")
    expect(page.get_by_text('"reminded grace"')).to_be_visible()


def test_a_message_releases_the_run_that_waits_for_it(open_page: Open) -> None:
    page = open_page("runs/payment-1")
    page.get_by_test_id("waiting").get_by_role("button", name="Send a message").click()
    expect(page.get_by_label("Topic")).to_have_value("payment")
    editor = page.get_by_role("textbox", name="Message (JSON)")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.type('{"paid": 12345678901234567890}')
    page.get_by_role("button", name="Send", exact=True).click()
    status(page, "SUCCESS")
    expect(page.get_by_role("group", name="Result").get_by_text("12345678901234567890")).to_be_visible()


def compared(page: Any, step: str) -> Any:
    comparison = page.get_by_role("table", name="Step comparison")
    return comparison.get_by_role("row").filter(has=page.get_by_role("button", name=step, exact=True))


def test_a_run_started_by_form_is_watched_and_approved_on_its_page(open_page: Open) -> None:
    page = open_page("start?workflow=refund_payment")
    page.get_by_label("ticket").fill("T-99")
    page.get_by_role("button", name="Start run").click()
    status(page, "WAITING_FOR_APPROVAL")
    expect(page.get_by_test_id("stack")).to_contain_text("refund_payment browser/shop.py:")
    page.get_by_placeholder("Comment (optional)").fill("it was broken")
    page.get_by_test_id("waiting").get_by_role("button", name="Approve").click()
    status(page, "SUCCESS")
    expect(page.get_by_role("group", name="Result").get_by_text('"refunded"')).to_be_visible()
    expect(page.get_by_test_id("stack")).to_have_count(0)


def test_a_fork_with_an_edited_result_is_compared_to_the_last_digit(open_page: Open) -> None:
    page = open_page("runs/order-1006")
    page.get_by_role("button", name="Fork", exact=True).click()
    page.get_by_label("Start from").select_option("1")
    page.get_by_label("Override a step").select_option("0")
    editor = page.get_by_role("textbox", name="Override step results 0")
    expect(editor).to_contain_text("123456789012345678901234567890")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"ok": true, "wei": 123456789012345678901234567891}')
    page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    expect(page).not_to_have_url(re.compile("order-1006"))
    status(page, "SUCCESS")
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_text("1 difference")).to_be_visible()
    page.get_by_role("switch", name="Differences only").click()
    expect(compared(page, "reserve_stock")).to_have_count(0)
    compared(page, "validate_order").get_by_role("button").click()
    for text in ("123456789012345678901234567890", "123456789012345678901234567891"):
        expect(page.get_by_role("group", name="validate_order").get_by_text(text, exact=True)).to_be_visible()


def test_a_failed_run_is_tried_again_from_the_step_that_failed(open_page: Open, site: Any) -> None:
    site.ask("POST", "trigger", {"name": "close_books", "input": {"day": "May 1"}, "id": "books"})
    page = open_page("runs/books")
    status(page, "ERROR")
    expect(page.locator("strong", has_text="May 1")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    status(page, "SUCCESS")
    expect(page.get_by_text('"42 entries"')).to_be_visible()


def test_a_failed_step_is_skipped_with_a_value_in_a_run_of_its_own(open_page: Open) -> None:
    page = open_page("runs/order-1100?step=5")
    page.get_by_role("button", name="Fix step").click()
    page.get_by_role("menuitem", name="Skip with a result").click()
    expect(page.get_by_role("list", name="What happens next")).to_contain_text("This run stays unchanged.")
    page.get_by_role("textbox", name="Result of the step").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('"paid in cash"')
    page.get_by_role("button", name="Skip step").click()
    expect(page).not_to_have_url(re.compile("order-1100"))
    status(page, "SUCCESS")
    page.get_by_role("tab", name="Messages").click()
    expect(page.get_by_text('"paid in cash"')).to_be_visible()


def test_an_exported_run_is_opened_without_the_server(open_page: Open, site: Any, tmp_path: Path) -> None:
    exported = tmp_path / "run.json"
    exported.write_text(json.dumps(site.ask("GET", "workflows/order-1005/export")))
    page = open_page("open")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    field = page.get_by_label("Exported run")
    field.set_input_files({"name": "no.json", "mimeType": "application/json", "buffer": b"[1]"})
    page.get_by_text("This file is not an exported run").wait_for()
    field.set_input_files(exported)
    packed = page.get_by_test_id("exported-run")
    expect(packed.get_by_role("heading", name="place_order")).to_be_visible()
    packed.get_by_role("button", name="validate_order").click()
    expect(page.get_by_test_id("inspector").get_by_text("123456789012345678901234567890")).to_be_visible()
    assert not [url for url in asked if "order-1005" in url]


def test_a_fork_with_another_input_runs_and_is_compared(open_page: Open) -> None:
    page = open_page("runs/order-1101")
    page.get_by_role("button", name="Fork", exact=True).click()
    page.get_by_label("Start from").select_option("0")
    page.get_by_role("switch", name="Change the input").click()
    customer = page.get_by_role("dialog").get_by_role("textbox", name="Customer")
    customer.fill("Margaret")
    page.get_by_role("dialog").get_by_role("button", name="JSON").click()
    expect(page.get_by_role("textbox", name="Input")).to_contain_text('"customer": "Margaret"')
    page.get_by_label("New run ID").fill("order-1101-again")
    page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    expect(page).to_have_url(re.compile("order-1101-again"))
    status(page, "SUCCESS")
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_text("different input")).to_be_visible()
    expect(compared(page, "charge")).to_contain_text("differs")
    expect(compared(page, "reserve_stock")).to_contain_text("same")


def test_cancelling_asks_first_and_stands_in_the_history(open_page: Open, site: Any) -> None:
    site.ask("POST", "trigger", {"name": "remind_later", "input": {"name": "alan"}, "id": "to-cancel"})
    page = open_page("runs/to-cancel")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_label("Reason").fill("wrong person")
    page.get_by_role("button", name="Cancel run").click()
    status(page, "CANCELLED")
    expect(page.get_by_test_id("facts")).to_contain_text("wrong person")
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_role("table", name="Audit log")).to_contain_text("ada@example.com")


def test_family_values_products_and_logs_have_their_places(open_page: Open) -> None:
    page = open_page("runs/order-1002")
    page.get_by_role("tab", name="Related runs").click()
    expect(page.get_by_role("link", name="send_invoice")).to_be_visible()
    page.get_by_role("tab", name="Messages").click()
    expect(page.get_by_text('"ch_1002"')).to_be_visible()
    page.get_by_role("tab", name="Products").click()
    page.get_by_role("button", name="label-1002.csv").click()
    expect(page.get_by_role("dialog").get_by_text("1002,Grace Hopper")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Logs").click()
    log = page.get_by_role("log", name="Logs")
    expect(log).to_contain_text("order 1002 has 2 items")
    page.get_by_role("button", name="Warn", exact=True).click()
    expect(log).not_to_contain_text("has 2 items")
    expect(log).to_contain_text("the gateway did not answer")


def test_an_unknown_run_says_so(open_page: Open) -> None:
    page = open_page("runs/no%2Fsuch%20run")
    page.get_by_text("Not found").wait_for()


def test_a_run_whose_id_has_a_slash_is_shown(open_page: Open, site: Any) -> None:
    site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "a"}, "id": "tenant/a b?#%"})
    page = open_page("runs?q=tenant/a")
    page.get_by_role("link", name="send_invoice").click()
    status(page, "SUCCESS")
    page.reload()
    status(page, "SUCCESS")
