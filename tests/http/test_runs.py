"""Runs over HTTP: lists, one run from all sides, and what people do to them."""

from __future__ import annotations

import asyncio
import linecache
import os
from dataclasses import dataclass
from datetime import timedelta

import turbine


@dataclass
class Order:
    order_id: str
    amount: int


@turbine.step
async def charge(order: Order) -> str:
    if order.amount < 0:
        raise ValueError(f"amount {order.amount} of order {order.order_id}")
    return f"paid {order.order_id}"


@turbine.step
async def ship(order: Order) -> str:
    await asyncio.sleep(0.02)
    return f"sent {order.order_id}"


@turbine.step
async def bill(order: Order) -> str:
    await asyncio.sleep(0.02)
    return f"billed {order.order_id}"


@turbine.workflow(triggerable=True, tags=["orders"], summary=lambda order: f"Order {order.order_id}")
async def place_order(order: Order) -> str:
    """Take the money, then send the goods."""
    await charge(order)
    await asyncio.gather(ship(order), bill(order))
    return (await charge(order)).upper()


@turbine.workflow(triggerable=True)
async def parent(order: Order) -> str:
    await turbine.set_value("progress", {"half": True})
    turbine.logger().warning("looking at %s", order.order_id)
    return await place_order.options(id="child")(order)


@turbine.workflow(triggerable=True)
async def nap(hours: float) -> str:
    await turbine.sleep(timedelta(hours=hours))
    return "awake"


@turbine.workflow(triggerable=True)
async def listener() -> str:
    return await turbine.recv("news", type=str)


@turbine.workflow(triggerable=True)
async def gate() -> str:
    decision = await turbine.wait_for_approval("Ship it?", details={"value": 3})
    return f"{decision.approved} {decision.by} {decision.comment}"


@turbine.workflow
async def closed(x: int) -> int:
    return x


@turbine.workflow(triggerable=True)
async def echo(value: object) -> object:
    return value


@turbine.workflow(triggerable=True)
async def unknown(x: Nowhere) -> str:  # noqa: F821
    return "?"


def load(source: str):
    @turbine.workflow(name=f"load_{source}", triggerable=True)
    async def load() -> str:
        return source

    return load


ALL = (place_order, parent, nap, listener, gate, closed, echo, unknown, load("sales"), load("stock"))
ORDER = {"order": {"order_id": "o1", "amount": 5}}


async def start(client, name: str, input, **options) -> str:
    answer = await client.post("trigger", json={"name": name, "input": input, **options})
    assert 201 == answer.status_code, answer.text
    return answer.json()["workflow_id"]


async def until(client, workflow_id: str, status: str) -> dict:
    while (run := (await client.get(f"workflows/{workflow_id}")).json())["status"] != status:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return run


async def test_a_triggered_run_is_shown_with_all_that_is_known_of_it(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    assert "r1" == await start(operator, "place_order", ORDER, id="r1")
    run = await until(operator, "r1", "SUCCESS")
    assert {
        "name": "place_order",
        "input": {"args": [], "kwargs": ORDER},
        "output": "PAID O1",
        "error": None,
        "summary": "Order o1",
        "tags": ["orders"],
        "attempts": 1,
    }.items() <= run.items()
    assert run["created_at"].endswith("Z")
    assert 24 == len(run["created_at"])
    assert 0 <= run["duration"] < 600
    (row,) = (await operator.get("workflows")).json()["items"]
    assert row == {name: value for name, value in run.items() if not name.startswith(("input", "output"))}
    audit = (await operator.get("workflows/r1/audit")).json()["items"]
    assert [("workflow.trigger", "token:a operator")] == [(line["action"], line["actor"]) for line in audit]


async def test_wrong_input_is_refused_with_its_paths_and_no_row_is_written(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    for name, input, status in (
        ("place_order", {"order": {"order_id": "o1", "amount": "many"}}, 422),
        ("place_order", {"order": {"order_id": "o1", "amount": 1}, "more": 1}, 422),
        ("unheard", {}, 404),
        ("closed", {"x": 1}, 409),
    ):
        answer = await operator.post("trigger", json={"name": name, "input": input})
        assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
        assert {"type", "title", "status", "detail", "code"} <= answer.json().keys()
    wrong = await operator.post("trigger", json={"workflow_fqn": "place_order", "input": {"order": {"order_id": "o1"}}})
    assert ["order", "amount"] in [error["path"] for error in wrong.json()["errors"]]
    assert 422 == (await operator.post("trigger", json={"input": 1})).status_code
    assert [] == (await operator.get("workflows")).json()["items"]


async def test_a_workflow_that_cannot_be_started_as_asked_is_told_and_listed_with_the_others(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    for asked, status, words in (
        ({"name": "unknown", "input": 1}, 422, "'x' of workflow 'unknown', 'Nowhere', cannot be resolved"),
        ({"workflow_fqn": f"{__name__}:load.<locals>.load", "input": None}, 404, "'load_sales', 'load_stock'"),
    ):
        answer = await operator.post("trigger", json=asked)
        assert status == answer.status_code
        assert words in answer.json()["detail"]
    names = {one["name"]: one["parameters"] for one in (await operator.get("registered")).json()["items"]}
    assert None is names["unknown"]
    assert {"load_sales", "load_stock"} <= names.keys()


async def test_lists_are_filtered_counted_and_paged(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    for number in range(5):
        await start(operator, "echo", number, id=f"e{number}", tags=["even" if number % 2 == 0 else "odd"])
    await start(operator, "nap", 1, id="nap")
    for number in range(5):
        await until(operator, f"e{number}", "SUCCESS")

    async def ids(**params) -> list[str]:
        return [one["workflow_id"] for one in (await operator.get("workflows", params=params)).json()["items"]]

    assert ["nap"] == await ids(name="nap")
    assert ["e0", "e2", "e4"] == await ids(tag="even", ascending=True)
    assert ["nap", "e4"] == await ids(ids=["e4", "nap", "none"])
    assert 6 == len(await ids(status=["SUCCESS", "PENDING"]))
    assert ["nap"] == await ids(status="PENDING")
    assert [] == await ids(created_before="2020-01-01T00:00:00Z")
    assert {"count": 5, "capped": False} == (await operator.get("workflows/count?name=echo")).json()
    page, seen = (await operator.get("workflows?limit=4")).json(), []
    seen += page["items"]
    page = (await operator.get(f"workflows?limit=4&cursor={page['next_cursor']}")).json()
    seen += page["items"]
    assert page["next_cursor"] is None
    assert ["nap", "e4", "e3", "e2", "e1", "e0"] == [one["workflow_id"] for one in seen]
    stats = (await operator.get("workflows/stats")).json()["by_status"]
    assert (5, 1) == (stats["SUCCESS"], stats["PENDING"])
    assert 0 == sum((await operator.get("workflows/stats?to=2020-01-01T00:00:00Z")).json()["by_status"].values())


async def test_lists_are_filtered_by_length_and_by_class_of_error(open_site) -> None:
    site = await open_site(*ALL)
    operator = await site.holder("operator")
    for number, amount in enumerate((-1, 1)):
        await start(operator, "place_order", {"order": {"order_id": f"o{number}", "amount": amount}}, id=f"r{number}")
    await start(operator, "echo", 1, id="quick")
    await start(operator, "listener", None, id="open")
    lengths = {}
    for id, status in (("r0", "ERROR"), ("r1", "SUCCESS"), ("quick", "SUCCESS")):
        lengths[id] = (await until(operator, id, status))["duration"]

    async def ids(**params) -> set[str]:
        found = (await operator.get("workflows", params=params)).json()["items"]
        assert len(found) == (await operator.get("workflows/count", params=params)).json()["count"]
        return {one["workflow_id"] for one in found}

    limit = lengths["r1"]
    assert {id for id, length in lengths.items() if length >= limit} == await ids(duration_min=limit)
    assert {id for id, length in lengths.items() if length <= limit} == await ids(duration_max=limit)
    assert {"r1"} == await ids(duration_min=limit, duration_max=limit, name="place_order") & {"r1"}
    assert set() == await ids(duration_min=1000)
    assert {"r1"} == await ids(duration_min=limit, search="place_order", status="SUCCESS")
    while not (groups := (await operator.get("errors")).json()["items"]):  # noqa: ASYNC110 - grouped soon after
        await asyncio.sleep(0.01)
    assert {"r0"} == await ids(error_class=groups[0]["type"])
    assert set() == await ids(error_class="KeyError")
    for wrong in ({"duration_min": -1}, {"duration_max": "nan"}, {"duration_max": 10**10}):
        assert 400 == (await operator.get("workflows", params=wrong)).status_code


async def test_what_can_never_be_right_in_a_query_is_a_bad_request(open_site) -> None:
    viewer = await (await open_site(*ALL)).holder("viewer")
    for query in ("limit=0", "limit=501", "cursor=x", "status=DONE", "created_after=yesterday", "search=%00"):
        answer = await viewer.get(f"workflows?{query}")
        assert 400 == answer.status_code, query


async def test_a_run_from_the_inside(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "parent", ORDER, id="p/1")
    await until(operator, "p%2F1", "SUCCESS")
    (child,) = [one for one in (await operator.get("workflows/p%2F1/steps")).json()["items"] if one["kind"] == "child"]
    assert ("child", "SUCCESS") == (child["child_workflow_id"], child["child_status"])
    steps = (await operator.get("workflows/child/steps")).json()["items"]
    assert ["charge", "ship", "bill", "charge"] == [one["function_name"] for one in steps]
    assert "paid o1" == (await operator.get("workflows/child/steps/0/output")).json()
    lineage = (await operator.get("workflows/child/family")).json()
    assert ("p/1", ["p/1", "child"]) == (lineage["root"], [one["workflow_id"] for one in lineage["nodes"]])
    (value,) = (await operator.get("workflows/p%2F1/values")).json()["items"]
    assert ("progress", {"half": True}) == (value["key"], value["value"])
    (record,) = (await operator.get("workflows/p%2F1/logs")).json()["items"]
    assert ("looking at o1", "WARNING") == (record["message"], record["level"])
    exported = await operator.get("workflows/child/export")
    assert "attachment" in exported.headers["content-disposition"]
    assert 4 == len(exported.json()["steps"])
    for what in ("steps", "steps-tree", "family", "explain", "waits", "messages", "values", "logs", "export", "input"):
        assert 404 == (await operator.get(f"workflows/unknown/{what}")).status_code, what


async def test_the_graph_shows_what_ran_side_by_side(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "place_order", ORDER, id="r1")
    await until(operator, "r1", "SUCCESS")
    tree = (await operator.get("workflows/r1/steps-tree")).json()
    assert ["0", "1", "2", "3", "result"] == [node["id"] for node in tree["nodes"]]
    edges = {(edge["source"], edge["target"]) for edge in tree["edges"]}
    assert {("0", "1"), ("0", "2"), ("1", "3"), ("2", "3"), ("3", "result")} == edges
    assert ("SUCCESS", "success") == (tree["workflow_status"], tree["nodes"][-1]["status"])


async def test_a_gate_is_seen_in_the_graph_and_decided_by_the_one_who_asks(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "gate", None, id="g1")
    await until(operator, "g1", "WAITING_FOR_APPROVAL")
    tree = (await operator.get("workflows/g1/steps-tree")).json()
    assert [("approval", "waiting"), ("workflow-result", "waiting")] == [
        (node["type"], node["status"]) for node in tree["nodes"]
    ]
    (gate_,) = (await operator.get("approvals")).json()["items"]
    assert ("Ship it?", {"value": 3}, "open") == (gate_["title"], gate_["details"], gate_["status"])
    decided = await operator.post(f"approvals/{gate_['id']}/decide", json={"approved": True, "comment": "go"})
    assert "approved" == decided.json()["status"]
    assert "True token:a operator go" == (await until(operator, "g1", "SUCCESS"))["output"]
    assert 409 == (await operator.post(f"approvals/{gate_['id']}/decide", json={"approved": False})).status_code
    assert [] == (await operator.get("approvals")).json()["items"]
    assert 1 == len((await operator.get("approvals?open=false&workflow_id=g1")).json()["items"])


async def test_approving_by_run_decides_its_only_gate(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "gate", None, id="g1")
    await until(operator, "g1", "WAITING_FOR_APPROVAL")
    answer = await operator.post("workflows/g1/approve", json={"approved": False, "comment": "no"})
    assert {"workflow_id": "g1", "changed": True} == {k: answer.json()[k] for k in ("workflow_id", "changed")}
    assert "False token:a operator no" == (await until(operator, "g1", "SUCCESS"))["output"]
    assert 409 == (await operator.post("workflows/g1/approve", json={"approved": True})).status_code
    assert 404 == (await operator.post("workflows/unknown/approve", json={"approved": True})).status_code


async def test_cancel_and_resume(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "listener", None, id="l1")
    cancelled = await operator.post("workflows/l1/cancel", json={"reason": "not today"})
    assert {"workflow_id": "l1", "changed": True, "status": "CANCELLED"} == cancelled.json()
    assert (await operator.post("workflows/l1/cancel")).json()["changed"] is False
    assert "not today" == (await operator.get("workflows/l1")).json()["reason"]
    assert (await operator.post("workflows/l1/resume")).json()["changed"] is True
    assert {"workflow_id": "l1", "changed": True, "status": "PENDING"} == (
        await operator.post("workflows/l1/send", json={"topic": "news", "message": "hello"})
    ).json()
    assert "hello" == (await until(operator, "l1", "SUCCESS"))["output"]
    actions = [line["action"] for line in (await operator.get("workflows/l1/audit")).json()["items"]]
    assert ["workflow.send", "workflow.resume", "workflow.cancel", "workflow.trigger"] == actions
    (message,) = (await operator.get("workflows/l1/messages")).json()["items"]
    assert ("hello", "0") == (message["body"], message["consumed_position"])
    for act in ("cancel", "resume", "release"):
        assert 404 == (await operator.post(f"workflows/unknown/{act}")).status_code


async def test_a_sleeping_run_is_woken_by_hand(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "nap", 8, id="n1")
    while not (await operator.get("workflows/n1/waits")).json()["items"]:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    explained = (await operator.get("workflows/n1/explain")).json()
    assert "sleeping" == explained["reason"]
    assert (await operator.post("workflows/n1/release")).json()["changed"] is True
    assert "awake" == (await until(operator, "n1", "SUCCESS"))["output"]
    assert (await operator.post("workflows/n1/release")).json()["changed"] is False


async def test_a_run_that_is_in_memory_is_woken_too_and_says_where_it_stands(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "nap", 0.0005, id="n1")
    while (explained := (await operator.get("workflows/n1/explain")).json())["reason"] != "sleeping":  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    (line,) = explained["stack"]
    assert (__file__, "nap", 'await turbine.sleep(timedelta(hours=hours))') == (
        line["file"], line["function"], linecache.getline(__file__, line["line"]).strip()
    )  # fmt: skip
    assert (await operator.post("workflows/n1/release")).json()["changed"] is True
    assert 1.5 > (await until(operator, "n1", "SUCCESS"))["duration"]
    assert [] == (await operator.get("workflows/n1/explain")).json()["stack"]


async def test_a_start_that_was_put_off_happens_now(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "echo", {"value": 1}, id="e1", delay=600)
    assert "delayed" == (await operator.get("workflows/e1/explain")).json()["reason"]
    assert (await operator.post("workflows/e1/release")).json()["changed"] is True
    await until(operator, "e1", "SUCCESS")


async def test_a_step_is_skipped_or_failed_by_hand_in_a_fork(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "place_order", {"order": {"order_id": "o1", "amount": -1}}, id="r1")
    await until(operator, "r1", "ERROR")
    body = {"from_step": 1, "edits": {"0": "paid in cash"}, "new_id": "skipped"}
    assert 200 == (await operator.post("workflows/r1/fork", json=body)).status_code
    assert "ValueError: amount -1 of order o1" == (await until(operator, "skipped", "ERROR"))["error"]
    steps = {one["position"]: one for one in (await operator.get("workflows/skipped/steps")).json()["items"]}
    assert ("paid in cash", None) == (steps["0"]["output"], steps["0"]["error"])

    await start(operator, "listener", None, id="l1")
    while not (await operator.get("workflows/l1/waits")).json()["items"]:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await operator.post("workflows/l1/cancel")
    body = {"from_step": 1, "edits": {"0": "by hand"}, "new_id": "told"}
    assert 200 == (await operator.post("workflows/l1/fork", json=body)).status_code
    assert "by hand" == (await until(operator, "told", "SUCCESS"))["output"]
    body = {"from_step": 1, "failures": {"0": "no news will come"}, "new_id": "failed"}
    assert 200 == (await operator.post("workflows/l1/fork", json=body)).status_code
    assert "Failed by hand: no news will come" == (await until(operator, "failed", "ERROR"))["error"]
    assert 422 == (await operator.post("workflows/l1/fork", json={"failures": {"0": "x"}})).status_code
    line = (await operator.get("workflows/l1/audit")).json()["items"][0]
    assert {"from_step": 1, "new_id": "failed", "failed": {"0": "no news will come"}} == line["detail"]


async def test_forks_take_other_input_and_other_outcomes(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "place_order", ORDER, id="r1")
    await until(operator, "r1", "SUCCESS")
    other = {"order": {"order_id": "o2", "amount": 1}}
    for number, input in enumerate((other, {"args": [], "kwargs": other}, {"args": [other["order"]], "kwargs": {}})):
        answer = await operator.post(
            "workflows/r1/fork", json={"from_step": 3, "input": input, "new_id": f"f{number}", "edits": {"0": "free"}}
        )
        assert (200, f"f{number}", True) == (answer.status_code, answer.json()["workflow_id"], answer.json()["changed"])
        run = await until(operator, f"f{number}", "SUCCESS")
        assert ("PAID O2", "r1") == (run["output"], run["forked_from"])
        assert "free" == (await operator.get(f"workflows/f{number}/steps/0/output")).json()
    for wrong in ({"from_step": -1}, {"from_step": 1, "edits": {"2": 1}}, {"input": {"order": 1}}, {"input": {"x": 1}},
                  {"input": {"args": [1, 2, 3], "kwargs": {}}}):  # fmt: skip
        assert 422 == (await operator.post("workflows/r1/fork", json=wrong)).status_code, wrong
    assert 404 == (await operator.post("workflows/none/fork", json={})).status_code


async def test_only_runs_that_are_over_are_deleted(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "listener", None, id="l1")
    assert 409 == (await operator.delete("workflows/l1")).status_code
    await operator.post("workflows/l1/cancel")
    answer = await operator.delete("workflows/l1")
    assert {"workflow_id": "l1", "changed": True, "status": None} == answer.json()
    assert 404 == (await operator.delete("workflows/l1")).status_code


async def test_bulk_acts_count_first_and_then_tell_what_they_did(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    for number in range(4):
        await start(operator, "listener", None, id=f"l{number}", tags=["old"])
    await start(operator, "listener", None, id="other")
    asked = {"action": "cancel", "filter": {"tag": ["old"]}, "reason": "spring cleaning"}
    dry = await operator.post("workflows/bulk", json=asked | {"dry_run": True})
    counted = {"matched": 4, "affected": 4, "capped": False, "done": 0, "failed": [], "next_cursor": None}
    assert counted == dry.json()
    assert 5 == (await operator.get("workflows/count?status=PENDING")).json()["count"]
    first = (await operator.post("workflows/bulk", json=asked | {"limit": 2})).json()
    assert (2, True, 2, []) == (first["matched"], first["capped"], first["done"], first["failed"])
    rest = (await operator.post("workflows/bulk", json=asked | {"cursor": first["next_cursor"]})).json()
    assert (2, False, 2, None) == (rest["matched"], rest["capped"], rest["done"], rest["next_cursor"])
    again = (await operator.post("workflows/bulk", json=asked | {"dry_run": True})).json()
    assert (4, 0) == (again["matched"], again["affected"])
    deleted = (await operator.post("workflows/bulk", json={"action": "delete", "ids": ["l0", "other"]})).json()
    assert (2, 1, ["other"]) == (deleted["matched"], deleted["done"], [one["workflow_id"] for one in deleted["failed"]])
    assert 422 == (await operator.post("workflows/bulk", json={"action": "delete"})).status_code


async def test_failures_are_grouped_by_where_and_how(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    for number in range(3):
        order = {"order_id": f"o{number}", "amount": -number - 1}
        await start(operator, "place_order", {"order": order}, id=f"r{number}")
        await until(operator, f"r{number}", "ERROR")
    (group,) = (await operator.get("errors")).json()["items"]
    assert (3, "place_order", "charge", "builtins.ValueError") == tuple(
        group[name] for name in ("count", "workflow", "step", "type")
    )
    assert {"r0", "r1", "r2"} == set(group["workflow_ids"])
    assert "in charge" in group["place"]
    (step,) = (await operator.get("workflows/r0/steps")).json()["items"]
    assert "amount -1 of order o0" in step["attempts"][-1]["traceback"]
    assert [] == (await operator.get("errors?to=2020-01-01T00:00:00Z")).json()["items"]
    assert group == (await operator.get(f"errors/{group['fingerprint']}")).json()


async def test_large_payloads_are_fetched_when_somebody_wants_them(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "echo", "x" * 1000, id="big")
    await until(operator, "big", "SUCCESS")
    run = (await operator.get("workflows/big?payload_limit=500")).json()
    assert (None, None, True, True) == tuple(
        run[name] for name in ("input", "output", "input_truncated", "output_truncated")
    )
    assert "x" * 1000 == (await operator.get("workflows/big/output")).json()


async def test_numbers_keep_all_their_digits(open_site) -> None:
    operator = await (await open_site(*ALL)).holder("operator")
    await start(operator, "echo", 2**80 + 1, id="n")
    await until(operator, "n", "SUCCESS")
    for path in ("workflows/n", "workflows/n/output", "workflows/n/export"):
        assert str(2**80 + 1) in (await operator.get(path)).text


async def test_overviews(open_site) -> None:
    site = await open_site(*ALL)
    operator = await site.holder("operator")
    for number in range(3):
        await start(operator, "place_order", {"order": {"order_id": "o", "amount": number - 1}}, id=f"r{number}")
        await until(operator, f"r{number}", "ERROR" if number == 0 else "SUCCESS")
    await site.rt.schedules.create("echo", "0 * * * *", input=1)
    now = site.rt._app().clock.now_ms()
    asked = {"from_ms": now - 3_600_000, "to_ms": now + 3 * 3_600_000, "bucket_mins": 60}
    for more in ({}, {"name": "place_order"}, {"tag": "orders"}):
        days = (await operator.get("calendar", params=asked | more)).json()["days"]
        assert (4, 2, 1, 0) == (
            len(days), *(sum(day[name] for day in days) for name in ("success", "error", "open")))  # fmt: skip
    assert 3 == sum(day["planned"] for day in (await operator.get("calendar", params=asked)).json()["days"])
    assert 400 == (await operator.get("calendar", params=asked | {"bucket_mins": 0})).status_code
    assert 400 == (await operator.get("calendar", params=asked | {"to_ms": now * 9})).status_code
    summary = (await operator.get("metrics/summary?hours=1")).json()
    assert (3, 1) == tuple(sum(one[name] for one in summary["throughput"]) for name in ("finished", "failed"))
    known = (await operator.get("registered/place_order")).json()
    assert (2 / 3, "Take the money, then send the goods.", 1) == (
        known["success_rate"], known["docstring"], len(known["last_errors"]))  # fmt: skip
    assert "order" in known["parameters"]["properties"]
    assert "place_order(order: Order) -> str" == known["signature"]
    assert "test_runs.py" in known["source"]
    assert {"order": {"order_id": "o", "amount": 1}} == known["last_input"]
    assert 404 == (await operator.get("registered/unheard")).status_code
    assert [{"tag": "orders", "count": 3}] == (await operator.get("tags")).json()["items"]
    points = (await operator.get("scatter?status=SUCCESS")).json()["items"]
    assert [("SUCCESS", "r2"), ("SUCCESS", "r1")] == [(status, id_) for _, _, status, id_ in points]
    text = (await operator.get("metrics")).text
    assert 'turbine_runs{status="SUCCESS"} 2.0' in text
    (executor,) = (await operator.get("executors")).json()["items"]
    assert (True, True) == (executor["alive"], executor["here"])
    settings = (await operator.get("settings")).json()
    assert settings["storage"]["database_bytes"] > 0
    assert {"pt_audit", "pt_runs"} <= {one["name"] for one in settings["storage"]["tables"]}


_lucky: set[str] = set()


@turbine.step(retries=2, base_interval=3600)
async def ring(client: str) -> str:
    if client not in _lucky:
        raise ConnectionError("nobody is at home")
    return f"rang at {client}"


@turbine.workflow(triggerable=True)
async def visit(client: str) -> str:
    return await ring(client)


async def test_each_attempt_tells_who_made_it_with_which_code(open_site) -> None:
    _lucky.clear()
    first = await open_site(visit, application_version="one")
    handle = await first.rt.run(visit.options(id="v"), "a")
    await first.rt.wait_idle()
    await first.rt.shutdown()
    _lucky.add("a")
    second = await open_site(visit, application_version="two")
    await second.rt.release("v")
    assert "rang at a" == await second.rt.retrieve("v").result(10)
    await second.rt.fork("v", 1, new_id="f")

    operator = await second.holder("operator")
    for run in (handle.workflow_id, "f"):
        (step,) = (await operator.get(f"workflows/{run}/steps")).json()["items"]
        made = [attempt["process"] for attempt in step["attempts"]]
        assert ["one", "two"] == [process["application_version"] for process in made]
        assert {os.getpid()} == {process["process_id"] for process in made}
        assert 2 == len({process["executor_id"] for process in made})
