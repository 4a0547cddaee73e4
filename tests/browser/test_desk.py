"""Errors by kind, values of before, links, deliveries, files, the audit, tokens, metrics, and the console."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

expect = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright").expect
pytestmark = pytest.mark.browser
Open = Callable[..., Any]


@pytest.fixture
def receiver() -> Iterator[str]:
    """A program that hears of runs."""

    class Hears(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Hears) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        server.shutdown()
        thread.join()


def test_all_runs_of_one_error_are_tried_again_and_it_is_resolved_until_it_comes_back(
    open_page: Open, site: Any
) -> None:
    for number in (1, 2):
        site.ask(
            "POST", "trigger", {"name": "send_invoice", "input": {"order_id": f"void-{number}"}, "id": f"v{number}"}
        )
    page = open_page("errors")
    card = page.get_by_role("listitem").filter(has_text="LookupError")
    expect(card).to_contain_text("2runs", timeout=8000)
    retried = len(site.ask("GET", "audit?action=workflow.resume&limit=500")["items"])
    card.get_by_role("button", name="Retry all").click()
    expect(page.get_by_test_id("bulk-count")).to_contain_text("2")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Resume 2")).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    lines = site.ask("GET", "audit?action=workflow.resume&limit=500")["items"]
    assert {"v1", "v2"} == {line["target"] for line in lines[: len(lines) - retried]}

    page.get_by_role("button", name=re.compile("^Actions for order void")).click()
    page.get_by_role("menuitem", name="Resolve").click()
    expect(card).to_have_count(0)
    page.get_by_role("tab", name="Resolved").click()
    expect(page.get_by_text("resolved by ada@example.com")).to_be_visible()
    site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "void-3"}, "id": "v3"})
    page.get_by_role("tab", name="Open").click()
    expect(page.get_by_text("reopened after ada@example.com resolved it")).to_be_visible(timeout=8000)


def test_a_value_of_before_is_compared_and_put_back(open_page: Open, site: Any) -> None:
    for limit in (10, 20):
        site.ask("PUT", "kv/history%2Fof", {"value": {"limit": limit, "same": True}})
    page = open_page("kv")
    page.get_by_role("button", name="history/of").click()
    page.get_by_role("button", name="History").click()
    beside = page.get_by_role("region", name=re.compile("with the current value"))
    expect(beside).to_contain_text('"limit": 10')
    expect(beside).to_contain_text('"limit": 20')
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("status").get_by_text("Restore").wait_for()
    assert 10 == site.ask("GET", "kv/history%2Fof")["value"]["limit"]
    assert ["ada@example.com", "token:tests", "token:tests"] == [
        change["by"] for change in site.ask("GET", "kv/history%2Fof/history")["items"]
    ]


def test_somebody_without_an_account_decides_once_by_a_link(open_page: Open, site: Any) -> None:
    site.ask("POST", "trigger", {"name": "refund_payment", "input": {"ticket": "L-1"}, "id": "by-link"})
    page = open_page("approvals")
    page.get_by_role("button", name="Refund 10.00 EUR for L-1").click()
    page.get_by_role("button", name="Create link").click()
    page.get_by_role("button", name="Create link").click()
    copied = page.get_by_role("button", name=re.compile("^Copy link: ")).inner_text()
    link = re.search(r"http\S+", copied)[0]

    theirs = open_page("login", is_known=False)
    theirs.goto(link)
    expect(theirs.get_by_role("heading", name="Refund 10.00 EUR for L-1")).to_be_visible()
    assert "#" not in theirs.url
    theirs.get_by_label("Comment").fill("by phone")
    theirs.get_by_role("button", name="Approve").click()
    expect(theirs.get_by_role("heading", name="Approved")).to_be_visible()
    theirs.goto(f"{link.split('#')[0]}?again")
    theirs.goto(link)
    expect(theirs.get_by_role("heading", name="This link is no longer valid")).to_be_visible()
    (gate,) = site.ask("GET", "approvals?open=all&workflow_id=by-link")["items"]
    assert ("approved", "by phone", "link made by ada@example.com") == (gate["status"], gate["comment"], gate["by"])


def test_a_delivery_is_sent_again_and_both_attempts_are_shown(open_page: Open, site: Any, receiver: str) -> None:
    hook = site.ask("POST", "webhooks", {"url": receiver, "events": ["workflow.SUCCESS"], "secret": "x"})
    try:
        page = open_page("webhooks")
        page.get_by_role("button", name="Test").click()
        page.get_by_role("status").get_by_text("Test request delivered").wait_for()
        site.ask("POST", "trigger", {"name": "send_invoice", "input": {"order_id": "told"}, "id": "told"})
        page = open_page("deliveries?kind=webhook&status=delivered")
        page.get_by_role("row").filter(has_text="told").get_by_role("button", name="Success").click()
        attempts = page.get_by_role("dialog").get_by_role("listitem")
        expect(attempts).to_have_count(1)
        expect(attempts.first).to_contain_text("200")
        page.get_by_role("button", name="Resend").click()
        expect(attempts).to_have_count(2)
    finally:
        site.ask("DELETE", f"webhooks/{hook['id']}")


def test_a_product_is_loaded_down_as_it_was_made(open_page: Open) -> None:
    page = open_page("products")
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download label-1003.csv").click()
    assert b"order,customer\n1003,Alan Turing\n" == Path(loading.value.path()).read_bytes()


def test_the_audit_is_narrowed_and_exported_whole(open_page: Open, site: Any) -> None:
    site.ask("PUT", "kv/audited", {"value": "=1+1"})
    page = open_page("audit?action=kv.set")
    page.get_by_placeholder("Target").fill("audited")
    table = page.get_by_role("table", name="Audit log")
    expect(table.get_by_role("row")).to_have_count(2)
    for item, read in (("as CSV", csv.DictReader), ("as JSON lines", lambda file: map(json.loads, file))):
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as loading:
            page.get_by_role("menuitem", name=item).click()
        lines = list(read(io.StringIO(Path(loading.value.path()).read_text())))
        assert [("kv.set", "audited", "token:tests")] == [
            (line["action"], line["target"], line["actor"]) for line in lines
        ]


def test_a_token_works_until_it_is_revoked(open_page: Open, site: Any) -> None:
    page = open_page("settings?tab=tokens")
    page.get_by_role("button", name="Create token").click()
    page.get_by_label("Name").fill("short lived")
    page.get_by_role("button", name="Viewer").click()
    page.get_by_role("button", name="Create", exact=True).click()
    shown = page.get_by_role("button", name=re.compile("^Copy token: ")).inner_text().strip()
    page.get_by_role("button", name="Done").click()

    def status(method: str = "GET", path: str = "queues") -> int:
        headers = {"authorization": f"Bearer {shown}"}
        return httpx.request(method, f"{site.where}{site.prefix}/api/pt/{path}", headers=headers).status_code

    assert (200, 403) == (status(), status("POST", "queues/render/pause"))
    page.get_by_role("row").filter(has_text="short lived").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="short lived")).to_have_count(0)
    assert 401 == status()


def test_an_account_that_is_turned_off_is_out_at_once(open_page: Open, site: Any) -> None:
    known = {"email": "leaves@example.com", "password": "correct horse battery"}
    site.ask("POST", "accounts", known | {"role": "viewer"})
    with httpx.Client(base_url=f"{site.where}{site.prefix}/api/pt/") as theirs:
        assert 200 == theirs.post("login", json=known).status_code
        assert 200 == theirs.get("kv").status_code
        page = open_page("settings?tab=accounts")
        switch = page.get_by_role("switch", name=re.compile("leaves@example.com"))
        switch.click()
        expect(switch).not_to_be_checked()
        assert 401 == theirs.get("kv").status_code


def test_the_console_reads_and_refuses_to_write(open_page: Open, site: Any) -> None:
    page = open_page("sql")
    statement = page.get_by_role("textbox", name="Query")
    statement.fill("select id, name from pt_runs where id = 'order-1001'")
    statement.press("Control+Enter")
    result = page.get_by_role("table", name="Result")
    expect(result).to_contain_text("place_order")
    expect(page.get_by_text("1 row ·")).to_be_visible()
    statement.fill("delete from pt_runs")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Only statements that read are run")).to_be_visible()
    statement.fill("select * from pt_accounts")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("it holds secrets")).to_be_visible()
    (line, *_) = site.ask("GET", "audit?action=sql.query")["items"]
    assert ("ada@example.com", {"query": "select * from pt_accounts"}) == (line["actor"], line["detail"])


def test_the_api_is_tried_out_on_its_page(open_page: Open) -> None:
    page = open_page("api")
    page.get_by_placeholder("Search operations").fill("/kv/{key}")
    page.get_by_role("button", name="GET /kv/{key}", exact=True).click()
    page.get_by_role("textbox", name="key").fill("greeting")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("region", name="Response")).to_contain_text("hello")
    expect(page.get_by_role("status").get_by_text("200")).to_be_visible()


def test_metrics_are_read_off_with_the_keyboard(open_page: Open) -> None:
    page = open_page("metrics?range=1h")
    chart = page.get_by_role("slider", name=re.compile("^Finished per"))
    chart.press("End")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"Succeeded or cancelled [1-9]\d*, Failed \d"))


def test_what_is_over_is_counted_before_it_is_removed(open_page: Open, site: Any) -> None:
    page = open_page("settings?tab=storage")
    expect(page.get_by_role("button", name="Remove now")).to_be_disabled()
    page.get_by_label("Runs without a rule, finished for").select_option(label="any time")
    page.get_by_role("button", name="Remove now").click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"Remove \d+ runs permanently\?"))
    page.get_by_role("button", name="Cancel").click()
    assert "SUCCESS" == site.ask("GET", "workflows/order-1001")["status"]


def test_rules_of_retention_are_added_changed_and_lifted(open_page: Open, site: Any) -> None:
    page = open_page("settings?tab=storage")
    rules = page.get_by_role("region", name="Retention rules").first
    expect(rules).to_contain_text("All other runs")
    page.get_by_role("button", name="Add rule").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    dialog.get_by_label("Workflow").fill("place_order")
    dialog.get_by_label("Status").select_option(label="Error")
    dialog.get_by_label("Keep").fill("90")
    dialog.get_by_role("button", name="Save").click()
    expect(rules).to_contain_text("90 days")
    page.get_by_role("button", name="Edit rule for place_order, Error").click()
    dialog.get_by_label("Unit").select_option(label="forever")
    dialog.get_by_role("button", name="Save").click()
    expect(rules).to_contain_text("forever")
    (rule,) = site.ask("GET", "retention")["items"]
    assert ("place_order", "ERROR", None) == (rule["workflow"], rule["status"], rule["keep"])
    page.get_by_role("button", name="Delete rule for place_order, Error").click()
    dialog.get_by_role("button", name="Delete rule").click()
    expect(rules).not_to_contain_text("place_order")
    assert [] == site.ask("GET", "retention")["items"]


def test_the_growth_is_shown_with_when_the_disk_is_full_and_room_is_given_back(open_page: Open, site: Any) -> None:
    told = site.ask("GET", "settings")
    hours = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00.000Z" for hour in range(72)]
    sizes = [{"at": at, "bytes": 2**20 * (100 + index), "used_bytes": 2**20 * 90} for index, at in enumerate(hours)]
    told["storage"] |= {"free_bytes": 5 * 2**20, "disk_free_bytes": 2**30}
    told["storage"]["growth"] = {"sizes": sizes, "per_day": 24 * 2**20, "full_in": 34.2 * 86_400}

    page = open_page("settings?tab=storage")
    expect(page.get_by_text("Not enough data yet")).to_be_visible()
    page.route("**/api/pt/settings", lambda route: route.fulfill(json=told))
    page.reload()
    expect(page.get_by_text("Grows by 24 MB a day. At this rate the disk is full in about 34 days.")).to_be_visible()
    chart = page.get_by_role("slider", name="Size over time")
    chart.press("End")
    expect(chart).to_have_attribute("aria-valuetext", re.compile("Size 171 MB, In use 90 MB"))
    page.unroute("**/api/pt/settings")
    page.get_by_role("button", name="Reclaim").click()
    expect(page.get_by_role("dialog")).to_contain_text("Reclaim 5.0 MB of disk space?")
    page.get_by_role("dialog").get_by_role("button", name="Reclaim").click()
    expect(page.get_by_text(re.compile("^[0-9.]+ [KM]?B reclaimed$"))).to_be_visible()
    assert "database.vacuum" == site.ask("GET", "audit?limit=1")["items"][0]["action"]
