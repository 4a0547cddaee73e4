"""Approvals: a gate is a row, the first decision counts, and the run's status tells that somebody is waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import turbine
import turbine.sync
from turbine import ApprovalRecord, ApprovalResult, Conflict, Handle, NotFound, Runtime, ValidationFailed


class Budget(BaseModel):
    amount: int
    reason: str = ""


@turbine.workflow
async def ship(title: str | None = None) -> ApprovalResult:
    return await turbine.wait_for_approval(title, details={"items": [1, 2]})


@turbine.workflow
async def ask_with_form() -> ApprovalResult:
    return await turbine.wait_for_approval("Budget", form=Budget)


@turbine.workflow
async def pack_and_ask() -> bool:
    await turbine.set_app_status("packing", "blue")
    return (await turbine.wait_for_approval("Ship it?")).approved


@turbine.workflow
async def two_in_a_row() -> list[bool]:
    first = await turbine.wait_for_approval("first")
    second = await turbine.wait_for_approval("second")
    return [first.approved, second.approved]


@turbine.workflow
async def two_at_once() -> list[str]:
    await turbine.set_app_status("working", "blue")
    a, b = await asyncio.gather(turbine.wait_for_approval("a"), turbine.wait_for_approval("b"))
    return [a.comment, b.comment]


@turbine.workflow
async def in_time(seconds: float) -> str:
    try:
        await turbine.wait_for_approval("quick", timeout=seconds)
    except turbine.ApprovalTimeout as error:
        return f"late: {error.step_name}"
    return "decided"


@turbine.workflow
async def impatient() -> None:
    await turbine.wait_for_approval("quick", timeout=0)


@turbine.workflow
async def after_status() -> str:
    await turbine.set_app_status("packing", "blue")
    await turbine.wait_for_approval()
    await turbine.recv("go")
    return "done"


@turbine.sync.workflow
def blocking() -> str:
    decision = turbine.sync.wait_for_approval("from a thread", assignees=["ada@example.org"])
    return decision.comment


@turbine.workflow
async def for_people(emails: Any) -> str | None:
    return (await turbine.wait_for_approval("Who?", assignees=emails)).by


whoever: list[str] = []


@turbine.workflow
async def for_whoever() -> bool:
    decision = await turbine.wait_for_approval("Who?", assignees=whoever)
    await turbine.recv("again")
    return decision.approved


async def gate(rt: Runtime, handle: Handle[Any], count: int = 1) -> ApprovalRecord:
    while len(found := (await rt.approvals.list(handle.workflow_id)).items) < count:  # noqa: ASYNC110 - rows are the only witness
        await asyncio.sleep(0.002)
    return found[-1]


async def test_a_decision_reaches_the_run_with_who_when_and_comment(launch) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship, "Ship it?")
    open_gate = await gate(rt, handle)
    assert ("Ship it?", {"items": [1, 2]}, "open", "ship") == (
        open_gate.title,
        open_gate.details,
        open_gate.status,
        open_gate.name,
    )
    record = await rt.approve(handle.workflow_id, comment="fine", by="ada@example.org")
    decision = await handle.result()
    assert (True, "fine", "ada@example.org") == (decision.approved, decision.comment, decision.by)
    assert decision.at == record.decided_at
    assert abs(decision.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert ("approved", "fine", "ada@example.org") == (record.status, record.comment, record.by)


async def test_the_status_tells_that_somebody_is_waited_for_and_is_put_back(launch) -> None:
    rt = await launch(after_status)
    handle = await rt.run(after_status)
    await gate(rt, handle)
    waiting = await handle.status()
    assert ("WAITING_FOR_APPROVAL", "waiting for approval", "yellow") == (
        waiting.status,
        waiting.app_status,
        waiting.app_status_color,
    )
    await rt.approve(handle.workflow_id)
    after = await handle.status()
    assert ("PENDING", "packing", "blue") == (after.status, after.app_status, after.app_status_color)
    await rt.send(handle.workflow_id, None, "go")
    assert "done" == await handle.result()


async def test_a_second_decision_is_refused_and_not_kept_for_the_next_gate(launch) -> None:
    rt = await launch(two_in_a_row)
    handle = await rt.run(two_in_a_row)
    first = await gate(rt, handle)
    await rt.approve(handle.workflow_id, approval_id=first.id)
    with pytest.raises(Conflict, match="already approved"):
        await rt.approve(handle.workflow_id, False, approval_id=first.id)
    second = await gate(rt, handle)
    while second.id == first.id:
        second = await gate(rt, handle)
    assert ("second", "open") == (second.title, second.status)
    await rt.approve(handle.workflow_id, False)
    assert [True, False] == await handle.result()
    with pytest.raises(Conflict, match="waits for no approval"):
        await rt.approve(handle.workflow_id)


async def test_two_open_gates_need_the_id_of_the_one_that_is_meant(launch) -> None:
    rt = await launch(two_at_once)
    handle = await rt.run(two_at_once)
    await gate(rt, handle, 2)
    with pytest.raises(Conflict, match="2 approvals"):
        await rt.approve(handle.workflow_id)
    by_title = {one.title: one for one in (await rt.approvals.list(handle.workflow_id)).items}
    await rt.approve(handle.workflow_id, comment="for b", approval_id=by_title["b"].id)
    between = await handle.status()
    assert ("WAITING_FOR_APPROVAL", "waiting for approval") == (between.status, between.app_status)
    await rt.approve(handle.workflow_id, comment="for a", approval_id=by_title["a"].id)
    assert ["for a", "for b"] == await handle.result()
    assert "working" == (await handle.status()).app_status


async def test_a_form_is_checked_and_the_gate_stays_open_until_it_fits(launch) -> None:
    rt = await launch(ask_with_form)
    handle = await rt.run(ask_with_form)
    record = await gate(rt, handle)
    assert ["amount"] == record.form["required"]
    for wrong in (None, {}, {"amount": "many"}, 3):
        with pytest.raises(ValidationFailed) as caught:
            await rt.approve(handle.workflow_id, data=wrong)
        assert caught.value.errors
    assert "open" == (await rt.approvals.get(record.id)).status
    await rt.approve(handle.workflow_id, data={"amount": 3})
    decision = await handle.result()
    assert {"amount": 3, "reason": ""} == decision.data
    assert {"amount": 3} == (await rt.approvals.get(record.id)).data


async def test_the_workflow_gets_the_form_as_its_model_also_in_a_replay(launch, replay) -> None:
    seen: list[Any] = []

    async def body() -> None:
        decision = await turbine.wait_for_approval(form=Budget)
        seen.append(decision.data)
        await turbine.recv("again")

    flow = turbine.workflow(body, name="form_twice")
    rt = await launch(flow)
    handle = await rt.run(flow)
    await gate(rt, handle)
    await rt.approve(handle.workflow_id, data={"amount": 7})
    await replay(rt, handle)
    await handle.result()
    assert [Budget(amount=7), Budget(amount=7)] == seen


async def test_a_no_needs_no_filled_in_form(launch) -> None:
    rt = await launch(ask_with_form)
    handle = await rt.run(ask_with_form)
    await gate(rt, handle)
    await rt.approve(handle.workflow_id, False, "too much")
    decision = await handle.result()
    assert (False, "too much", None) == (decision.approved, decision.comment, decision.data)


async def test_a_gate_expires_visibly_and_cannot_be_decided_any_more(launch) -> None:
    rt = await launch(in_time)
    handle = await rt.run(in_time, 0)
    assert "late: turbine.wait_for_approval" == await handle.result()
    (record,) = (await rt.approvals.list(handle.workflow_id, open=None)).items
    assert "expired" == record.status
    with pytest.raises(Conflict, match="expired"):
        await rt.approve(handle.workflow_id, approval_id=record.id)


async def test_a_gate_stays_open_over_a_restart_and_is_asked_once(launch) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship, "still?")
    before = await gate(rt, handle)
    await rt.shutdown()
    await rt.launch()
    assert "WAITING_FOR_APPROVAL" == (await rt.status(handle.workflow_id)).status
    assert [before] == (await rt.approvals.list(handle.workflow_id, open=None)).items
    await rt.approve(handle.workflow_id, comment="after the restart")
    assert "after the restart" == (await handle.result()).comment


async def test_a_decision_made_while_no_process_is_up_counts(launch, database_url: str) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship)
    await gate(rt, handle)
    await rt.shutdown()
    async with Runtime(database_url) as other:
        await other.approve(handle.workflow_id, comment="from elsewhere", by="cli")
    await rt.launch()
    assert "from elsewhere" == (await handle.result()).comment


async def test_cancelling_a_run_closes_its_gate(launch) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship)
    record = await gate(rt, handle)
    await rt.cancel(handle.workflow_id)
    assert "cancelled" == (await rt.approvals.get(record.id)).status
    assert [] == (await rt.approvals.list()).items
    with pytest.raises(Conflict):
        await rt.approve(handle.workflow_id)


async def test_a_resumed_run_asks_again(launch) -> None:
    rt = await launch(ship, impatient)
    handle = await rt.run(ship)
    record = await gate(rt, handle)
    await rt.cancel(handle.workflow_id)
    await rt.resume(handle.workflow_id)
    assert record.id == (await gate(rt, handle)).id
    await rt.approve(handle.workflow_id)
    assert (await handle.result()).approved
    late = await rt.run(impatient)
    with pytest.raises(turbine.WorkflowFailed):
        await late.result()
    await rt.resume(late.workflow_id)
    with pytest.raises(turbine.WorkflowFailed):
        await late.result()


async def test_blocking_workflows_wait_for_people_too(launch) -> None:
    rt = await launch(blocking)
    handle = await rt.run(blocking)
    await gate(rt, handle)
    await rt.approve(handle.workflow_id, comment="hello thread")
    assert "hello thread" == await handle.result()


async def test_a_workflow_decides_for_another_one_in_a_step(launch) -> None:
    @turbine.step
    async def say_yes(workflow_id: str) -> None:
        await turbine.current().runtime.approve(workflow_id, comment="by a robot")

    @turbine.workflow
    async def robot(workflow_id: str) -> None:
        await say_yes(workflow_id)

    rt = await launch(ship, robot)
    handle = await rt.run(ship)
    await gate(rt, handle)
    await (await rt.run(robot, handle.workflow_id)).result()
    assert "by a robot" == (await handle.result()).comment


async def test_a_queue_that_releases_waiting_runs_gives_the_slot_away_and_back(database_url: str) -> None:
    queued = turbine.workflow(ship.fn, name="queued")
    rt = Runtime(database_url, workflows=[queued], park_after=0, shutdown_timeout=0)
    rt.queue("narrow", global_concurrency=1, release_while_waiting=True)
    async with rt:
        one = await rt.run(queued.options(queue="narrow"), "one")
        two = await rt.run(queued.options(queue="narrow"), "two")
        await gate(rt, one)
        await gate(rt, two)
        for handle in (one, two):
            assert "WAITING_FOR_APPROVAL" == (await handle.status()).status
        await rt.approve(two.workflow_id, comment="2")
        assert "2" == (await two.result()).comment
        await rt.approve(one.workflow_id, comment="1")
        assert "1" == (await one.result()).comment


async def test_unknown_runs_and_gates_are_said_to_be_unknown(launch) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship)
    await gate(rt, handle)
    with pytest.raises(turbine.WorkflowNotFound):
        await rt.approve("nobody")
    with pytest.raises(NotFound):
        await rt.approve(handle.workflow_id, approval_id="nothing")
    with pytest.raises(NotFound):
        await rt.approvals.get("nothing")
    for wrong in ("\0", "\udcff"):
        with pytest.raises(ValueError, match="comment"):
            await rt.approve(handle.workflow_id, comment=wrong)
    assert "open" == (await gate(rt, handle)).status


async def test_a_form_that_is_no_schema_fails_the_run_with_a_clear_error(launch) -> None:
    @turbine.workflow
    async def bad_form() -> None:
        await turbine.wait_for_approval(form={"type": "nonsense"})

    rt = await launch(bad_form)
    handle = await rt.run(bad_form)
    with pytest.raises(turbine.WorkflowFailed, match="form is not valid"):
        await handle.result()


async def test_gates_are_listed_in_pages_newest_first(launch) -> None:
    rt = await launch(ship)
    handles = [await rt.run(ship, str(n)) for n in range(5)]
    for handle in handles:
        await gate(rt, handle)
    first = await rt.approvals.list(limit=3)
    rest = await rt.approvals.list(limit=3, cursor=first.next_cursor)
    assert 5 == len({one.id for one in [*first.items, *rest.items]})
    assert rest.next_cursor is None
    await rt.approve(handles[0].workflow_id)
    assert [handles[0].workflow_id] == [one.workflow_id for one in (await rt.approvals.list(open=False)).items]
    assert 4 == len((await rt.approvals.list()).items)


async def test_a_gate_is_in_the_inbox_of_its_assignees_and_one_of_nobody_in_everybodys(launch) -> None:
    rt = await launch(for_people)
    asked = {"ada": ["Ada@Example.org "], "both": ["bob@example.org", "ada@example.org", "bob@example.org"], "all": []}
    handles = {name: await rt.run(for_people.options(id=name), emails) for name, emails in asked.items()}
    gates = {name: await gate(rt, handle) for name, handle in handles.items()}

    async def inbox(assignee: str | None, open: bool | None = True, **more: Any) -> list[str]:
        return [one.workflow_id for one in (await rt.approvals.list(open=open, assignee=assignee, **more)).items]

    assert ["bob@example.org", "ada@example.org"] == gates["both"].assignees
    assert {"ada", "both", "all"} == set(await inbox(None))
    assert ["all", "both", "ada"] == await inbox("ADA@example.org")
    assert ["all", "both"] == await inbox("bob@example.org")
    assert ["all"] == await inbox("")
    first = await rt.approvals.list(assignee="ada@example.org", limit=2)
    second = await rt.approvals.list(assignee="ada@example.org", limit=2, cursor=first.next_cursor)
    assert [["all", "both"], ["ada"]] == [[one.workflow_id for one in page.items] for page in (first, second)]
    assert [[], ["ada"]] == [await inbox(email, workflow_id="ada") for email in ("bob@example.org", "ada@example.org")]

    await rt.approve("both", by="carl@example.org")  # whoever may act on runs may decide for others
    await rt.approve("all", by="carl@example.org")
    assert ["carl@example.org"] * 2 == [await handles[name].result() for name in ("both", "all")]
    assert [["ada"], ["all", "both"], ["all", "both", "ada"]] == [
        await inbox("ada@example.org", open) for open in (True, False, None)
    ]
    await rt.delete("both")
    assert ["all", "ada"] == await inbox("ada@example.org", None)


async def test_other_assignees_in_a_replay_change_nothing_and_a_resumed_run_asks_the_new_ones(launch, replay) -> None:
    rt = await launch(for_whoever)
    whoever[:] = ["ada@example.org"]
    handle = await rt.run(for_whoever)
    before = await gate(rt, handle)
    whoever[:] = ["bob@example.org"]
    await rt.shutdown()
    await rt.launch()
    again = await gate(rt, handle)
    assert (before.id, ["ada@example.org"]) == (again.id, again.assignees)

    await rt.cancel(handle.workflow_id)
    await rt.resume(handle.workflow_id)
    asked = await gate(rt, handle)
    assert (["bob@example.org"], []) == (
        asked.assignees,
        (await rt.approvals.list(assignee="ada@example.org")).items,
    )
    await rt.approve(handle.workflow_id)
    whoever[:] = ["carl@example.org"]
    await replay(rt, handle)
    assert await handle.result()


async def test_what_is_announced_of_a_gate_names_its_assignees(launch, receiver) -> None:
    rt = await launch(for_people, allow_private_addresses=True)
    event = "workflow.WAITING_FOR_APPROVAL"
    await rt.webhooks.create(url=receiver.url("/hook"), events=[event])
    await rt.alert_channels.create(name="people", url=receiver.url("/people", scheme="json"), events=[event])
    for id, emails in (("some", ["ada@example.org", "bob@example.org"]), ("nobody", [])):
        await gate(rt, await rt.run(for_people.options(id=id), emails))
    await receiver.arrived(4)
    said = {request.json["message"] for request in receiver.requests if request.path == "/people"}
    told = [request.json for request in receiver.requests if request.path == "/hook"]
    waits = "[Turbine] Workflow for_people ({}) is waiting for approval"
    assert {f"{waits.format('some')} by ada@example.org or bob@example.org", waits.format("nobody")} == said
    assert {"some": ["ada@example.org", "bob@example.org"], "nobody": None} == {
        one["workflow_id"]: one.get("assignees") for one in told
    }


@pytest.mark.parametrize(
    ("emails", "error"),
    [
        ("ada@example.org", "TypeError: assignees must be a sequence of e-mail addresses"),
        (["ada"], "'ada' is not an e-mail address"),
        ([5], "A person's e-mail address is .* of text"),
        ([f"{n}@x" for n in range(101)], "at most 100 assignees"),
    ],
    ids=["text", "name", "number", "many"],
)
async def test_who_is_no_address_fails_the_run_with_a_clear_error(sqlite_url: str, emails: Any, error: str) -> None:
    async with Runtime(sqlite_url, workflows=[for_people]) as rt:
        handle = await rt.run(for_people.options(id="wrong"), emails)
        with pytest.raises(turbine.WorkflowFailed, match=error):
            await handle.result()


async def test_explain_names_the_person_that_is_missing(launch) -> None:
    rt = await launch(ship)
    handle = await rt.run(ship, "Ship it?")
    await gate(rt, handle)
    told = await rt.explain(handle.workflow_id)
    assert "approval" == told.reason
    assert "Ship it?" in told.text
    assert handle.workflow_id in (told.advice or "")


@turbine.workflow
async def asks_after_a_recovery() -> bool:
    await turbine.set_app_status("working", "blue")
    await turbine.recv("again")
    decision = await turbine.wait_for_approval("Now?")
    return decision.approved


async def test_a_gate_that_is_reached_in_recovery_is_shown_announced_and_decided(launch, replay, receiver) -> None:
    rt = await launch(asks_after_a_recovery, allow_private_addresses=True)
    await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    handle = await rt.run(asks_after_a_recovery)
    await replay(rt, handle)
    await gate(rt, handle)
    waiting = await handle.status()
    assert ("WAITING_FOR_APPROVAL", "waiting for approval", "yellow") == (
        waiting.status,
        waiting.app_status,
        waiting.app_status_color,
    )
    (request,) = await receiver.arrived(1)
    assert ("workflow.WAITING_FOR_APPROVAL", handle.workflow_id) == (
        request.json["event"],
        request.json["workflow_id"],
    )
    await rt.approve(handle.workflow_id)
    assert await handle.result()


async def test_a_cancelled_run_does_not_say_that_it_waits_and_shows_its_own_status_again_after_a_resume(launch):
    rt = await launch(pack_and_ask)
    handle = await rt.run(pack_and_ask)
    await rt.wait_idle()

    await rt.cancel(handle.workflow_id)
    cancelled = await handle.status()
    await rt.resume(handle.workflow_id)
    await rt.wait_idle()
    waiting = await handle.status()
    await rt.approve(handle.workflow_id)
    assert await handle.result()

    shown = [cancelled.app_status, waiting.app_status, (await handle.status()).app_status]
    assert ["packing", "waiting for approval", "packing"] == shown
