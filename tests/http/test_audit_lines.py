"""Each change over HTTP leaves one line in the audit; what changes nothing leaves none."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import turbine
from turbine.model.accounts import Actor, Role
from turbine.operations.schedules import Schedules


@turbine.workflow(triggerable=True)
async def report(day: str) -> str:
    return day


TIMES = {"type": "cron", "expression": "@yearly", "timezone": "UTC"}
HOURS = {"start": "22:00", "end": "07:00", "timezone": "UTC", "weekdays": [], "urgent": []}


async def lines(admin: httpx.AsyncClient) -> list[tuple[str, str, Any]]:
    items = (await admin.get("audit", params={"limit": 500})).json()["items"]
    return [(line["action"], line["target"], line["detail"]) for line in reversed(items)]


async def change(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = await client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def test_each_change_leaves_one_line(open_site) -> None:
    site = await open_site(report, queues=("mail",))
    admin = await site.holder("admin")
    await change(admin, "PATCH", "queues/mail", {"global_concurrency": None, "batch_max": 7})
    await change(admin, "POST", "queues/mail/pause")
    await change(admin, "PUT", "kv/a", {"value": 1})
    await change(admin, "PUT", "kv/a/schema", {"schema": {"type": "number"}})
    await change(admin, "DELETE", "kv/a")
    made = {"workflow": "report", "schedule": TIMES, "input": "monday", "name": "yearly"}
    id = (await change(admin, "POST", "schedules", made))["id"]
    await change(admin, "PATCH", f"schedules/{id}", {"schedule": TIMES | {"expression": "@monthly"}, "input": "friday"})
    await change(admin, "POST", f"schedules/{id}/disable", {"reason": "holidays"})
    await change(admin, "POST", f"schedules/{id}/enable")
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await change(admin, "POST", f"schedules/{id}/backfill", span | {"dry_run": True})
    await change(admin, "POST", f"schedules/{id}/backfill", span)
    await change(admin, "POST", f"schedules/{id}/run-now")
    await change(admin, "DELETE", f"schedules/{id}")
    hook = {"url": "https://u:pass@example.com/", "events": ["workflow.ERROR"]}
    hook_id = (await change(admin, "POST", "webhooks", hook))["id"]
    await change(admin, "PATCH", f"webhooks/{hook_id}", {"secret": "s3cret", "enabled": False})
    await change(admin, "DELETE", f"webhooks/{hook_id}")
    channel = {"name": "ops", "url": "json://example.com/key", "events": [], "quiet": HOURS}
    channel_id = (await change(admin, "POST", "alert-channels", channel))["id"]
    await change(admin, "PATCH", f"alert-channels/{channel_id}", {"url": "json://example.com/other", "quiet": None})
    await change(admin, "DELETE", f"alert-channels/{channel_id}")
    account = {"email": "Ada@example.com", "password": "correct horse", "role": "viewer"}
    account_id = (await change(admin, "POST", "accounts", account))["id"]
    await change(admin, "PATCH", f"accounts/{account_id}", {"password": "battery staple", "role": "operator"})
    await change(admin, "DELETE", f"accounts/{account_id}")
    token_id = (await change(admin, "POST", "tokens", {"name": "ci", "role": "viewer"}))["id"]
    await change(admin, "DELETE", f"tokens/{token_id}")
    await change(admin, "PUT", "retention", {"workflow": "report", "keep": 60})
    await change(admin, "DELETE", "retention?workflow=report")
    await change(admin, "POST", "garbage", {"older_than": 60})
    await change(admin, "POST", "vacuum")
    await change(admin, "POST", "sql", {"query": "select 1"})
    times = {"start": "2026-01-01 00:00:00+00:00", "end": "2026-01-02 00:00:00+00:00"}
    assert [
        ("queue.limits", "mail", {"global_concurrency": "none", "batch_max": 7}),
        ("queue.pause", "mail", {"paused": True}),
        ("kv.set", "a", None),
        ("kv.schema", "a", None),
        ("kv.delete", "a", None),
        ("schedule.create", "yearly", {"workflow": "report"}),
        ("schedule.update", id, {"schedule_name": "yearly", "schedule": "@monthly"}),
        ("schedule.disable", id, {"schedule_name": "yearly", "enabled": False, "reason": "holidays"}),
        ("schedule.enable", id, {"schedule_name": "yearly", "enabled": True}),
        ("schedule.backfill", id, {"schedule_name": "yearly"} | times),
        ("schedule.run_now", id, {"schedule_name": "yearly"}),
        ("schedule.delete", id, None),
        ("webhook.create", "https://u:***@example.com/", {"events": ["workflow.ERROR"]}),
        ("webhook.update", hook_id, {"secret": "changed", "enabled": False}),
        ("webhook.delete", hook_id, None),
        ("alert_channel.create", "ops", {"events": [], "quiet": HOURS}),
        ("alert_channel.update", channel_id, {"url": "changed", "quiet": "none"}),
        ("alert_channel.delete", channel_id, None),
        ("account.create", "ada@example.com", {"role": "viewer"}),
        ("account.update", "ada@example.com", {"password": "changed", "role": "operator"}),
        ("account.delete", "ada@example.com", None),
        ("token.create", "ci", {"role": "viewer"}),
        ("token.delete", "ci", None),
        ("retention.set", "report *", {"keep": 60.0}),
        ("retention.delete", "report *", None),
        ("garbage.collect", "database", {"older_than": 60.0}),
        ("database.vacuum", "database", None),
        ("sql.query", "database", {"query": "select 1"}),
    ] == await lines(admin)


async def test_what_changes_nothing_leaves_no_line(open_site) -> None:
    site = await open_site(report, queues=("mail",))
    admin = await site.holder("admin")
    schedule = await site.rt.schedules.create("report", "@yearly", input="monday")
    await change(admin, "POST", "queues/mail/resume")
    await change(admin, "PATCH", "queues/mail", {"global_concurrency": 2})
    await change(admin, "POST", f"schedules/{schedule.id}/enable")
    await change(admin, "PATCH", f"schedules/{schedule.id}", {"name": schedule.name})
    missing = ["kv/none", "retention?status=ERROR", "webhooks/none", "alert-channels/none", "tokens/none"]
    asked = [("DELETE", path) for path in missing]
    for method, path in [*asked, ("POST", "schedules/none/run-now"), ("POST", "queues/none/pause")]:
        assert 404 == (await admin.request(method, path)).status_code, path
    assert 409 == (await admin.put("kv/a", json={"value": 1, "expect": 2})).status_code
    assert 422 == (await admin.patch(f"schedules/{schedule.id}", json={"input": 7})).status_code
    assert [] == await lines(admin)
    assert schedule == await site.rt.schedules.get(schedule.id)


@pytest.mark.parametrize("word", ["run_now", "backfill"])
async def test_code_that_acts_for_somebody_leaves_the_same_line(open_site, word: str) -> None:
    site = await open_site(report)
    admin = await site.holder("admin")
    schedule = await site.rt.schedules.create("report", "@yearly", input="monday", name="yearly")
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await change(
        admin, "POST", f"schedules/{schedule.id}/{word.replace('_', '-')}", span if word == "backfill" else None
    )
    schedules = Schedules(site.rt._app, Actor("mcp:ci", Role.OPERATOR))
    again = await schedules.create("report", "@yearly", input="monday", name="again")
    if word == "backfill":
        start, end = (turbine.clock.parse_moment(text) for text in span.values())
        await schedules.backfill(again.id, start, end)
    else:
        await schedules.run_now(again.id)
    over_http, created, in_code = (await site.rt.audit.list()).items[::-1]
    assert ("schedule.create", "again") == (created.action, created.target)
    assert ("mcp:ci", "operator", again.id) == (in_code.actor, in_code.role, in_code.target)
    assert (over_http.action, over_http.detail) == (
        in_code.action,
        (in_code.detail or {}) | {"schedule_name": "yearly"},
    )
