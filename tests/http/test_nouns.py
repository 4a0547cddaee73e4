"""Queues, schedules, keys, products and what leaves the house, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from typing import Any

import pytest

import turbine

BYTES = bytes(range(256)) * 8


@turbine.workflow(triggerable=True)
async def work(x: int) -> int:
    await turbine.recv("go")
    return x


@turbine.step
async def write(names: list[str]) -> None:
    for name in names:
        await turbine.send_product(name, BYTES, {"kind": "report"})


@turbine.workflow(triggerable=True)
async def report(names: list[str]) -> None:
    await write(names)


async def test_a_queue_is_watched_and_governed(open_site) -> None:
    site = await open_site(work, queues=("mail",))
    operator = await site.holder("operator")
    for number in range(4):
        await site.rt.run(work.options(id=f"w{number}", queue="mail"), number)
    while (stats := (await operator.get("queues/mail/stats")).json())["running"] < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert (2, 2, {"w0", "w1"}) == (
        stats["enqueued"],
        stats["running"],
        {holder["workflow_id"] for holder in stats["holders"]},
    )
    assert stats["oldest_age"] >= 0
    changed = await operator.patch(
        "queues/mail", json={"global_concurrency": None, "rate_limit": {"limit": 9, "per": 60}}
    )
    assert (None, {"limit": 9, "per": 60.0}) == tuple(
        changed.json()[name] for name in ("global_concurrency", "rate_limit")
    )
    assert (await operator.post("queues/mail/pause")).json()["paused"] is True
    assert (await operator.post("queues/mail/resume")).json()["paused"] is False
    assert ["mail"] == [queue["name"] for queue in (await operator.get("queues")).json()["items"]]
    (listed,) = (await operator.get("queues?stats=true")).json()["items"]
    assert stats.keys() - {"holders", "partitions"} == listed["stats"].keys()
    assert 4 == listed["stats"]["enqueued"] + listed["stats"]["running"] + listed["stats"]["completed"]
    for wrong in (
        {"global_concurrency": 0},
        {"rate_limit": {"limit": 0, "per": 1}},
        {"batch_max": None},
        {"name": "x"},
    ):
        assert 422 == (await operator.patch("queues/mail", json=wrong)).status_code, wrong
    for ask in (operator.get("queues/none"), operator.get("queues/none/stats"), operator.post("queues/none/pause")):
        assert 404 == (await ask).status_code


async def test_keys_are_compared_and_held_against_their_schema(open_site) -> None:
    operator = await (await open_site()).holder("operator")
    assert 404 == (await operator.get("kv/a")).status_code
    made = await operator.put("kv/a", json={"value": {"n": 1}, "expect": None})
    assert {"key": "a", "value": {"n": 1}, "schema": None} == {k: made.json()[k] for k in ("key", "value", "schema")}
    assert 409 == (await operator.put("kv/a", json={"value": 2, "expect": None})).status_code
    assert 409 == (await operator.put("kv/a", json={"value": 2, "expect": {"n": 3}})).status_code
    schema = {"type": "object", "required": ["n"]}
    assert schema == (await operator.put("kv/a/schema", json={"schema": schema})).json()["schema"]
    refused = await operator.put("kv/a", json={"value": {"m": 1}})
    assert (422, True) == (refused.status_code, bool(refused.json()["errors"]))
    assert 200 == (await operator.put("kv/a", json={"value": {"n": 2}, "expect": {"n": 1}})).status_code
    assert 422 == (await operator.put("kv/a/schema", json={"schema": {"type": 3}})).status_code
    assert 422 == (await operator.put("kv/a", json={"value": None})).status_code
    await operator.put("kv/ab", json={"value": 1})
    await operator.put("kv/b", json={"value": 1})
    page = (await operator.get("kv?prefix=a&limit=1")).json()
    assert (["a"], "a") == ([one["key"] for one in page["items"]], page["next_cursor"])
    assert ["ab"] == [one["key"] for one in (await operator.get("kv?prefix=a&cursor=a")).json()["items"]]
    assert 204 == (await operator.delete("kv/a")).status_code
    assert 404 == (await operator.delete("kv/a")).status_code


async def test_schedules_are_made_looked_at_changed_and_run(open_site) -> None:
    operator = await (await open_site(work)).holder("operator")
    nightly = {"type": "cron", "expression": "0 3 * * *", "timezone": "Europe/Berlin"}
    asked: dict[str, Any] = {"workflow": "work", "schedule": nightly, "input": 7, "name": "nightly"}
    made = (await operator.post("schedules", json=asked)).json()
    assert ("cron", "0 3 * * *", 7, True) == tuple(made[k] for k in ("type", "cron_expression", "input", "enabled"))
    address = f"schedules/{made['id']}"
    shown = (await operator.get(address)).json()
    assert (10, []) == (len(shown["next"]), shown["last_runs"])
    assert 3 == len((await operator.get(f"{address}/preview?count=3")).json()["items"])
    preview = await operator.post("schedules/preview", json={"schedule": nightly, "count": 5})
    assert shown["next"][:5] == preview.json()["items"]
    assert (await operator.post(f"{address}/disable")).json()["enabled"] is False
    assert (await operator.post(f"{address}/enable")).json()["enabled"] is True
    changed = await operator.patch(address, json={"schedule": {"type": "cron", "expression": "@hourly"}})
    assert "@hourly" == changed.json()["cron_expression"]
    started = await operator.post(f"{address}/run-now")
    assert 201 == started.status_code
    assert "work" == (await operator.get(f"workflows/{started.json()['workflow_id']}")).json()["name"]
    once = await operator.post(
        "schedules", json=asked | {"name": "later", "schedule": {"type": "once", "at": "2999-01-01T00:00:00Z"}}
    )
    assert ("once", "2999-01-01T00:00:00.000Z") == (once.json()["type"], once.json()["scheduled_at"])
    assert 409 == (await operator.post("schedules", json=asked)).status_code
    for wrong in (
        {"schedule": {"type": "cron", "expression": "every day"}},
        {"schedule": {"type": "cron", "expression": "0 3 * * *", "timezone": "Mars"}},
        {"schedule": {"type": "once"}},
        {"schedule": {"type": "once", "at": "2999-01-01T00:00:00"}},
        {"input": "seven"},
    ):
        answer = await operator.post("schedules", json=asked | {"name": "wrong"} | wrong)
        assert (422, True) == (answer.status_code, bool(answer.json()["errors"])), answer.text
    assert 404 == (await operator.post("schedules", json=asked | {"workflow": "none"})).status_code
    paused = await operator.post(f"{address}/disable", json={"reason": "holidays"})
    assert (False, "holidays", "start") == tuple(paused.json()[name] for name in ("enabled", "reason", "overlap"))
    span: dict[str, Any] = {"start": "2026-03-27T00:00:00Z", "end": "2026-03-27T03:00:00Z"}
    looked = (await operator.post(f"{address}/backfill", json=span | {"dry_run": True})).json()
    made = (await operator.post(f"{address}/backfill", json=span)).json()
    assert looked == made
    assert (3, "sched-nightly-2026-03-27T00:00:00Z") == (len(made["started"]), made["started"][0])
    assert made["started"] == (await operator.post(f"{address}/backfill", json=span)).json()["existing"]
    for wrong in ({"end": "2026-03-27"}, {"start": "2020-01-01T00:00:00Z"}, {"dry_run": "no"}):
        assert 422 == (await operator.post(f"{address}/backfill", json=span | wrong)).status_code, wrong
    assert 404 == (await operator.post("schedules/none/backfill", json=span)).status_code
    assert 204 == (await operator.delete(address)).status_code
    assert 404 == (await operator.get(address)).status_code


NAMES = [
    "report.txt",
    "../../etc/passwd",
    'a"b\r\nSet-Cookie: x=1.png',
    "Übersicht für März.csv",
    "x" * 300,
    "page.html",
    "a.svg",
]


@pytest.mark.parametrize("name", NAMES)
async def test_products_are_downloaded_whatever_their_names(open_site, name: str) -> None:
    site = await open_site(report)
    viewer = await site.holder("viewer")
    await (await site.rt.run(report.options(id="r1"), [name])).result()
    (product,) = (await viewer.get("products?workflow_id=r1")).json()["items"]
    assert (name, 2048, hashlib.sha256(BYTES).hexdigest(), {"kind": "report"}) == tuple(
        product[field] for field in ("file_name", "size", "sha256", "metadata")
    )
    got = await viewer.get(f"products/{product['id']}/download")
    assert got.content == BYTES
    assert got.headers["content-disposition"].startswith("attachment; ")
    assert "application/octet-stream" == got.headers["content-type"]
    assert "set-cookie" not in got.headers
    assert "/" not in got.headers["content-disposition"].split("filename=")[1].split(";")[0]
    shown = await viewer.get(f"products/{product['id']}/download?preview=true")
    is_safe = name.endswith((".txt", ".png", ".csv"))
    assert is_safe == shown.headers["content-disposition"].startswith("inline")
    assert "html" not in shown.headers["content-type"]
    assert "svg" not in shown.headers["content-type"]
    assert "sandbox" in shown.headers["content-security-policy"]


async def test_parts_of_a_product_are_sent_when_somebody_asks_for_them(open_site) -> None:
    site = await open_site(report)
    viewer, operator = await site.holder("viewer"), await site.holder("operator")
    await (await site.rt.run(report, ["a.bin", "b.bin"])).result()
    product = (await viewer.get("products?search=b.bin")).json()["items"][0]
    address = f"products/{product['id']}/download"
    for asked, first, last in (("0-9", 0, 9), ("2040-", 2040, 2047), ("-8", 2040, 2047), ("5-99999", 5, 2047)):
        got = await viewer.get(address, headers={"range": f"bytes={asked}"})
        assert (206, f"bytes {first}-{last}/2048") == (got.status_code, got.headers["content-range"])
        assert BYTES[first : last + 1] == got.content
    assert 416 == (await viewer.get(address, headers={"range": "bytes=9999-"})).status_code
    assert 304 == (await viewer.get(address, headers={"if-none-match": f'"{product["sha256"]}"'})).status_code
    assert 409 == (await operator.post(f"products/{product['id']}/resend")).status_code
    assert 404 == (await viewer.get("products/none/download")).status_code


async def test_webhooks_never_tell_their_secrets(open_site) -> None:
    site = await open_site()
    admin = await site.holder("admin")
    asked = {"url": "https://example.com/hook", "events": ["workflow.ERROR"], "secret": "s3cret-s3cret"}
    made = await admin.post("webhooks", json=asked)
    assert (201, True, True) == (made.status_code, made.json()["secret_set"], made.json()["enabled"])
    address = f"webhooks/{made.json()['id']}"
    changed = await admin.patch(address, json={"enabled": False, "events": ["workflow.*"]})
    assert (False, ["workflow.*"], True) == tuple(changed.json()[k] for k in ("enabled", "events", "secret_set"))
    assert (await admin.patch(address, json={"secret": None})).json()["secret_set"] is False
    for wrong in ({"url": "ftp://example.com"}, {"url": "http://127.0.0.1/x"}, {"events": []}, {"events": ["all"]}):
        assert 422 == (await admin.post("webhooks", json=asked | wrong)).status_code, wrong
    everything = [await admin.get(path) for path in ("webhooks", address, "audit")]
    assert not any("s3cret" in answer.text for answer in everything)
    assert 204 == (await admin.delete(address)).status_code
    assert 404 == (await admin.get(address)).status_code


async def test_a_webhook_is_tested_by_a_signed_event_that_is_not_kept(open_site, unused_port) -> None:
    site = await open_site(allow_private_addresses=True)
    admin = await site.holder("admin")
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.append(head + await reader.read(2000))
        code = b"204 No Content" if len(heard) == 1 else b"418 Teapot"
        writer.write(b"HTTP/1.1 " + code + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    asked = {"url": f"http://127.0.0.1:{unused_port}/", "events": ["workflow.*"], "secret": "s3cret", "enabled": False}
    hook = (await admin.post("webhooks", json=asked)).json()
    async with await asyncio.start_server(answer, "127.0.0.1", unused_port):
        taken = await admin.post(f"webhooks/{hook['id']}/test")
        refused = await admin.post(f"webhooks/{hook['id']}/test")
    assert (200, 204) == (taken.status_code, taken.json()["status_code"])
    assert (502, 37, True) == (refused.status_code, refused.json()["code"], "418 Teapot" in refused.json()["detail"])
    assert b"x-turbine-signature" in heard[0].lower()
    assert b'"event":"test"' in heard[0]
    assert [] == (await admin.get("deliveries")).json()["items"]
    assert ["webhook.test", "webhook.test", "webhook.create"] == [
        line["action"] for line in (await admin.get("audit")).json()["items"]
    ][:3]
    assert 404 == (await admin.post("webhooks/none/test")).status_code


async def test_the_roll_shows_how_processes_fare_who_went_and_whose_code_has_nobody(open_site, database_url) -> None:
    site = await open_site(work, application_version="new", executor_id="here")
    viewer = await site.holder("viewer")
    await site.rt.run(work.options(id="w1"), 1)
    old = turbine.Runtime(
        database_url, workflows=[work], application_version="old", executor_id="there", shutdown_timeout=0
    )
    await old.launch()
    await old.run(work.options(id="w2"), 2)
    both = (await viewer.get("registered/work")).json()["versions"]
    await old.shutdown()
    found = (await viewer.get("executors")).json()
    left = (await viewer.get("registered/work")).json()["versions"]

    (executor,) = found["items"]
    assert ("here", "new", 0) == tuple(executor[name] for name in ("executor_id", "application_version", "threads"))
    assert executor["memory_bytes"] > 1_000_000
    assert executor["threads_max"] > 0
    (gone,) = found["past_executors"]
    assert ("there", "old", None, 0) == tuple(
        gone[name] for name in ("executor_id", "application_version", "taken_by", "runs")
    )
    assert {("new", 1, 0, True), ("old", 1, 0, True)} == {tuple(one.values()) for one in both}
    assert {("new", 1, 0, True), ("old", 1, 0, False)} == {tuple(one.values()) for one in left}


async def test_alert_channels_are_masked_tested_and_their_deliveries_listed(open_site, unused_port) -> None:
    site = await open_site(delivery_attempts=1)
    admin = await site.holder("admin")
    asked = {"name": "ops", "url": f"json://user:hidden@127.0.0.1:{unused_port}/x", "events": ["workflow.ERROR"]}
    made = (await admin.post("alert-channels", json=asked)).json()
    assert "json://***" == made["url"]
    assert 409 == (await admin.post("alert-channels", json=asked)).status_code
    assert 422 == (await admin.post("alert-channels", json=asked | {"name": "x", "url": "nothing"})).status_code
    address = f"alert-channels/{made['id']}"
    failed = await admin.post(f"{address}/test")
    assert (502, 37) == (failed.status_code, failed.json()["code"])
    (delivery,) = (await admin.get("deliveries?status=dead")).json()["items"]
    assert ("alert", made["id"], 1) == (delivery["kind"], delivery["target"], len(delivery["attempts"]))
    assert delivery["attempts"][0]["error"]
    assert 200 == (await admin.post(f"deliveries/{delivery['id']}/resend")).status_code
    assert (await admin.patch(address, json={"name": "people"})).json()["name"] == "people"
    hours = {"start": "00:00", "end": "23:59", "timezone": "UTC", "weekdays": [], "urgent": ["workflow.ERROR"]}
    quiet = (await admin.patch(address, json={"quiet": hours, "workflows": ["billing.*"]})).json()
    assert (hours, ["billing.*"], True) == (quiet["quiet"], quiet["workflows"], quiet["quiet_until"] is not None)
    for wrong in ({"end": "24:00"}, {"timezone": "Mars"}, {"weekdays": ["friday"]}, {"urgent": ["x"]}, {"x": 1}):
        refused = await admin.patch(address, json={"quiet": hours | wrong})
        assert 422 == refused.status_code, refused.text
        assert next(iter(wrong)) in str(refused.json()["errors"][0]["path"])
    assert {"quiet": hours, "workflows": ["billing.*"]} == (await admin.get("audit")).json()["items"][0]["detail"]
    loud = (await admin.patch(address, json={"quiet": None})).json()
    assert (None, None, ["billing.*"]) == (loud["quiet"], loud["quiet_until"], loud["workflows"])
    another = asked | {"name": "calm", "quiet": hours, "workflows": ["a"]}
    calm = (await admin.post("alert-channels", json=another)).json()
    assert (hours, ["a"]) == (calm["quiet"], calm["workflows"])
    assert "hidden" not in (await admin.get("audit")).text + (await admin.get("alert-channels")).text
    assert 204 == (await admin.delete(address)).status_code
    assert 404 == (await admin.post(f"{address}/test")).status_code
    assert 404 == (await admin.get("deliveries/none")).status_code


async def test_a_backup_is_a_database(open_site, database_url, tmp_path) -> None:
    import sqlite3

    site = await open_site()
    admin = await site.holder("admin")
    answer = await admin.get("backup")
    if database_url.startswith("postgres"):
        assert answer.status_code >= 400
        assert "pg_dump" in answer.json()["detail"]
        return
    (tmp_path / "copy.db").write_bytes(answer.content)
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert [("a admin",)] == copy.execute("select name from pt_tokens").fetchall()
    copy.close()
    assert "backup.download" == (await admin.get("audit")).json()["items"][0]["action"]


async def test_a_backup_needs_no_temporary_folder(open_site, database_url, tmp_path, monkeypatch) -> None:
    site = await open_site()
    admin = await site.holder("admin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    before = set(tmp_path.iterdir())
    answer = await admin.get("backup")
    if database_url.startswith("postgres"):
        assert "pg_dump" in answer.json()["detail"]
    else:
        assert answer.content.startswith(b"SQLite format 3")
    assert before == set(tmp_path.iterdir())


async def test_logs_are_listed_and_filtered(open_site) -> None:
    @turbine.workflow
    async def talk() -> None:
        turbine.logger().info("one")
        turbine.logger().error("two")

    site = await open_site(talk)
    viewer = await site.holder("viewer")
    await (await site.rt.run(talk.options(id="t1"))).result()

    async def found(query: str) -> list[str]:
        items = (await viewer.get(f"logs?{query}")).json()["items"]
        return [one["message"] for one in items if one["source"] == "user"]

    assert ["two", "one"] == await found("workflow_id=t1")
    assert ["two"] == await found("level=ERROR")
    assert ["one"] == await found("search=on")
    assert ["one", "two"] == await found("workflow_id=t1&ascending=true")
    assert 400 == (await viewer.get("logs?level=LOUD")).status_code


async def test_the_description_names_every_role_and_needs_nothing_from_elsewhere(open_site) -> None:
    viewer = await (await open_site()).holder("viewer")
    document = json.loads((await viewer.get("openapi.json")).text)
    assert "admin" == document["paths"]["/accounts"]["get"]["x-role"]
    page = await viewer.get("docs")
    assert "/workflows/{id}/steps-tree" in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
