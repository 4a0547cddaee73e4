"""Who is asked and who is told: approvals in the inbox of their assignees, channels that are not to be disturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]


def ask_for_contract(site: Any, customer: str, *emails: str) -> str:
    id = f"contract-{customer}"
    site.ask("POST", "trigger", {"name": "sign_contract", "input": {"customer": customer, "ask": emails}, "id": id})
    return id


def test_an_approver_decides_what_is_assigned_to_him_and_sees_no_other_button(open_page: Open, site: Any) -> None:
    bob = {"email": "bob@example.com", "password": "correct horse battery"}
    site.ask("POST", "accounts", bob | {"role": "approver"})
    ask_for_contract(site, "acme", "bob@example.com", "ada@example.com")
    ask_for_contract(site, "initech", "carol@example.com")
    theirs = open_page("approvals", is_known=False)
    theirs.get_by_label("E-mail").fill(bob["email"])
    theirs.get_by_label("Password").fill(bob["password"])
    theirs.get_by_role("button", name="Sign in").click()
    inbox = theirs.get_by_role("list", name="Approvals")
    expect(inbox.get_by_text("for you and 1 other")).to_be_visible()
    expect(inbox.get_by_text("Sign the contract with initech")).to_have_count(0)
    theirs.get_by_role("button", name="All", exact=True).click()
    inbox.get_by_role("button", name="Sign the contract with initech").click()
    expect(theirs.get_by_text("Assigned to carol@example.com. Your role can only decide")).to_be_visible()
    expect(theirs.get_by_role("button", name="Approve")).to_have_count(0)

    theirs.goto(site.page("runs/contract-acme"))
    theirs.get_by_text("Assigned to bob@example.com or ada@example.com.").wait_for()
    for name in ("Fork", "Cancel", "Resume", "Start a run"):
        expect(theirs.get_by_role("button", name=name, exact=True)).to_have_count(0)
    theirs.get_by_role("button", name="Approve").click()
    theirs.get_by_role("status").get_by_text("Approved").wait_for()
    (gate,) = site.ask("GET", "approvals?open=all&workflow_id=contract-acme")["items"]
    assert ("approved", "bob@example.com") == (gate["status"], gate["by"])

    ours = open_page("approvals?whose=all")
    ours.get_by_role("button", name="Sign the contract with initech").click()
    ours.get_by_text("Assigned to carol@example.com. You can decide it too.").wait_for()
    ours.get_by_role("button", name="Reject", exact=True).click()
    ours.get_by_role("status").get_by_text("Rejected").wait_for()
    (account,) = [one for one in site.ask("GET", "accounts")["items"] if one["email"] == bob["email"]]
    site.ask("DELETE", f"accounts/{account['id']}")


def test_a_channel_gets_quiet_hours_and_workflows_of_its_own(open_page: Open, site: Any) -> None:
    channel = site.ask("POST", "alert-channels", {"name": "night", "url": "json://127.0.0.1:9/", "events": []})
    page = open_page("notifications")
    page.get_by_role("button", name="night", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Workflows").click()
    page.get_by_placeholder("Search or type").fill("send_*")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    dialog.get_by_role("switch", name="Quiet hours").click()
    dialog.get_by_label("From").fill("00:00")
    dialog.get_by_label("Until").fill("00:00")
    expect(dialog.get_by_role("alert")).to_contain_text("cannot cover every hour")
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    dialog.get_by_label("Until").fill("23:59")
    dialog.get_by_label("Time zone").fill("Mars/Olympus")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("there is no time zone 'Mars/Olympus'")).to_be_visible()
    dialog.get_by_label("Time zone").fill("UTC")
    dialog.get_by_role("button", name="Error").last.click()
    dialog.get_by_role("button", name="Save").click()
    # In the last minute of the day it is not quiet.
    expect(page.get_by_role("table", name="Notifications").get_by_text("23:59")).to_be_visible()
    kept = site.ask("GET", f"alert-channels/{channel['id']}")
    urgent = ["workflow.ERROR", "workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
    hours = {"start": "00:00", "end": "23:59", "timezone": "UTC", "weekdays": [], "urgent": urgent}
    assert (hours, ["send_*"]) == (kept["quiet"], kept["workflows"])

    page.get_by_role("button", name="night", exact=True).click()
    dialog.get_by_role("switch", name="Quiet hours").click()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table", name="Notifications").get_by_text("none")).to_be_visible()
    assert site.ask("GET", f"alert-channels/{channel['id']}")["quiet"] is None
    site.ask("DELETE", f"alert-channels/{channel['id']}")
