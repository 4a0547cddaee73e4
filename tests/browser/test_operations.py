"""Forms of every kind, queues that run dry, schedules that are edited and made up for, and who carries out what."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]
LARGE = 123456789012345678901234567890


def test_every_kind_of_field_reaches_the_run_as_it_was_written(open_page: Open, site: Any) -> None:
    page = open_page("start?workflow=fetch_goods")
    page.get_by_label("Customer").fill("Joan Clarke")
    expect(page.get_by_text("Who is at the door.")).to_be_visible()
    page.get_by_label(re.compile("^Day")).fill("2026-12-24")
    page.get_by_label("Ring At").fill("17:30:00")
    page.get_by_label("Booked").fill("2026-12-01T08:15")
    page.get_by_label("Van").select_option("large")
    page.get_by_role("switch", name="Stairs").click()
    page.get_by_label("Floor").fill("41")
    page.get_by_label("Parcel Number").fill(str(LARGE))
    page.get_by_label("Weight").fill("2.5")
    page.get_by_label("Fee").fill("12.30")
    page.get_by_role("button", name="Add item").click()
    page.get_by_label(re.compile("^1")).fill("mind the dog")
    page.get_by_label("New key").fill("boxes")
    page.get_by_label("New key").press("Enter")
    page.get_by_label("boxes").fill("3")
    page.get_by_label("Street").fill("Lange Reihe 7")
    page.get_by_label("Payment").select_option(label="ByCard")
    page.get_by_label("Last Digits").fill("42")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_label("Floor")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Last Digits")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Floor").fill("4")
    page.get_by_label("Last Digits").fill("4242")
    page.get_by_role("button", name="Start run").click()
    page.get_by_text("Pickup at Joan Clarke").first.wait_for()
    (run,) = site.ask("GET", "workflows?name=fetch_goods")["items"]
    given = site.ask("GET", f"workflows/{run['workflow_id']}")["input"]["kwargs"]["pickup"]
    at = given.pop("booked")
    assert "2026-12-01" == at[:10]
    assert {
        "customer": "Joan Clarke",
        "day": "2026-12-24",
        "ring_at": "17:30:00",
        "van": "large",
        "stairs": True,
        "floor": 4,
        "parcel_number": LARGE,
        "weight": 2.5,
        "fee": "12.30",
        "notes": ["mind the dog"],
        "counts": {"boxes": 3},
        "address": {"street": "Lange Reihe 7", "city": "Bremen"},
        "payment": {"kind": "card", "last_digits": "4242"},
    } == given

    page = open_page("start?workflow=fetch_goods")
    page.get_by_role("button", name="Use last input").click()
    expect(page.get_by_label("Customer")).to_have_value("Joan Clarke")
    expect(page.get_by_label("Parcel Number")).to_have_value(str(LARGE))


def test_a_start_is_copied_as_a_command_and_as_code(open_page: Open) -> None:
    page = open_page("start?workflow=send_invoice")
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    page.get_by_label("order_id").fill("it's 7")
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_text("curl command copied").wait_for()
    command = page.evaluate("window.copied")
    assert "/shop/api/pt/trigger" in command
    assert r"""it'\''s 7""" in command
    page.get_by_role("button", name="Copy as Python").click()
    page.get_by_text("Python code copied").wait_for()
    assert 'await rt.trigger("send_invoice", {"order_id": "it\'s 7"})' == page.evaluate("window.copied")


def test_a_queue_runs_dry_while_it_is_paused_and_its_slots_show_who_is_there(open_page: Open, site: Any) -> None:
    page = open_page("queues/render")
    page.get_by_role("link", name=re.compile("Slot of film-")).first.wait_for()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text(re.compile("Paused. \\d+ runs? still running"))).to_be_visible()
    page.get_by_role("button", name="Edit limits").click()
    page.get_by_label("Batch size").fill("7")
    page.get_by_role("switch", name="Use priorities").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("by priority")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("still running")).to_have_count(0)
    queue = site.ask("GET", "queues/render")
    assert (7, True, False) == (queue["batch_max"], queue["priority"], queue["paused"])
    site.ask("PATCH", "queues/render", {"batch_max": 100, "priority": False})


def test_a_schedule_is_edited_explained_and_made_up_for(open_page: Open, site: Any) -> None:
    nightly = {"type": "cron", "expression": "0 3 * * *", "timezone": "UTC"}
    asked = {"workflow": "send_invoice", "schedule": nightly, "input": {"order_id": "x"}, "name": "mends"}
    made = site.ask("POST", "schedules", asked)
    page = open_page(f"schedules/{made['id']}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Cron expression").fill("0 * * * *")
    page.get_by_label("Overlap").select_option("skip")
    page.get_by_label("Jitter").select_option("30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Skip the tick")).to_be_visible()
    saved = site.ask("GET", f"schedules/{made['id']}")
    assert ("0 * * * *", "skip", 30, {"order_id": "x"}) == tuple(
        saved[name] for name in ("cron_expression", "overlap", "jitter", "input")
    )

    page.get_by_role("button", name="Backfill").click()
    begin = datetime.now(UTC).replace(minute=30, second=0) - timedelta(hours=4)
    page.get_by_label("From").fill(local(page, begin))
    page.get_by_label("Until (exclusive)").fill(local(page, begin + timedelta(hours=2)))
    expect(page.get_by_text("2 ticks: 2 to start.")).to_be_visible()
    page.get_by_role("button", name="Start 2 runs").click()
    page.get_by_text("2 runs started").wait_for()
    expect(page.get_by_role("table", name="Runs").get_by_text("sched-mends-")).to_have_count(2)

    page.get_by_role("switch", name="Turn mends on or off").click()
    page.get_by_label("Reason for turning it off").fill("the printer is broken")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Turned off: the printer is broken")).to_be_visible()
    site.ask("DELETE", f"schedules/{made['id']}")


def local(page: Any, at: datetime) -> str:
    """A time as a field for dates and times takes it."""
    offset = page.evaluate("at => new Date(at).getTimezoneOffset()", at.isoformat())
    return (at - timedelta(minutes=offset)).strftime("%Y-%m-%dT%H:%M")


def test_a_workflow_shows_its_code_and_an_executor_how_it_fares(site: Any, open_page: Open) -> None:
    site.ask("POST", "trigger", {"name": "remind_later", "input": {"name": "open run"}, "id": "open-run"})
    page = open_page("workflows/remind_later")
    expect(page.get_by_text("remind_later(name: str) -> str")).to_be_visible()
    expect(page.get_by_text(re.compile("tests/browser/shop.py:\\d+"))).to_be_visible()
    expect(page.get_by_text("live process", exact=True)).to_be_visible()
    page = open_page("executors")
    row = page.get_by_role("table", name="Executors").get_by_role("row").nth(1)
    expect(row).to_contain_text("this server")
    expect(row).to_contain_text(re.compile("\\d/\\d+.*ms.*MB", re.DOTALL))
