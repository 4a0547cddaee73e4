"""What people do at the dashboard: failures by kind, what keys held before, links for one decision."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, Field

import turbine
from turbine.store import Statement


@turbine.step
async def charge(amount: int) -> int:
    if amount < 0:
        raise ValueError(f"amount {amount}")
    if amount > 100:
        raise KeyError("too much")
    return amount


@turbine.workflow(triggerable=True)
async def pay(amount: int) -> int:
    return await charge(amount)


class Terms(BaseModel):
    carrier: str
    days: int = Field(ge=1)


@turbine.workflow(triggerable=True)
async def ship(order: str) -> str:
    decision = await turbine.wait_for_approval(f"Ship {order}?", details={"order": order}, form=Terms)
    return f"{decision.approved} {decision.by} {decision.data}"


@turbine.workflow(triggerable=True)
async def count_up(key: str) -> None:
    await turbine.kv.set(key, 1)


async def until(client: httpx.AsyncClient, id: str, status: str) -> Any:
    while (found := (await client.get(f"workflows/{id}")).json())["status"] != status:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return found


async def start(client: httpx.AsyncClient, name: str, value: Any, id: str) -> None:
    answer = await client.post("trigger", json={"name": name, "input": value, "id": id})
    assert 201 == answer.status_code, answer.text


async def test_the_runs_of_one_kind_of_failure_are_tried_again_and_no_others(open_site) -> None:
    site = await open_site(pay)
    operator = await site.holder("operator")
    for id, amount in (("same-1", -1), ("same-2", -2), ("other", 101)):
        await start(operator, "pay", amount, id)
        await until(operator, id, "ERROR")
    groups = {tuple(sorted(one["workflow_ids"])): one for one in (await operator.get("errors")).json()["items"]}
    assert {("same-1", "same-2"), ("other",)} == set(groups)
    fingerprint = groups["same-1", "same-2"]["fingerprint"]
    assert 2 == (await operator.get(f"workflows/count?fingerprint={fingerprint}")).json()["count"]
    resolved = await operator.put(f"errors/{fingerprint}/state", json={"state": "resolved"})
    assert ("resolved", "token:a operator", 2) == tuple(
        resolved.json()[name] for name in ("state", "state_by", "count")
    )
    assert [["other"]] == [one["workflow_ids"] for one in (await operator.get("errors")).json()["items"]]
    asked = {"action": "resume", "filter": {"fingerprint": [fingerprint]}}
    assert 2 == (await operator.post("workflows/bulk", json=asked | {"dry_run": True})).json()["matched"]
    assert 2 == (await operator.post("workflows/bulk", json=asked)).json()["done"]
    for id in ("same-1", "same-2"):
        await until(operator, id, "ERROR")
    back = (await operator.get(f"errors/{fingerprint}")).json()
    assert ("open", "token:a operator", 2) == (back["state"], back["state_by"], back["count"])
    assert {"same-1", "same-2"} == {one.target for one in (await site.rt.audit.list(action="workflow.resume")).items}
    await operator.delete("workflows/same-1")
    assert 1 == (await operator.get(f"errors/{fingerprint}")).json()["count"]
    assert 404 == (await operator.put("errors/nothing/state", json={"state": "ignored"})).status_code


async def test_kinds_of_failures_come_in_pages_and_ignored_ones_stay_ignored(open_site) -> None:
    site = await open_site(pay)
    operator = await site.holder("operator")
    for id, amount in (("a", -1), ("b", 101)):
        await start(operator, "pay", amount, id)
        await until(operator, id, "ERROR")
    first = (await operator.get("errors?limit=1")).json()
    second = (await operator.get("errors", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert (["b"], ["a"], None) == (
        first["items"][0]["workflow_ids"],
        second["items"][0]["workflow_ids"],
        second["next_cursor"],
    )
    fingerprint = second["items"][0]["fingerprint"]
    await operator.put(f"errors/{fingerprint}/state", json={"state": "ignored"})
    await start(operator, "pay", -7, "again")
    await until(operator, "again", "ERROR")
    (ignored,) = (await operator.get("errors?state=ignored")).json()["items"]
    assert (fingerprint, 2) == (ignored["fingerprint"], ignored["count"])
    assert 2 == len((await operator.get("errors?state=all")).json()["items"])
    for wrong in ("cursor=x", "cursor=1", "state=no"):
        assert 400 == (await operator.get(f"errors?{wrong}")).status_code


async def test_a_key_remembers_what_it_held_and_who_wrote_it(open_site) -> None:
    site = await open_site(count_up)
    operator = await site.holder("operator")
    await start(operator, "count_up", "a/b", "counter")
    await until(operator, "counter", "SUCCESS")
    await operator.put("kv/a%2Fb", json={"value": {"n": 2}})
    await site.rt.kv.set("a/b", 3)
    await operator.delete("kv/a%2Fb")
    found = (await operator.get("kv/a%2Fb/history")).json()["items"]
    assert [(None, "token:a operator"), (3, None), ({"n": 2}, "token:a operator"), (1, "run:counter")] == [
        (one["value"], one["by"]) for one in found
    ]
    assert 409 == (await operator.put("kv/a%2Fb", json={"value": 2, "expect": 3})).status_code
    assert 4 == len(await site.rt.kv.history("a/b"))


async def test_a_key_remembers_fifty_values_and_fewer_large_ones(open_site) -> None:
    site = await open_site()
    for number in range(55):
        await site.rt.kv.set("small", number)
    assert list(range(54, 4, -1)) == [one.value for one in await site.rt.kv.history("small")]
    for number in range(4):
        await site.rt.kv.set("large", f"{number}" * 1_500_000)
    assert ["3", "2"] == [one.value[0] for one in await site.rt.kv.history("large")]


async def test_garbage_is_counted_before_it_is_collected(open_site) -> None:
    site = await open_site(pay)
    admin = await site.person("admin")
    await start(admin, "pay", 1, "over")
    await start(admin, "pay", -1, "failed")
    await until(admin, "over", "SUCCESS")
    await until(admin, "failed", "ERROR")
    await admin.put("kv/gone", json={"value": 1})
    await admin.delete("kv/gone")
    nothing = {"runs": 0, "partial": False, "by_rule": [], "deliveries": 0, "logs": 0, "older_than": 259200.0}
    assert nothing == (await admin.get("garbage")).json()
    await asyncio.sleep(0.002)
    assert 2 == (await admin.get("garbage?older_than=0")).json()["runs"]
    assert 2 == len((await admin.get("workflows")).json()["items"])
    assert {"runs": 2} == (await admin.post("garbage", json={"older_than": 0})).json()
    assert [] == (await admin.get("workflows")).json()["items"]
    assert [] == (await admin.get("errors?state=all")).json()["items"]
    assert [] == (await admin.get("kv/gone/history")).json()["items"]
    assert "garbage.collect" == (await admin.get("audit?limit=1")).json()["items"][0]["action"]


@turbine.workflow(triggerable=True)
async def ask(emails: list[str]) -> str | None:
    return (await turbine.wait_for_approval("Sure?", assignees=emails)).by


async def test_an_approver_decides_what_is_theirs_or_nobodys_and_operators_decide_for_anybody(open_site) -> None:
    site = await open_site(ask)
    operator = await site.holder("operator")
    ada, robot = await site.person("approver", "ada@example.com"), await site.holder("approver")
    asked = {"hers": ["ADA@example.com"], "nobodys": [], "bobs": ["bob@example.com"], "free": []}
    gates: dict[str, str] = {}
    for id, emails in asked.items():
        await start(operator, "ask", emails, id)
        await until(operator, id, "WAITING_FOR_APPROVAL")
        gates[id] = (await operator.get(f"approvals?workflow_id={id}")).json()["items"][0]["id"]

    async def inbox(client: httpx.AsyncClient, query: str) -> list[str]:
        return [one["workflow_id"] for one in (await client.get(f"approvals?{query}")).json()["items"]]

    assert ["free", "bobs", "nobodys", "hers"] == await inbox(ada, "")
    assert ["free", "nobodys", "hers"] == await inbox(ada, "assignee=me")
    assert ["free", "nobodys"] == await inbox(robot, "assignee=me")
    assert ["free", "bobs", "nobodys"] == await inbox(operator, "assignee=bob%40example.com")
    assert ["ada@example.com"] == (await ada.get(f"approvals/{gates['hers']}")).json()["assignees"]

    for client, id in ((ada, "bobs"), (robot, "bobs"), (robot, "hers")):
        for path in (f"approvals/{gates[id]}/decide", f"workflows/{id}/approve"):
            refused = await client.post(path, json={"approved": True})
            assert (403, True) == (refused.status_code, "assigned to" in refused.json()["detail"]), refused.text
    assert 403 == (await ada.post("workflows/bobs/cancel", json={})).status_code
    assert 200 == (await ada.post(f"approvals/{gates['hers']}/decide", json={"approved": True})).status_code
    assert 200 == (await ada.post("workflows/nobodys/approve", json={"approved": False})).status_code
    assert 200 == (await robot.post("workflows/free/approve", json={"approved": True})).status_code
    assert 200 == (await operator.post(f"approvals/{gates['bobs']}/decide", json={"approved": True})).status_code
    said = [(await until(operator, id, "SUCCESS"))["output"] for id in asked]
    assert ["ada@example.com", "ada@example.com", "token:a operator", "token:a approver"] == said
    lines = (await site.rt.audit.list(action="approval.decide")).items
    assert [("token:a operator", "bobs"), ("token:a approver", "free"), ("ada@example.com", "nobodys")] == [
        (line.actor, id) for line, id in zip(lines, ["bobs", "free", "nobodys"], strict=False)
    ]
    assert [4, "approver"] == [len(lines), lines[-1].role]


async def asked_for_a_link(open_site, by: str = "operator", **settings: Any) -> tuple[Any, Any, Any, str]:
    site = await open_site(ship, **settings)
    operator = await site.person(by)
    await start(operator, "ship", "o1", "run-1")
    await until(operator, "run-1", "WAITING_FOR_APPROVAL")
    (gate,) = (await operator.get("approvals")).json()["items"]
    made = await operator.post(f"approvals/{gate['id']}/link", json={"hours": 2})
    assert 201 == made.status_code, made.text
    assert made.json()["path"].endswith(f"/_/turbine/decide#{made.json()['token']}")
    return site, operator, gate, made.json()["token"]


async def test_a_link_decides_one_gate_once_without_sign_in(open_site) -> None:
    site, operator, gate, token = await asked_for_a_link(open_site)
    stranger = await site.client()
    shown = (await stranger.post("decide/look", json={"token": token})).json()
    assert ("Ship o1?", {"order": "o1"}, "open") == (shown["title"], shown["details"], shown["status"])
    assert not {"id", "workflow_id"} & set(shown)
    body = {"token": token, "approved": True, "comment": "yes", "data": {"carrier": "ups", "days": 0}}
    assert 422 == (await stranger.post("decide", json=body)).status_code
    assert 200 == (await stranger.post("decide", json=body | {"data": {"carrier": "ups", "days": 2}})).status_code
    assert "True link made by operator@example.com" in (await until(operator, "run-1", "SUCCESS"))["output"]
    for again in ("decide/look", "decide"):
        extra = {} if again == "decide/look" else {"approved": False}
        assert 404 == (await stranger.post(again, json={"token": token, **extra})).status_code
    (line,) = (await site.rt.audit.list(action="approval.decide")).items
    assert ("link made by operator@example.com", gate["id"]) == (line.actor, line.target)
    assert 409 == (await operator.post(f"approvals/{gate['id']}/link", json={})).status_code
    assert 404 == (await operator.post("approvals/none/link", json={})).status_code


async def test_a_link_ends_with_the_rights_of_who_made_it(open_site) -> None:
    site, _, _, token = await asked_for_a_link(open_site)
    stranger = await site.client()
    (account,) = (await site.rt.accounts.list()).items
    await site.rt.accounts.create("admin@example.com", "correct horse battery", "admin")
    assert 200 == (await stranger.post("decide/look", json={"token": token})).status_code
    await site.rt.accounts.update(account.id, role="viewer")
    assert 404 == (await stranger.post("decide/look", json={"token": token})).status_code
    assert 404 == (await stranger.post("decide", json={"token": token, "approved": True})).status_code
    await site.rt.accounts.update(account.id, role="operator", enabled=False)
    assert 404 == (await stranger.post("decide", json={"token": token, "approved": True})).status_code


async def test_a_link_expires_and_is_stored_as_a_hash_only(open_site) -> None:
    site, _, gate, token = await asked_for_a_link(open_site)
    rows = site.rt._app().store.read_blocking(
        lambda tx: tx.rows(turbine.store.Statement.of("select token_hash, approval_id from pt_approval_links"))
    )
    assert [gate["id"]] == [approval for _, approval in rows]
    assert all(token not in hashed for hashed, _ in rows)
    short = await site.rt.approvals.link(gate["id"], lasts=timedelta(milliseconds=1))
    await asyncio.sleep(0.005)
    with pytest.raises(turbine.NotFound):
        await site.rt.approvals.of_link(short.token)
    with pytest.raises(ValueError, match="up to 31 days"):
        await site.rt.approvals.link(gate["id"], lasts=timedelta(days=32))


async def test_rules_of_retention_are_kept_shown_in_the_preview_and_lifted(open_site) -> None:
    site = await open_site(pay)
    admin, viewer = await site.person("admin"), await site.holder("viewer")
    await start(admin, "pay", 1, "over")
    await start(admin, "pay", -1, "failed")
    await until(admin, "over", "SUCCESS")
    await until(admin, "failed", "ERROR")
    made = (await admin.put("retention", json={"workflow": "pay", "status": "ERROR", "keep": None})).json()
    assert ("pay", "ERROR", None) == (made["workflow"], made["status"], made["keep"])
    assert 200 == (await admin.put("retention", json={"status": "SUCCESS", "keep": 0.001})).status_code
    assert [(None, "SUCCESS", 0.001), ("pay", "ERROR", None)] == [
        (one["workflow"], one["status"], one["keep"]) for one in (await viewer.get("retention")).json()["items"]
    ]
    page = (await viewer.get("retention?limit=1")).json()
    assert ["pay"] == [
        one["workflow"]
        for one in (await viewer.get("retention", params={"cursor": page["next_cursor"]})).json()["items"]
    ]
    await asyncio.sleep(0.003)
    found = (await admin.get("garbage?older_than=0")).json()
    assert (1, False) == (found["runs"], found["partial"])
    assert [{"workflow": None, "status": "SUCCESS", "keep": 0.001, "runs": 1}] == found["by_rule"]
    assert {"runs": 1} == (await admin.post("garbage", json={})).json()
    for body in ({}, {"keep": 1}, {"workflow": "pay"}, {"keep": -1, "workflow": "a"}, {"keep": 1, "status": "PENDING"},
                 {"keep": 1, "status": "x"}, {"keep": 1e300, "workflow": "a"}):  # fmt: skip
        assert 422 == (await admin.put("retention", json=body)).status_code, body
    assert 204 == (await admin.delete("retention?workflow=pay&status=ERROR")).status_code
    assert 404 == (await admin.delete("retention?workflow=pay&status=ERROR")).status_code
    assert 400 == (await admin.delete("retention")).status_code
    lines = (await admin.get("audit?limit=3")).json()["items"]
    assert [("retention.delete", "pay ERROR"), ("garbage.collect", "database"), ("retention.set", "* SUCCESS")] == [
        (one["action"], one["target"]) for one in lines
    ]


async def test_the_growth_of_the_database_is_told_and_room_given_back(open_site) -> None:
    site = await open_site(pay)
    admin, viewer = await site.person("admin"), await site.holder("viewer")
    port = site.rt._app()
    shown = (await viewer.get("settings")).json()["storage"]
    assert {"sizes": [], "per_day": None, "full_in": None} == shown["growth"]
    now_ms = port.clock.now_ms() // 3_600_000 * 3_600_000
    grown = Statement.of("insert into pt_sizes (at_ms, bytes, free_bytes) values (:at, :bytes, 1000)")
    for hours in range(49):
        size = 10_000_000 + hours * 1_000_000
        await port.store.write(
            lambda tx, at=now_ms - (48 - hours) * 3_600_000, size=size: tx.run(grown, at=at, bytes=size)
        )
    shown = (await viewer.get("settings")).json()["storage"]
    assert (49, 24_000_000) == (len(shown["growth"]["sizes"]), shown["growth"]["per_day"])
    newest = shown["growth"]["sizes"][-1]
    assert (58_000_000, 57_999_000) == (newest["bytes"], newest["used_bytes"])
    is_file = site.rt.database.startswith("sqlite:///") and ":memory:" not in site.rt.database
    if is_file:
        room = shown["disk_free_bytes"] + shown["free_bytes"]
        assert shown["growth"]["full_in"] == pytest.approx(room / 24_000_000 * 86_400)
    else:
        assert (None, None) == (shown["disk_free_bytes"], shown["growth"]["full_in"])
    done = (await admin.post("vacuum")).json()
    assert (True, 0, []) == (done["done"], done["free_bytes"], done["skipped"])
    (line,) = (await admin.get("audit?limit=1")).json()["items"]
    assert ("database.vacuum", "database") == (line["action"], line["target"])
